//! Entries and feeds of Atom, in which everything travels.

use hyper::StatusCode;

use crate::transport::xml::Element;

const ATOM: &str = "http://www.w3.org/2005/Atom";
const ALWAYS: &str = "2026-01-01T00:00:00Z";

/// One thing with its description.
pub(super) fn entry(host: &str, path: &str, name: &str, description: Element) -> Element {
    let author = Element::new("author").with(Element::of("name", "jasper-test-broker"));
    let content = Element::new("content").with_attribute("type", "application/xml");
    Element::new("entry")
        .with_attribute("xmlns", ATOM)
        .with(Element::of("id", format!("https://{host}/{path}")))
        .with(Element::of("title", name).with_attribute("type", "text"))
        .with(Element::of("published", ALWAYS))
        .with(Element::of("updated", ALWAYS))
        .with(author)
        .with(link("self", path))
        .with(content.with(description))
}

/// A part of a list; `next` is where it goes on.
pub(super) fn feed(host: &str, path: &str, next: Option<String>, entries: Vec<Element>) -> Element {
    let next = next.map(|next| link("next", &format!("https://{host}/{next}")));
    Element::new("feed")
        .with_attribute("xmlns", ATOM)
        .with(Element::of("id", format!("https://{host}/{path}")))
        .with(Element::of("title", path).with_attribute("type", "text"))
        .with(Element::of("updated", ALWAYS))
        .with(link("self", &format!("https://{host}/{path}")))
        .with_all(next)
        .with_all(entries)
}

/// What the service says in place of an entry.
pub(super) fn error(status: StatusCode, detail: impl Into<String>) -> String {
    let code = Element::of("Code", status.as_str());
    Element::new("Error").with(code).with(Element::of("Detail", detail)).document()
}

fn link(relation: &str, target: &str) -> Element {
    Element::new("link").with_attribute("rel", relation).with_attribute("href", target)
}

/// What an entry describes, where it does.
pub(super) fn described<'a>(entry: &'a Element, name: &str) -> Option<&'a Element> {
    entry.child("content")?.child(name)
}
