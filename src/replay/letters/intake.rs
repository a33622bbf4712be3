//! Takes one dead letter: what is to be done with it is begun, and what of it is needed later is kept.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use rdkafka::message::{BorrowedMessage, Header, Message as _, OwnedHeaders};

use super::back::{Back, Receipt};
use super::judge::{Judge, Judgement};
use super::lane::Lane;
use super::outgoing::{Outgoing, Place};
use super::tally::{Fate, Tally};
use crate::config::Config;
use crate::dlq::letter::{Letter, original_headers};
use crate::dlq::stored::StoredLetter;
use crate::exit::Failure;
use crate::replay::outlet::Outlet;
use crate::replay::pace::Pace;

/// No more bytes of letters than this are on their way to Redis at once.
const MAX_BYTES: usize = 16 << 20;

/// Letters on their way to Redis, in case a channel is refused and they fail again.
#[derive(Default)]
pub struct Kept {
    letters: HashMap<Place, (StoredLetter, Option<OwnedHeaders>)>,
    bytes: usize,
}

impl Kept {
    /// Whether another one can be kept.
    pub fn has_room(&self) -> bool {
        self.bytes < MAX_BYTES
    }

    fn insert(&mut self, place: Place, letter: StoredLetter, original_headers: Option<OwnedHeaders>) {
        self.bytes += size(&letter);
        self.letters.insert(place, (letter, original_headers));
    }

    /// It has arrived.
    pub fn remove(&mut self, place: Place) -> Option<(StoredLetter, Option<OwnedHeaders>)> {
        let kept = self.letters.remove(&place)?;
        self.bytes = self.bytes.saturating_sub(size(&kept.0));
        Some(kept)
    }
}

/// How much memory a letter holds, roughly.
fn size(letter: &StoredLetter) -> usize {
    let length = |part: &Option<Vec<u8>>| part.as_ref().map_or(0, Vec::len);
    length(&letter.key) + length(&letter.value) + 1024
}

/// A letter has become this, and is not at its old place any more.
pub fn resolve(lanes: &mut BTreeMap<i32, Lane>, tally: &mut Tally, place: Place, fate: Fate) {
    if let Some(lane) = lanes.get_mut(&place.partition) {
        lane.resolve(place.offset);
        tally.settle(fate);
    }
}

/// A record is written, or never will be.
pub fn receive(lanes: &mut BTreeMap<i32, Lane>, tally: &mut Tally, receipt: Receipt) {
    let Receipt { place, fate, written } = receipt;
    if written {
        let is_moved = !matches!(fate, Fate::Replayed | Fate::FailedAgain);
        tally.reappended += u64::from(is_moved);
        resolve(lanes, tally, place, fate);
    } else if let Some(lane) = lanes.get_mut(&place.partition) {
        lane.leave(place.offset);
        tally.settle(Fate::NotAccepted);
    }
}

/// What taking a letter needs of a replay: all but the consumer, which the letter is borrowed from.
pub struct Letters<'a> {
    pub config: &'a Config,
    pub judge: &'a mut Judge,
    pub outlet: &'a mut Outlet,
    pub back: &'a mut Back,
    pub lanes: &'a mut BTreeMap<i32, Lane>,
    pub kept: &'a mut Kept,
    pub pace: &'a mut Pace,
    pub tally: &'a mut Tally,
}

impl Letters<'_> {
    /// Takes a record that was read.
    pub fn take(&mut self, message: &BorrowedMessage<'_>) -> Result<(), Failure> {
        let place = Place {
            partition: message.partition(),
            offset: message.offset(),
        };
        let Some(lane) = self.lanes.get_mut(&place.partition) else {
            return Ok(());
        };
        if !lane.take(place.offset) {
            return Ok(());
        }
        self.tally.read();
        let mut letter = StoredLetter::read(message);
        let judgement = self.judge.judge(&mut letter, self.outlet.sink())?;
        if let Judgement::Leave(fate) = judgement {
            return self.leave(message, place, fate);
        }
        lane.begin(place.offset);
        self.pace.count(Instant::now());
        match judgement {
            Judgement::Publish(commands) => self.publish(message, place, letter, commands),
            Judgement::Reject(rejection) => {
                let headers = headers_of(&letter, message);
                let again = Letter::again(letter, headers, &self.config.kafka.group_id, &rejection);
                self.send(Outgoing::again(place, &self.config.dlq.topic, again))?;
            }
            Judgement::ToSource => {
                let headers = headers_of(&letter, message);
                self.send(Outgoing::to_source(place, letter, headers))?;
            }
            Judgement::Skip => resolve(self.lanes, self.tally, place, Fate::Skipped),
            Judgement::Leave(_) => {}
        }
        Ok(())
    }

    fn publish(&mut self, message: &BorrowedMessage<'_>, place: Place, letter: StoredLetter, commands: u16) {
        let original_headers = headers_of(&letter, message);
        self.kept.insert(place, letter, original_headers);
        self.outlet
            .enter(place.partition.unsigned_abs(), place.offset, commands);
    }

    /// It stays unresolved: where it is, or where the note of the commit has no room for one more gap, unchanged at
    /// the topic's end.
    fn leave(&mut self, message: &BorrowedMessage<'_>, place: Place, fate: Fate) -> Result<(), Failure> {
        let Some(lane) = self.lanes.get_mut(&place.partition) else {
            return Ok(());
        };
        if lane.may_stay() {
            self.tally.settle(fate);
            return Ok(());
        }
        lane.begin(place.offset);
        self.send(Outgoing::unchanged(message, fate))
    }

    fn send(&mut self, outgoing: Outgoing) -> Result<(), Failure> {
        let receipt = self.back.send(outgoing)?;
        receipt
            .into_iter()
            .for_each(|receipt| receive(self.lanes, self.tally, receipt));
        Ok(())
    }
}

/// The record's own headers: byte for byte as they are on the dead letter, unless they had to be fetched.
fn headers_of(letter: &StoredLetter, message: &BorrowedMessage<'_>) -> Option<OwnedHeaders> {
    if !letter.is_without_headers() {
        return original_headers(message);
    }
    let headers = OwnedHeaders::new_with_capacity(letter.headers.len());
    let insert = |headers: OwnedHeaders, (key, value): &(String, Option<Vec<u8>>)| {
        headers.insert(Header {
            key,
            value: value.as_ref(),
        })
    };
    Some(letter.headers.iter().fold(headers, insert))
}
