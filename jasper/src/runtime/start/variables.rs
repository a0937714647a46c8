//! What the environment says of endpoints, queues and handlers, whose names it can only hint at.

use std::collections::BTreeMap;

use super::handler_options::HandlerOptions;
use super::queue_options::QueueOptions;
use super::value::UnreadableValue;

const ENDPOINT: &str = "JASPER_ENDPOINT_";
const QUEUE: &str = "JASPER_QUEUE_";
const HANDLER: &str = "JASPER_HANDLER_";

/// Variables for what has a name of its own. Letters other than those of ASCII, and signs, are `_`
/// in the name of a variable, so what it means is known once the names are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Variables {
    values: BTreeMap<String, String>,
    /// What is wrong with other variables, in words.
    pub(crate) mistakes: Vec<String>,
}

/// What variables say of each name, and what is wrong with them, in words.
pub(crate) type NamedOptions<T> = (BTreeMap<String, T>, Vec<String>);

impl Variables {
    /// Takes a variable if it is one of these.
    pub(crate) fn take(&mut self, name: String, value: String) {
        if [ENDPOINT, QUEUE, HANDLER].iter().any(|prefix| name.starts_with(prefix)) {
            self.values.insert(name, value.trim().to_owned());
        }
    }

    /// These, and where one is absent, that of `other`.
    pub(crate) fn or(self, other: Self) -> Self {
        let (mut values, mut mistakes) = (other.values, other.mistakes);
        values.extend(self.values);
        mistakes.extend(self.mistakes);
        Self { values, mistakes }
    }

    /// Drops what is said elsewhere by now.
    pub(crate) fn forget_endpoint(&mut self, name: &str) {
        self.values.remove(&variable(ENDPOINT, name, ""));
    }

    /// Drops what is said elsewhere by now.
    pub(crate) fn forget_queue(&mut self, name: &str, options: &QueueOptions) {
        for option in options.names() {
            self.values.remove(&variable(QUEUE, name, option));
        }
    }

    /// Drops what is said elsewhere by now.
    pub(crate) fn forget_handler(&mut self, name: &str, options: &HandlerOptions) {
        for option in options.names() {
            self.values.remove(&variable(HANDLER, name, option));
        }
    }

    /// Where the endpoints of these names lead.
    pub(crate) fn endpoints(&self, names: &[&str]) -> NamedOptions<String> {
        let kind = VariableKind { prefix: ENDPOINT, what: "endpoint", options: &[] };
        self.read(&kind, names, |endpoint: &mut String, _option, text| {
            text.clone_into(endpoint);
            Ok(())
        })
    }

    /// The options of the queues of these names.
    pub(crate) fn queues(&self, names: &[&str]) -> NamedOptions<QueueOptions> {
        let options: Vec<_> = QueueOptions::option_names().collect();
        let kind = VariableKind { prefix: QUEUE, what: "queue", options: &options };
        self.read(&kind, names, QueueOptions::set)
    }

    /// The options of the handlers of these names.
    pub(crate) fn handlers(&self, names: &[&str]) -> NamedOptions<HandlerOptions> {
        let kind =
            VariableKind { prefix: HANDLER, what: "handler", options: &HandlerOptions::NAMES };
        self.read(&kind, names, HandlerOptions::set)
    }

    fn read<T: Default>(
        &self,
        kind: &VariableKind<'_>,
        names: &[&str],
        set: impl Fn(&mut T, &str, &str) -> Result<(), UnreadableValue>,
    ) -> NamedOptions<T> {
        let (mut found, mut mistakes) = (BTreeMap::<String, T>::new(), Vec::new());
        for (name, text) in self.values.iter().filter(|(name, _)| name.starts_with(kind.prefix)) {
            match kind.meaning(name, names) {
                Ok((named, option)) => {
                    let entry = found.entry(named.to_owned()).or_default();
                    if let Err(UnreadableValue { wanted }) = set(entry, option, text) {
                        mistakes.push(unreadable(name, text, wanted));
                    }
                }
                Err(why) => mistakes.push(why),
            }
        }
        (found, mistakes)
    }
}

/// What is wrong with the value of a variable.
pub(crate) fn unreadable(name: &str, text: &str, wanted: &str) -> String {
    format!("the variable `{name}` is `{text}`, not {wanted}")
}

/// A kind of thing that variables are for.
struct VariableKind<'a> {
    prefix: &'static str,
    what: &'static str,
    /// None, where there is but one thing to say of it.
    options: &'a [&'static str],
}

