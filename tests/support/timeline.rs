//! When records came out: the longest silence, and how soon everything flowed again. Pure.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

/// The first occurrences of numbered records, by partition, in order of arrival.
#[derive(Debug, Default)]
pub struct Timeline {
    known: HashSet<String>,
    arrivals: BTreeMap<i32, Vec<Arrival>>,
}

#[derive(Debug, Clone, Copy)]
struct Arrival {
    at: Instant,
    sequence: i64,
}

/// A silence of a partition between two of its records.
#[derive(Debug, Clone, Copy)]
pub struct Stall {
    /// Which.
    pub partition: i32,
    /// When the record before it came.
    pub since: Instant,
    /// Until the next came.
    pub lasted: Duration,
}

impl Timeline {
    /// Enters what was heard; what was heard before, or isn't numbered, is passed over.
    pub fn enter(&mut self, id: &str, at: Instant) {
        let Some((partition, sequence)) = place(id) else {
            return;
        };
        if self.known.insert(id.to_owned()) {
            self.arrivals
                .entry(partition)
                .or_default()
                .push(Arrival { at, sequence });
        }
    }

    /// The longest silence of any partition between two of its records.
    pub fn worst_stall(&self) -> Duration {
        self.worst().map(|stall| stall.lasted).unwrap_or_default()
    }

    /// The same with its place.
    pub fn worst(&self) -> Option<Stall> {
        let stalls = self
            .arrivals
            .keys()
            .filter_map(|&partition| self.worst_of(partition));
        stalls.max_by_key(|stall| stall.lasted)
    }

    /// The longest silence of this partition between two of its records.
    pub fn stall_of(&self, partition: i32) -> Duration {
        self.worst_of(partition)
            .map(|stall| stall.lasted)
            .unwrap_or_default()
    }

    fn worst_of(&self, partition: i32) -> Option<Stall> {
        let gaps = self.arrivals.get(&partition)?.windows(2).map(|pair| Stall {
            partition,
            since: pair[0].at,
            lasted: pair[1].at.saturating_duration_since(pair[0].at),
        });
        gaps.max_by_key(|stall| stall.lasted)
    }

    /// How long after this moment so many partitions had delivered a record with at least this number; `None` while
    /// one of them hasn't.
    pub fn flowed_after(&self, moment: Instant, sequence: i64, partitions: usize) -> Option<Duration> {
        let new = |arrival: &&Arrival| arrival.at >= moment && arrival.sequence >= sequence;
        let firsts: Vec<Instant> = self
            .arrivals
            .values()
            .filter_map(|arrivals| {
                arrivals
                    .iter()
                    .rev()
                    .take_while(|a| a.at >= moment)
                    .filter(new)
                    .last()
            })
            .map(|arrival| arrival.at)
            .collect();
        let last = firsts.iter().max()?;
        (firsts.len() >= partitions).then(|| last.duration_since(moment))
    }
}

/// The partition and the number that a numbered record's id tells.
pub fn place(id: &str) -> Option<(i32, i64)> {
    let (partition, sequence) = id.split_once('-')?;
    Some((partition.parse().ok()?, sequence.parse().ok()?))
}
