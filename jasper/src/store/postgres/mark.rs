//! The mark that this process sets on its sessions, so that others can end them when it is gone.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The longest `application_name`.
const LONGEST: usize = 63;

/// A word that no other store has, of this process or of another. It stands in the
/// `application_name` of the store's sessions: always in its own, and in those of handlers while
/// they are in a transaction.
#[derive(Clone)]
pub(super) struct Mark(Arc<MarkInner>);

struct MarkInner {
    word: String,
    /// The name that the application has given its sessions.
    of_user: String,
    runs: AtomicU64,
}

impl Mark {
    /// A new one, for sessions that the application names so.
    pub(super) fn new(of_user: Option<&str>) -> Self {
        let word = uuid::Uuid::now_v7().simple().to_string();
        // The end is what is random.
        let word = word[word.len() - 16..].to_owned();
        let of_user = of_user.unwrap_or_default().chars().filter(is_plain).collect();
        Self(Arc::new(MarkInner { word, of_user, runs: AtomicU64::new(0) }))
    }

    /// What stands in the row of the node.
    pub(super) fn word(&self) -> &str {
        &self.0.word
    }

    /// The name of the store's own sessions.
    pub(super) fn own(&self) -> String {
        self.name("store")
    }

    /// The name of the session of one run, which no other session has.
    pub(super) fn next_run(&self) -> String {
        let run = self.0.runs.fetch_add(1, Ordering::Relaxed);
        self.name(&run.to_string())
    }

    /// The mark is at the end, as that must not be cut off.
    fn name(&self, of_session: &str) -> String {
        let mark = format!("jasper/{}/{of_session}", self.0.word);
        let room = LONGEST.saturating_sub(mark.len() + 1);
        let of_user: String = self.0.of_user.chars().take(room).collect();
        if of_user.is_empty() { mark } else { format!("{of_user} {mark}") }
    }
}

/// Whether a character may stand within quotes, and takes one byte.
fn is_plain(character: &char) -> bool {
    character.is_ascii_graphic() && !matches!(character, '\'' | '\\')
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
        let long = "it's a \\ long name ".repeat(10);
        let mark = Mark::new(Some(&long));
        for name in [mark.own(), mark.next_run()] {
            assert!(name.len() <= LONGEST, "{name}");
            assert!(name.starts_with("itsalongname"), "{name}");
            assert!(name.contains(&format!(" jasper/{}/", mark.word())), "{name}");
            assert!(!name.contains(['\'', '\\']), "{name}");
        }
        assert_ne!(mark.next_run(), mark.next_run());
        assert!(Mark::new(None).own().starts_with("jasper/"));
    }
}
