//! Where the databases of a run lie.

use std::env;
use std::path::PathBuf;

use crate::Outcome;

/// A folder of this run, removed at the end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Outcome<Self> {
        let path = env::current_dir()?.join(format!("benchmark-{}.tmp", std::process::id()));
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn file(&self, name: &str, round: usize) -> PathBuf {
        self.0.join(format!("{name}-{round}.db"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("{} was not removed: {error}", self.0.display());
        }
    }
}
