//! Rows in portions that a statement and a process can hold.

use crate::envelope::Envelope;

/// The most bytes of bodies in one statement and in one flush, unless one row alone has more.
pub(super) const PORTION: usize = 8 << 20;

/// Something that is written together with others.
pub(crate) trait Weigh {
    /// About how many bytes it has in a statement.
    fn weight(&self) -> usize;
}

impl<T: Weigh> Weigh for &T {
    fn weight(&self) -> usize {
        T::weight(self)
    }
}

impl Weigh for Envelope {
    fn weight(&self) -> usize {
        self.bytes()
    }
}

/// Neighbours of at most [`PORTION`] bytes and `most` rows; a row with more bytes is alone.
#[cfg(any(test, feature = "postgres", feature = "sqlite", feature = "sqlserver"))]
pub(super) fn portions<T: Weigh>(rows: &[T], most: usize) -> impl Iterator<Item = &[T]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut bytes = 0;
        let fitting = rest.iter().take(most).take_while(|row| {
            bytes += row.weight();
            bytes <= PORTION
        });
        let (portion, after) = rest.split_at(fitting.count().max(1));
        rest = after;
        Some(portion)
    })
}

/// How many of the first rows a claim takes, given the lengths of their bodies: as many as have
/// less than a [`PORTION`], and one more.
pub(super) fn claimed(lengths: impl IntoIterator<Item = usize>) -> usize {
    let mut before = 0;
    let taken = lengths.into_iter().take_while(|length| {
        let is_taken = before < PORTION;
        before += length;
        is_taken
    });
    taken.count()
}

/// How many rows a claim looks at first, where a look at a row reads its body: as many as have
/// about two portions, by the size of those that were claimed last.
#[cfg(feature = "mysql")]
#[derive(Debug)]
pub(super) struct Guess(std::sync::atomic::AtomicUsize);

#[cfg(feature = "mysql")]
impl Default for Guess {
    fn default() -> Self {
        Self(usize::MAX.into())
    }
}

#[cfg(feature = "mysql")]
impl Guess {
    /// At most this many.
    pub(super) fn rows(&self, limit: usize) -> usize {
        self.0.load(std::sync::atomic::Ordering::Relaxed).min(limit)
    }

    /// Whether a look at this many rows may have missed some that the claim has room for; learns
    /// from the lengths of those that it found.
    pub(super) fn missed(&self, rows: usize, limit: usize, lengths: &[usize]) -> bool {
        let bytes: usize = lengths.iter().sum();
        let usual = bytes / lengths.len().max(1);
        let next = 2 * PORTION / usual.max(1) + 1;
        self.0.store(next, std::sync::atomic::Ordering::Relaxed);
        rows < limit && lengths.len() >= rows && bytes < PORTION
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Row(usize);

    impl Weigh for Row {
        fn weight(&self) -> usize {
            self.0
        }
    }

    fn lengths(rows: &[usize], most: usize) -> Vec<usize> {
        let rows: Vec<Row> = rows.iter().map(|&bytes| Row(bytes)).collect();
        portions(&rows, most).map(<[Row]>::len).collect()
    }

    #[test]
    fn a_portion_has_a_bound_in_rows_and_in_bytes() {
        assert!(lengths(&[], 10).is_empty());
        assert_eq!(lengths(&[1; 25], 10), [10, 10, 5]);
        assert_eq!(lengths(&[PORTION / 2; 5], 10), [2, 2, 1]);
        assert_eq!(lengths(&[1, PORTION, 1], 10), [1, 1, 1]);
    }

    #[test]
    fn a_claim_takes_one_row_and_no_more_than_a_portion_and_a_row() {
        assert_eq!(claimed([]), 0);
        assert_eq!(claimed([1; 100]), 100);
        assert_eq!(claimed([3 * PORTION; 2]), 1);
        assert_eq!(claimed([PORTION / 2; 9]), 2);
        assert_eq!(claimed([PORTION / 2 + 1, PORTION / 2 - 2, 1, 1, 1]), 3);
    }

    #[test]
    fn a_row_that_is_larger_than_a_portion_is_alone() {
        assert_eq!(lengths(&[1, 2 * PORTION, 1, 1], 10), [1, 1, 2]);
        assert_eq!(lengths(&[2 * PORTION; 2], 10), [1, 1]);
    }
}
