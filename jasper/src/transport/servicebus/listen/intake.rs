//! From what has come to the receiver, and what becomes of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fe2o3_amqp::link::delivery::DeliveryInfo;

use super::super::message::{Death, Letter, death, foreign, guarantee, payload, read};
use super::super::requests::{Asked, asked};
use super::link::Link;
use super::listener::Listening;
use super::locks::Lock;
use super::pump::Arrived;
use super::settlement::Settlement;
use crate::envelope::{DecodeError, Envelope};
use crate::telemetry::{DESTINATION, REDELIVERED};
use crate::transport::mapped::read_by;
use crate::transport::receipts::{Offer, receipts};
use crate::transport::{Guarantee, Receipt, ReceivedDeadLetter, Unreadable};

/// How a message is settled: by the link by which it has come, or by its lock.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) link: Arc<Link>,
    pub(super) info: DeliveryInfo,
    pub(super) lock: Option<Lock>,
}

impl Delivery {
    /// Whether the broker has given it to another receiver by now.
    pub(super) fn is_lost(&self) -> bool {
        self.lock.as_ref().is_some_and(Lock::is_lost)
    }
}

/// A message that has come, read.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) delivery: Delivery,
    guarantee: Guarantee,
    pub(super) envelope: Result<Envelope, Unreadable>,
    death: Option<Death>,
    /// Where its answer goes, if its sender waits for one.
    pub(super) asked: Option<Asked>,
}

impl Item {
    pub(super) fn bytes(&self) -> usize {
        match &self.envelope {
            Ok(envelope) => envelope.payload.len(),
            Err(unreadable) => unreadable.bytes.len(),
        }
    }

    fn is_lost(&self) -> bool {
        self.delivery.is_lost()
    }
}

impl Offer for Item {
    fn guarantee(&self) -> Guarantee {
        self.guarantee
    }

    fn envelope(&self) -> &Result<Envelope, Unreadable> {
        &self.envelope
    }

    fn dead_letter(&self) -> ReceivedDeadLetter {
        let Death { kind, why } = self.death.clone().unwrap_or_else(|| Death {
            kind: "unknown".to_owned(),
            why: "it was in a queue of dead letters".to_owned(),
        });
        ReceivedDeadLetter { envelope: self.envelope.clone(), kind, why }
    }
}

/// What became of messages that were offered once.
#[derive(Debug, Default)]
pub(super) struct Offered {
    /// What is to be said of each to the broker.
    pub(super) settled: Vec<(Delivery, Settlement)>,
    /// What the broker has given away meanwhile.
    pub(super) lost: Vec<Delivery>,
    /// What is offered again, after this pause.
    pub(super) left: Vec<Item>,
    pub(super) pause: Duration,
}

/// How long what is not taken waits, at first and at most.
pub(super) const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(5);

const REFUSED: &str = "Refused";
const UNREADABLE: &str = "Undecodable";

impl Listening {
    /// The message that has come.
    ///
    /// # Errors
    /// It is no message at all, and goes to the dead letters of the entity.
    pub(super) fn item(
        &self,
        link: &Arc<Link>,
        arrived: Arrived,
    ) -> Result<Item, Box<(Delivery, Settlement)>> {
        let Arrived { info, letter, lock } = arrived;
        let delivery = Delivery { link: Arc::clone(link), info, lock };
        let letter = match letter {
            Ok(letter) => letter,
            Err(why) => {
                let description = format!("it is no message of AMQP: {why}");
                tracing::warn!(address = %self.address, why = description, "a message is refused");
                let settlement = Settlement::dead_letter(UNREADABLE, &description);
                return Err(Box::new((delivery, settlement)));
            }
        };
        if letter.header.as_ref().is_some_and(|header| header.delivery_count > 0) {
            let name = self.address.as_str().to_owned();
            metrics::counter!(REDELIVERED, DESTINATION => name).increment(1);
        }
        let envelope = self.read(&letter).map_err(|(bytes, error)| Unreadable { bytes, error });
        let is_dead = self.endpoint.listening.is_of_dead_letters;
        let death = is_dead.then(|| death(&letter));
        let asked = if is_dead { None } else { asked(&letter) };
        Ok(Item { delivery, guarantee: guarantee(&letter), envelope, death, asked })
    }

    fn read(&self, letter: &Letter) -> Result<Envelope, (Bytes, DecodeError)> {
        if let Some(mapper) = &self.mapper {
            let message = foreign(letter);
            let bytes = || payload(letter).unwrap_or_default();
            let read = read_by(&**mapper, &message, &self.address);
            if let Some(envelope) = read.map_err(|error| (bytes(), error))? {
                return Ok(envelope);
            }
        }
        read(letter, self.address.clone(), self.endpoint.listening.default_type.as_ref())
    }

    /// Offers these to the receiver once, after a pause. What is not taken stays here with its
    /// lock, and is not given back to the broker: it would come again at once, and would count a
    /// delivery.
    pub(super) async fn offer(&self, mut items: Vec<Item>, pause: Duration) -> Offered {
        let wait = tokio::time::sleep(pause);
        if !pause.is_zero() && self.stop.run_until_cancelled(wait).await.is_none() {
            let settled = items.into_iter().map(|item| (item.delivery, Settlement::Release));
            return Offered { settled: settled.collect(), ..Offered::default() };
        }
        let mut offered =
            Offered { pause: (pause * 2).clamp(FIRST, LONGEST), ..Offered::default() };
        let lost = items.extract_if(.., |item| item.is_lost());
        offered.lost.extend(lost.map(|item| item.delivery));
        let are_dead_letters = self.endpoint.listening.is_of_dead_letters;
        let receipts = receipts(&*self.receiver, &items, are_dead_letters).await;
        let mut waits = None;
        for (item, receipt) in items.into_iter().zip(receipts) {
            match self.settlement(receipt) {
                Ok(settlement) => offered.settled.push((item.delivery, settlement)),
                Err(why) => {
                    waits = Some(why);
                    offered.left.push(item);
                }
            }
        }
        match waits {
            Some(why) => self.state.note_waiting(&why),
            None => self.state.note_taken(),
        }
        offered
    }

    /// What is to be said to the broker; or why the message stays here.
    fn settlement(&self, receipt: Receipt) -> Result<Settlement, String> {
        match receipt {
            Receipt::Accepted => Ok(Settlement::Complete),
            // It is a dead letter already, and stays one.
            Receipt::Refused { why } if self.endpoint.listening.is_of_dead_letters => {
                Err(why.into_owned())
            }
            Receipt::Refused { why } => {
                tracing::warn!(address = %self.address, %why, "a message is refused");
                Ok(Settlement::dead_letter(REFUSED, &why))
            }
            Receipt::Deferred { why } => Err(why.into_owned()),
            // It may be this message that is at fault, so that it counts a delivery.
            Receipt::Unknown { why } => {
                tracing::warn!(address = %self.address, %why, "a message is given back");
                Ok(Settlement::Abandon)
            }
        }
    }
}
