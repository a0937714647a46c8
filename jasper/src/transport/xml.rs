//! XML as trees: as much of it as the management of Azure Service Bus needs.

use quick_xml::Reader;
use quick_xml::escape::{escape, resolve_predefined_entity};
use quick_xml::events::{BytesStart, Event};

/// Deeper documents are refused.
const DEEPEST: usize = 32;

/// An element with its attributes, its text and its children. Where it was read, names are without
/// their prefixes; where it is written, they stand as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) name: String,
    attributes: Vec<(String, String)>,
    text: String,
    pub(crate) children: Vec<Element>,
}

impl Element {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// An element that has only a text.
    pub(crate) fn of(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into(), ..Self::default() }
    }

    pub(crate) fn with(mut self, child: Self) -> Self {
        self.children.push(child);
        self
    }

    pub(crate) fn with_all(mut self, children: impl IntoIterator<Item = Self>) -> Self {
        self.children.extend(children);
        self
    }

    pub(crate) fn with_attribute(
        mut self,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        self.attributes.push((name.into(), value.into()));
        self
    }

    /// The text between its tags, without the space around it.
    pub(crate) fn text(&self) -> &str {
        self.text.trim()
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        let mut attributes = self.attributes.iter();
        attributes.find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    pub(crate) fn child_text(&self, name: &str) -> Option<&str> {
        self.child(name).map(Self::text)
    }

    /// Reads a document.
    ///
    /// # Errors
    /// It is none, in words.
    pub(crate) fn read(document: &str) -> Result<Self, String> {
        let mut reader = Reader::from_str(document);
        let mut open: Vec<Self> = Vec::new();
        loop {
            let event = reader.read_event().map_err(|error| error.to_string())?;
            let closed = match event {
                Event::Start(_) if open.len() >= DEEPEST => return Err("it is too deep".to_owned()),
                Event::Start(start) => {
                    open.push(Self::started(&start)?);
                    None
                }
                Event::Empty(start) => Some(Self::started(&start)?),
                Event::End(_) => open.pop(),
                Event::Text(text) => {
                    append(&mut open, &text.xml10_content());
                    None
                }
                Event::CData(text) => {
                    append(&mut open, &text.xml10_content());
                    None
                }
                Event::GeneralRef(reference) => {
                    let known = match reference.resolve_char_ref() {
                        Ok(Some(character)) => Some(character.to_string()),
                        Ok(None) => resolve_predefined_entity(&reference).map(str::to_owned),
                        Err(error) => return Err(error.to_string()),
                    };
                    append(&mut open, &known.ok_or("it has an entity of its own")?);
                    None
                }
                Event::Eof => return Err("it has no end".to_owned()),
                _ => None,
            };
            if let Some(closed) = closed {
                match open.last_mut() {
                    Some(parent) => parent.children.push(closed),
                    None => return Ok(closed),
                }
            }
        }
    }

    fn started(start: &BytesStart<'_>) -> Result<Self, String> {
        let mut element = Self::new(start.local_name().into_inner());
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| error.to_string())?;
            let value = attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0);
            let value = value.map_err(|error| error.to_string())?.into_owned();
            let name = attribute.key.local_name().into_inner().to_owned();
            element.attributes.push((name, value));
        }
        Ok(element)
    }

    /// As a document.
    pub(crate) fn document(&self) -> String {
        let mut document = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?>");
        self.write(&mut document);
        document
    }

    fn write(&self, document: &mut String) {
        document.push('<');
        document.push_str(&self.name);
        for (name, value) in &self.attributes {
            document.push_str(&format!(" {name}=\"{}\"", escape(value.as_str())));
        }
        document.push('>');
        document.push_str(&escape(self.text.as_str()));
        for child in &self.children {
            child.write(document);
        }
        document.push_str(&format!("</{}>", self.name));
    }
}

fn append(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let written = Element::new("entry")
            .with_attribute("xmlns", "http://www.w3.org/2005/Atom")
            .with(Element::of("title", "a < b & \"c\""))
            .with(Element::new("content").with(Element::new("empty")));
        assert_eq!(Element::read(&written.document()), Ok(written));
    }

    #[test]
    fn prefixes_are_left_out_and_what_is_no_document_is_refused() {
        let read = Element::read("<a:b xmlns:a='x' i:type='T'> one <c/>&#x41;</a:b>").unwrap();
        assert_eq!((read.name.as_str(), read.attribute("type")), ("b", Some("T")));
        assert_eq!((read.text(), read.child("c").is_some()), ("one A", true));
        let deep = "<a>".repeat(DEEPEST + 1);
        for refused in ["", "words", "<a>", "<a></b>", "<a>&own;</a>", deep.as_str()] {
            assert!(Element::read(refused).is_err(), "{refused}");
        }
    }
}
