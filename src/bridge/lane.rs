//! What is kept for each partition beside its progress: its place in the open batch, its dead letters, its guard
//! and its refused channels. Nothing here is shared, so that one partition can't use up what another needs.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::lag::Retention;
use crate::dlq::guard::{Allowance, Guard};
use crate::dlq::producer::Parcel;
use crate::progress::{Offset, Position};
use crate::source::records::Fetched;

/// Dead letters of one partition that may wait for their acknowledgement: more than come in the time that takes while a
/// backlog is read, since a partition that waits for them loses what librdkafka has prefetched.
pub const MAX_LETTERS: usize = 2048;
/// The same in bytes; one letter is always allowed.
pub const MAX_LETTER_BYTES: usize = 4 << 20;
/// A dead letter unacknowledged for longer than this pauses its partition.
pub const LETTER_PATIENCE: Duration = Duration::from_secs(1);

/// The run of records in the open batch that a record of this partition can join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenPart {
    /// Which open batch.
    pub batch: u64,
    /// Its part there.
    pub part: u32,
    /// Its span in the progress.
    pub span: Offset,
}

/// Dead letters under way.
#[derive(Debug, Default)]
pub struct Letters {
    /// Handed to the producer, with the time of the first attempt.
    pub sent: BTreeMap<Offset, (Instant, usize)>,
    /// To be tried again.
    pub again: VecDeque<Box<Parcel>>,
    /// When.
    pub again_at: Option<Instant>,
    /// Not admitted by the guard yet. One as a rule: the partition is paused behind it.
    pub held_back: VecDeque<Box<Parcel>>,
    /// When the guard admits the first of them.
    pub held_until: Option<Instant>,
    /// Writing them fails; told once.
    pub failing: bool,
}

impl Letters {
    /// How many are not acknowledged.
    pub fn len(&self) -> usize {
        self.sent.len() + self.again.len() + self.held_back.len()
    }

    /// Whether none is under way.
    pub fn is_idle(&self) -> bool {
        self.sent.is_empty() && self.again.is_empty()
    }

    /// Whether the partition has to wait for them.
    pub fn must_wait(&self, now: Instant) -> bool {
        let bytes: usize = self.sent.values().map(|(_, bytes)| bytes).sum();
        let oldest = self.sent.values().map(|(since, _)| *since).min();
        !self.again.is_empty()
            || self.failing
            || self.sent.len() >= MAX_LETTERS
            || bytes >= MAX_LETTER_BYTES
            || oldest.is_some_and(|since| now.duration_since(since) >= LETTER_PATIENCE)
    }
}

/// A record of which Redis refuses some channels.
#[derive(Debug, Clone, Copy)]
pub struct Refusal {
    /// Which channels of its route, by index.
    pub channels: u16,
    /// Since when.
    pub since: Instant,
    /// It is on its way again.
    pub under_way: bool,
}

/// Refused records, and reading them again.
#[derive(Debug, Default)]
pub struct Refusals {
    /// By offset.
    pub records: BTreeMap<Offset, Refusal>,
    /// When they are tried again.
    pub again_at: Option<Instant>,
    /// While the partition is read again from an earlier position: records before this one were seen already.
    pub seen_before: Option<Position>,
}

/// Everything of one partition.
pub struct Lane {
    /// Where it stands in the open batch.
    pub open: Option<OpenPart>,
    /// Its dead letters.
    pub letters: Letters,
    /// Its guard.
    pub guard: Guard,
    /// Its refused channels.
    pub refusals: Refusals,
    /// Records that were taken from librdkafka and wait until the partition is read again, in order. librdkafka goes
    /// on behind them. No more than one take holds: a paused partition gets no new ones.
    pub parked: VecDeque<Fetched>,
    /// What retention takes before it is read.
    pub retention: Retention,
    /// The assignment it belongs to has no route; told once.
    pub no_route_told: bool,
}

impl Lane {
    /// A partition that was just assigned.
    pub fn new(allowance: Allowance) -> Self {
        Self {
            open: None,
            letters: Letters::default(),
            guard: Guard::new(allowance),
            refusals: Refusals::default(),
            parked: VecDeque::new(),
            retention: Retention::default(),
            no_route_told: false,
        }
    }

    /// Whether anything here becomes due without a new record.
    pub fn is_waiting(&self) -> bool {
        self.letters.len() > 0 || self.letters.failing || self.refusals.again_at.is_some()
    }

    /// Records that can't be settled without reading on, or not soon: a drain doesn't wait for them.
    pub fn not_draining(&self) -> u64 {
        let refused = self
            .refusals
            .records
            .values()
            .filter(|refusal| !refusal.under_way)
            .count();
        (refused + self.letters.held_back.len()) as u64
    }
}
