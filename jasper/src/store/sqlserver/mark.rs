//! The mark that this process sets on its sessions, so that others can end them when it is gone.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The longest `program_name`.
const LONGEST: usize = 128;

/// A word that no other store has, of this process or of another. It stands in the `program_name`
/// of the store's sessions, with a number that no other session of the store has.
#[derive(Clone)]
pub(super) struct Mark(Arc<MarkInner>);

struct MarkInner {
    word: String,
    /// The name that the application has given its sessions.
    of_user: String,
    sessions: AtomicU64,
}

impl Mark {
    /// A new one, for sessions that the application names so.
    pub(super) fn new(of_user: &str) -> Self {
        let word = uuid::Uuid::now_v7().simple().to_string();
        // The end is what is random.
        let word = word[word.len() - 16..].to_owned();
        let of_user = of_user.chars().filter(char::is_ascii_graphic).collect();
        Self(Arc::new(MarkInner { word, of_user, sessions: AtomicU64::new(0) }))
    }

    /// What stands in the row of the node.
    pub(super) fn word(&self) -> &str {
        &self.0.word
    }

    /// The name of a session, which no other session has.
    pub(super) fn next(&self) -> String {
        let number = self.0.sessions.fetch_add(1, Ordering::Relaxed);
        let mark = format!("jasper/{}/{number}", self.0.word);
        // The mark is at the end, as that must not be cut off.
        let room = LONGEST.saturating_sub(mark.len() + 1);
        let of_user: String = self.0.of_user.chars().take(room).collect();
        if of_user.is_empty() { mark } else { format!("{of_user} {mark}") }
    }
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mark").field(&self.0.word).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_users_and_then_the_mark_and_never_too_long() {
        let mark = Mark::new(&"a long name of an app\u{e4} ".repeat(20));
        let name = mark.next();
        assert!(name.len() <= LONGEST, "{name}");
        assert!(name.starts_with("alongnameofanapp"), "{name}");
        assert!(name.contains(&format!(" jasper/{}/", mark.word())), "{name}");
        assert_ne!(mark.next(), mark.next());
        assert!(Mark::new("").next().starts_with("jasper/"));
    }
}
