//! What was produced and what came of it, counted at both ends and never by the bridge itself.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

use super::events::Fate;
use crate::exit::Failure;

/// Latencies are told apart up to here, in microseconds.
const LONGEST_MICROS: u64 = 60_000_000;

/// Counts by reason.
pub type ByReason = BTreeMap<String, u64>;

/// The counts at one moment.
#[derive(Debug, Clone)]
pub struct Counts {
    /// Records that Kafka has acknowledged.
    pub produced: u64,
    /// Those of them that are poison, by the reason that the bridge must give.
    pub poison: ByReason,
    /// Those of them without a value.
    pub tombstones: u64,
    /// Records that Kafka has refused.
    pub refused: u64,
    /// Events that the subscriber heard of, each id once.
    pub received: u64,
    /// Notifications of an id that the subscriber had heard of, or that nobody has sent.
    pub unexpected: u64,
    /// Dead letters read from their topic, by reason.
    pub letters: ByReason,
    /// End-to-end latencies in microseconds.
    pub latency: Histogram<u64>,
    /// The same since the last look.
    recent: Histogram<u64>,
    /// Ids that were produced and not heard of.
    awaited: HashSet<u64>,
}

impl Counts {
    /// Dead letters of all reasons.
    pub fn dead_letters(&self) -> u64 {
        self.letters.values().sum()
    }

    /// Events that were produced and never heard of.
    pub fn missing(&self) -> u64 {
        u64::try_from(self.awaited.len()).unwrap_or(u64::MAX)
    }
}

/// The counts, shared by those who count.
#[derive(Debug)]
pub struct Tally(Mutex<Counts>);

impl Tally {
    /// Nothing yet.
    pub fn new() -> Result<Self, Failure> {
        let latency = Histogram::new_with_bounds(1, LONGEST_MICROS, 3)
            .map_err(|error| Failure::software(format!("latency: {error}")))?;
        Ok(Self(Mutex::new(Counts {
            produced: 0,
            poison: ByReason::new(),
            tombstones: 0,
            refused: 0,
            received: 0,
            unexpected: 0,
            letters: ByReason::new(),
            recent: latency.clone(),
            latency,
            awaited: HashSet::new(),
        })))
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A record is about to be produced: its notification may be faster than Kafka's acknowledgement.
    pub fn sending(&self, fate: Fate) {
        if let Fate::Heard(id) = fate {
            self.counts().awaited.insert(id);
        }
    }

    /// Kafka has acknowledged a record.
    pub fn produced(&self, fate: Fate) {
        let mut counts = self.counts();
        counts.produced += 1;
        match fate {
            Fate::Heard(_) => {}
            Fate::DeadLetter(reason) => *counts.poison.entry(reason.to_string()).or_default() += 1,
            Fate::Skipped => counts.tombstones += 1,
        }
    }

    /// Kafka has refused a record.
    pub fn refused(&self, fate: Fate) {
        let mut counts = self.counts();
        counts.refused += 1;
        if let Fate::Heard(id) = fate {
            counts.awaited.remove(&id);
        }
    }

    /// The subscriber has heard of an event.
    pub fn heard(&self, id: Option<u64>, latency: Duration) {
        let mut counts = self.counts();
        if !id.is_some_and(|id| counts.awaited.remove(&id)) {
            counts.unexpected += 1;
            return;
        }
        counts.received += 1;
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        counts.latency.saturating_record(micros);
        counts.recent.saturating_record(micros);
    }

    /// A dead letter has been read.
    pub fn letter(&self, reason: &str) {
        *self.counts().letters.entry(reason.to_owned()).or_default() += 1;
    }

    /// How it stands.
    pub fn look(&self) -> Counts {
        self.counts().clone()
    }

    /// Whether everything that was produced has arrived somewhere. Tombstones leave no trace to wait for.
    pub fn is_complete(&self) -> bool {
        let counts = self.counts();
        counts.awaited.is_empty() && counts.letters == counts.poison
    }

    /// How it stands: received, dead letters, missing, and the 99th percentile of latencies since the last glance.
    pub fn glance(&self) -> Glance {
        let mut counts = self.counts();
        let p99 = (!counts.recent.is_empty()).then(|| counts.recent.value_at_quantile(0.99));
        counts.recent.reset();
        Glance {
            received: counts.received,
            dead_letters: counts.dead_letters(),
            p99_micros: p99,
        }
    }
}

/// What the line of live counters shows.
#[derive(Debug, Clone, Copy)]
pub struct Glance {
    /// Events that the subscriber heard of.
    pub received: u64,
    /// Dead letters read from their topic.
    pub dead_letters: u64,
    /// 99 % of the latest notifications were at least this fast.
    pub p99_micros: Option<u64>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::derive::Reason;

    #[test]
    fn an_event_that_nobody_heard_of_is_missing_and_one_heard_twice_is_unexpected() {
        let tally = Tally::new().unwrap();
        for id in [1, 2] {
            tally.sending(Fate::Heard(id));
            tally.produced(Fate::Heard(id));
        }
        for _ in 0..2 {
            tally.heard(Some(1), Duration::from_millis(1));
        }
        let counts = tally.look();
        assert_eq!(
            (
                counts.produced,
                counts.received,
                counts.unexpected,
                counts.missing()
            ),
            (2, 1, 1, 1)
        );
        assert!(!tally.is_complete());
    }

    #[test]
    fn a_dead_letter_with_another_reason_does_not_complete_the_books() {
        let tally = Tally::new().unwrap();
        tally.produced(Fate::DeadLetter(Reason::InvalidJson));
        tally.letter("wrong_type");
        assert!(!tally.is_complete());
    }

    #[test]
    fn a_refused_record_is_not_waited_for() {
        let tally = Tally::new().unwrap();
        tally.sending(Fate::Heard(1));
        tally.refused(Fate::Heard(1));
        let counts = tally.look();
        assert_eq!((counts.produced, counts.refused), (0, 1));
        assert!(tally.is_complete());
    }
}
