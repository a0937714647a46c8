//! What was sent over a connection and is not answered yet.

use std::collections::HashMap;

use parking_lot::Mutex;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::transport::cause::Cause;
use crate::transport::{Answer, Receipt};

/// Why there is no answer.
#[derive(Debug, Clone)]
pub(super) enum ExchangeError {
    /// Nothing of it was given to the socket, as the connection takes nothing more.
    NotSent(Cause),
    /// Nothing of it was given to the socket in time.
    NoRoom(&'static str),
    /// It may have arrived.
    Lost(Cause),
    /// As `Lost`, and nothing is known to be wrong but the time.
    Late,
}

/// What answers it.
#[derive(Debug)]
pub(super) enum Response {
    Receipts(Vec<Receipt>),
    Answer(Answer),
}

/// What an entry can be answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    Receipts(usize),
    Answer,
}

/// The answer does not fit what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mismatch;

pub(super) type ResponseOutcome = Result<Response, ExchangeError>;

#[derive(Debug)]
struct InFlightEntry {
    expected: Expected,
    waiter: oneshot::Sender<ResponseOutcome>,
    is_handed: bool,
    /// Room in the other side's window: free when the other side has answered, not when the caller
    /// has lost interest.
    _room: [OwnedSemaphorePermit; 2],
}

/// The entries of one connection.
#[derive(Debug, Default)]
pub(super) struct InFlight(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    last: u64,
    entries: HashMap<u64, InFlightEntry>,
    /// Why nothing more is taken.
    closed: Option<Cause>,
}

impl InFlight {
    /// A new entry with its number.
    ///
    /// # Errors
    /// The connection takes nothing more.
    pub(super) fn add(
        &self,
        expected: Expected,
        room: [OwnedSemaphorePermit; 2],
    ) -> Result<(u64, oneshot::Receiver<ResponseOutcome>), ExchangeError> {
        self.with(|state| {
            if let Some(why) = &state.closed {
                return Err(ExchangeError::NotSent(why.clone()));
            }
            let (waiter, answer) = oneshot::channel();
            state.last += 1;
            let entry = InFlightEntry { expected, waiter, is_handed: false, _room: room };
            state.entries.insert(state.last, entry);
            Ok((state.last, answer))
        })
    }

    /// Notes that the entry's bytes are being given to the socket. False where its caller is
    /// gone.
    pub(super) fn mark_handed(&self, number: u64) -> bool {
        self.with(|state| match state.entries.get_mut(&number) {
            Some(entry) => {
                entry.is_handed = true;
                true
            }
            None => false,
        })
    }

    /// Gives the answer to its caller, if that still waits.
    ///
    /// # Errors
    /// The answer is not one of what was asked.
    pub(super) fn answer(&self, number: u64, reply: Response) -> Result<(), Mismatch> {
        let entry = self.with(|state| state.entries.remove(&number)).ok_or(Mismatch)?;
        let fits = match (&reply, entry.expected) {
            (Response::Receipts(receipts), Expected::Receipts(count)) => receipts.len() == count,
            (Response::Answer(_), Expected::Answer) => true,
            _ => false,
        };
        if !fits || !entry.is_handed {
            let why = "the other side answered something else";
            let _gone = entry.waiter.send(Err(ExchangeError::Lost(why.into())));
            return Err(Mismatch);
        }
        let _gone = entry.waiter.send(Ok(reply));
        Ok(())
    }

    /// The caller has lost interest: what was not handed over need not be. Says whether it was.
    pub(super) fn abandon(&self, number: u64) -> bool {
        self.with(|state| match state.entries.get(&number) {
            Some(entry) if entry.is_handed => true,
            Some(_) => {
                state.entries.remove(&number);
                false
            }
            None => true,
        })
    }

    /// Takes nothing more. What was not handed over is given back; the rest is still answered.
    pub(super) fn leave(&self, why: &Cause) {
        self.close(why, |entry| !entry.is_handed);
    }

    /// Takes nothing more, and nothing will be answered.
    pub(super) fn end(&self, why: &Cause) {
        self.close(why, |_entry| true);
    }

    fn close(&self, why: &Cause, is_over: impl Fn(&InFlightEntry) -> bool) {
        let over: Vec<InFlightEntry> = self.with(|state| {
            state.closed.get_or_insert_with(|| why.clone());
            state.entries.extract_if(|_number, entry| is_over(entry)).map(|(_, e)| e).collect()
        });
        for entry in over {
            let why = why.clone();
            let loss = if entry.is_handed {
                ExchangeError::Lost(why)
            } else {
                ExchangeError::NotSent(why)
            };
            let _gone = entry.waiter.send(Err(loss));
        }
    }