impl VariableKind<'_> {
    /// The name and the option that a variable means; or what is wrong with it.
    fn meaning<'n>(
        &self,
        name: &str,
        names: &[&'n str],
    ) -> Result<(&'n str, &'static str), String> {
        let what = self.what;
        let means = |named: &str, option| variable(self.prefix, named, option) == name;
        let mut meanings = names.iter().flat_map(|&named| {
            let alone = self.options.is_empty() && means(named, "");
            let options = self.options.iter().copied().filter(move |option| means(named, option));
            options.chain(alone.then_some("")).map(move |option| (named, option))
        });
        match (meanings.next(), meanings.next()) {
            (Some(meaning), None) => Ok(meaning),
            (Some((first, _)), Some((second, _))) => Err(format!(
                "the variable `{name}` may mean the {what} `{first}` or `{second}`; rename one of \
                 them"
            )),
            (None, _) => {
                let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                let end = match self.options {
                    [] => String::new(),
                    options => format!(". Its name ends with one of: {}", options.join(", ")),
                };
                Err(format!(
                    "the variable `{name}` is for no {what} of this application; those are: \
                     {known}{end}"
                ))
            }
        }
    }
}

/// The variable for what has this name, and for this option of it.
fn variable(prefix: &str, name: &str, option: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let separator = if option.is_empty() { "" } else { "_" };
    let name: String = name.chars().map(plain).collect();
    format!("{prefix}{name}{separator}{option}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        let mut variables = Variables::default();
        for (name, value) in pairs {
            variables.take((*name).to_owned(), (*value).to_owned());
        }
        variables
    }

    #[test]
    fn endpoints_are_named_in_upper_case() {
        let variables =
            variables(&[("JASPER_ENDPOINT_EU_SHIPPING", "tcp://host:3"), ("HOME", "/")]);
        let (found, mistakes) = variables.endpoints(&["eu.shipping", "billing"]);
        assert_eq!(found["eu.shipping"], "tcp://host:3");
        assert_eq!((found.len(), mistakes), (1, vec![]));
    }

    #[test]
    fn a_variable_for_no_endpoint_or_for_two_is_a_mistake() {
        let variables = variables(&[("JASPER_ENDPOINT_A_B", "tcp://host:1")]);
        let (found, mistakes) = variables.endpoints(&["a.b", "a-b"]);
        assert!(found.is_empty() && mistakes[0].contains("`a.b` or `a-b`"), "{mistakes:?}");
        let (_, mistakes) = variables.endpoints(&["c"]);
        assert!(mistakes[0].contains("for no endpoint") && mistakes[0].ends_with("c"));
    }

    #[test]
    fn each_option_of_a_queue_and_of_a_handler_has_a_variable() {
        let variables = variables(&[
            ("JASPER_QUEUE_EMAILS_CONCURRENCY", "4"),
            ("JASPER_QUEUE_EMAILS_CAPACITY", "50"),
            ("JASPER_QUEUE_EMAILS_MODE", "durable"),
            ("JASPER_QUEUE_EMAILS_SEND_ONLY", "true"),
            ("JASPER_QUEUE_EMAILS_ATTEMPTS", "3"),
            ("JASPER_HANDLER_PLACE_ORDER_DELAYS", "10s, 1m"),
            ("JASPER_HANDLER_PLACE_ORDER_TIMEOUT", "500ms"),
            ("JASPER_HANDLER_PLACE_ORDER_SHARE", "20"),
        ]);
        let (queues, mistakes) = variables.queues(&["emails", "place_order"]);
        let expected = QueueOptions::new()
            .concurrency(4)
            .capacity(50)
            .durable()
            .send_only()
            .handlers(HandlerOptions::new().attempts(3));
        assert_eq!((&queues["emails"], queues.len(), mistakes), (&expected, 1, vec![]));
        let (handlers, mistakes) = variables.handlers(&["place_order", "place"]);
        let delays = [Duration::from_secs(10), Duration::from_secs(60)];
        let expected =
            HandlerOptions::new().delays(delays).share(20).timeout(Duration::from_millis(500));
        assert_eq!((&handlers["place_order"], handlers.len(), mistakes), (&expected, 1, vec![]));
    }

    #[test]
    fn a_value_that_its_option_does_not_take_is_a_mistake_that_says_what_it_takes() {
        for (option, text, wanted) in [
            ("CONCURRENCY", "many", "a whole number"),
            ("MODE", "fast", "`durable` or `buffered`"),
            ("SEND_ONLY", "yes", "`true` or `false`"),
            ("TIMEOUT", "5", "such as `30s`"),
            ("DELAYS", "5s;6s", "such as `30s`"),
        ] {
            let name = format!("JASPER_QUEUE_EMAILS_{option}");
            let (_, mistakes) = variables(&[(&name, text)]).queues(&["emails"]);
            assert!(mistakes[0].contains(&format!("`{text}`, not ")), "{mistakes:?}");
            assert!(mistakes[0].ends_with(wanted), "{mistakes:?}");
        }
    }

    #[test]
    fn a_variable_for_no_option_is_a_mistake_that_lists_names_and_options() {
        let variables = variables(&[("JASPER_HANDLER_PLACE_ORDER_RETRIES", "3")]);
        let (_, mistakes) = variables.handlers(&["place_order"]);
        assert!(mistakes[0].contains("those are: place_order."), "{mistakes:?}");
        assert!(mistakes[0].contains("ATTEMPTS, DELAYS, TIMEOUT, SHARE"), "{mistakes:?}");
    }
}
