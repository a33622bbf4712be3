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
        let stalls = self.arrivals.keys().map(|partition| self.stall_of(*partition));
        stalls.max().unwrap_or_default()
    }

    /// The longest silence of this partition between two of its records.
    pub fn stall_of(&self, partition: i32) -> Duration {
        let arrivals = self
            .arrivals
            .get(&partition)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let gaps = arrivals
            .windows(2)
            .map(|pair| pair[1].at.saturating_duration_since(pair[0].at));
        gaps.max().unwrap_or_default()
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