    /// Why nothing more is taken, if so.
    pub(super) fn closed(&self) -> Option<Cause> {
        self.with(|state| state.closed.clone())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.with(|state| state.entries.is_empty())
    }

    fn with<T>(&self, change: impl FnOnce(&mut Entries) -> T) -> T {
        change(&mut self.0.lock())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Semaphore;

    use super::*;

    fn room(of: &Arc<Semaphore>) -> [OwnedSemaphorePermit; 2] {
        [(); 2].map(|()| Arc::clone(of).try_acquire_owned().unwrap())
    }

    #[test]
    fn what_was_handed_over_is_lost_and_what_was_not_is_not_sent() {
        let (pending, room_of) = (InFlight::default(), Arc::new(Semaphore::new(10)));
        let (handed, mut lost) = pending.add(Expected::Receipts(1), room(&room_of)).unwrap();
        let (_kept, mut not_sent) = pending.add(Expected::Answer, room(&room_of)).unwrap();
        assert!(pending.mark_handed(handed));
        pending.end(&"cut".into());
        let lost = lost.try_recv().unwrap().unwrap_err();
        assert!(matches!(lost, ExchangeError::Lost(why) if why.to_string() == "cut"));
        let not_sent = not_sent.try_recv().unwrap().unwrap_err();
        assert!(matches!(not_sent, ExchangeError::NotSent(why) if why.to_string() == "cut"));
        let refused = pending.add(Expected::Answer, room(&room_of)).unwrap_err();
        assert!(matches!(refused, ExchangeError::NotSent(why) if why.to_string() == "cut"));
        assert_eq!(room_of.available_permits(), 10);
    }

    #[test]
    fn a_caller_that_leaves_takes_back_what_was_not_handed_over() {
        let (pending, room_of) = (InFlight::default(), Arc::new(Semaphore::new(10)));
        let (number, _answer) = pending.add(Expected::Answer, room(&room_of)).unwrap();
        assert!(!pending.abandon(number));
        assert!(!pending.mark_handed(number), "it is not written");
        assert!(pending.is_empty());
        assert_eq!(room_of.available_permits(), 10);
    }

    #[test]
    fn the_room_of_what_was_handed_over_is_free_when_it_is_answered() {
        let (pending, room_of) = (InFlight::default(), Arc::new(Semaphore::new(10)));
        let (number, answer) = pending.add(Expected::Receipts(0), room(&room_of)).unwrap();
        assert!(pending.mark_handed(number));
        drop(answer);
        assert!(pending.abandon(number));
        assert_eq!(room_of.available_permits(), 8);
        pending.answer(number, Response::Receipts(Vec::new())).unwrap();
        assert_eq!(room_of.available_permits(), 10);
        assert!(pending.is_empty());
    }

    #[test]
    fn an_answer_to_nothing_or_to_something_else_is_a_mismatch() {
        let (pending, room_of) = (InFlight::default(), Arc::new(Semaphore::new(10)));
        let receipts = |count| Response::Receipts(vec![Receipt::Accepted; count]);
        assert_eq!(pending.answer(1, receipts(1)), Err(Mismatch));
        for expected in [Expected::Receipts(2), Expected::Answer] {
            let (number, mut answer) = pending.add(expected, room(&room_of)).unwrap();
            assert!(pending.mark_handed(number));
            assert_eq!(pending.answer(number, receipts(1)), Err(Mismatch));
            assert!(matches!(answer.try_recv().unwrap(), Err(ExchangeError::Lost(_))));
        }
    }

    #[test]
    fn a_side_that_leaves_still_answers() {
        let (pending, room_of) = (InFlight::default(), Arc::new(Semaphore::new(10)));
        let (number, mut answer) = pending.add(Expected::Receipts(1), room(&room_of)).unwrap();
        assert!(pending.mark_handed(number));
        pending.leave(&"it stops".into());
        assert!(pending.add(Expected::Answer, room(&room_of)).is_err());
        pending.answer(number, Response::Receipts(vec![Receipt::Accepted])).unwrap();
        assert!(answer.try_recv().unwrap().is_ok());
    }
}
