//! Judges a run: what was produced against what came out. Pure, so that it can be tested itself.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;

/// A numbered record. Its id is `partition-sequence`, and its sequence is its offset.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Produced {
    /// The partition it was written to.
    pub partition: i32,
    /// Its number in the partition, from 0.
    pub sequence: i64,
    /// Its key.
    pub key: String,
}

impl Produced {
    /// The id in the record and in its notification.
    pub fn id(&self) -> String {
        format!("{}-{}", self.partition, self.sequence)
    }
}

/// A hard kill: what was committed then, and how long the recorder's log was.
#[derive(Debug, Clone, Default)]
pub struct Kill {
    /// The committed position of each partition.
    pub committed: BTreeMap<i32, i64>,
    /// How many notifications had been heard.
    pub heard: usize,
}

/// Everything that is known about a run.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// What was written.
    pub produced: Vec<Produced>,
    /// The ids that were heard, in order.
    pub heard: Vec<String>,
    /// The ids that ended in the dead-letter topic or were skipped.
    pub settled_otherwise: BTreeSet<String>,
    /// How many records the bridge counted as dropped.
    pub dropped: u64,
    /// The hard kills, in order.
    pub kills: Vec<Kill>,
}

/// What is wrong with a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Produced, and neither heard nor settled otherwise.
    pub lost: Vec<String>,
    /// Heard again; one entry for each time.
    pub duplicates: Vec<String>,
    /// Duplicates that no kill explains: they lie before the position committed at each kill between.
    pub early_duplicates: Vec<String>,
    /// First occurrences that came after a later record of the same key: (later, earlier).
    pub disorder: Vec<(String, String)>,
    /// Heard, but never produced.
    pub unknown: Vec<String>,
    /// How many records the bridge counted as dropped.
    pub dropped: u64,
}

impl Run {
    /// Compares what went in with what came out.
    pub fn judge(&self) -> Verdict {
        let produced: HashMap<String, &Produced> = self.produced.iter().map(|p| (p.id(), p)).collect();
        let mut verdict = Verdict {
            dropped: self.dropped,
            ..Verdict::default()
        };
        let mut first: HashMap<&str, usize> = HashMap::new();
        let mut newest: HashMap<(i32, &str), &Produced> = HashMap::new();
        for (at, id) in self.heard.iter().enumerate() {
            let Some(record) = produced.get(id) else {
                verdict.unknown.push(id.clone());
                continue;
            };
            if let Some(before) = first.get(id.as_str()) {
                verdict.duplicates.push(id.clone());
                if !self.explained(record, *before, at) {
                    verdict.early_duplicates.push(id.clone());
                }
                continue;
            }
            first.insert(id, at);
            let latest = newest.entry((record.partition, &record.key)).or_insert(record);
            if latest.sequence > record.sequence {
                verdict.disorder.push((latest.id(), id.clone()));
            } else {
                *latest = record;
            }
        }
        let heard: HashSet<&str> = first.into_keys().collect();
        let settled = |id: &String| heard.contains(id.as_str()) || self.settled_otherwise.contains(id);
        verdict.lost = self
            .produced
            .iter()
            .map(Produced::id)
            .filter(|id| !settled(id))
            .collect();
        verdict
    }

    /// Whether a kill between the two occurrences had not seen this record committed.
    fn explained(&self, record: &Produced, before: usize, again: usize) -> bool {
        self.kills.iter().any(|kill| {
            let committed = kill.committed.get(&record.partition).copied().unwrap_or(0);
            before < kill.heard && kill.heard <= again && record.sequence >= committed
        })
    }
}

impl Verdict {
    /// Nothing lost, nothing twice, nothing out of order: a run without faults or with graceful ones.
    #[track_caller]
    pub fn assert_perfect(&self) {
        assert!(
            self.lost.is_empty() && self.duplicates.is_empty() && self.in_order(),
            "{self}"
        );
    }

    /// Nothing lost, and at most so many duplicates: what was sent and unanswered in a Redis fault.
    #[track_caller]
    pub fn assert_nothing_lost(&self, duplicates_allowed: usize) {
        assert!(self.lost.is_empty() && self.in_order(), "{self}");
        assert!(
            self.duplicates.len() <= duplicates_allowed,
            "more than {duplicates_allowed}: {self}"
        );
    }

    /// Nothing lost, and nothing twice but what a kill explains.
    #[track_caller]
    pub fn assert_survived_kills(&self) {
        assert!(
            self.lost.is_empty() && self.early_duplicates.is_empty() && self.in_order(),
            "{self}"
        );
    }

    /// `best_effort`: what is missing was counted as dropped, and little more than that was.
    #[track_caller]
    pub fn assert_only_dropped(&self, unanswered_allowed: u64) {
        let missing = self.lost.len() as u64;
        assert!(missing <= self.dropped, "missing without being dropped: {self}");
        assert!(
            self.dropped - missing <= unanswered_allowed,
            "dropped but heard: {self}"
        );
        assert!(self.in_order(), "{self}");
    }

    fn in_order(&self) -> bool {
        self.disorder.is_empty() && self.unknown.is_empty()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn some<T: fmt::Debug>(list: &[T]) -> String {
            let shown = &list[..list.len().min(10)];
            if list.is_empty() {
                "0".to_owned()
            } else {
                format!("{} {shown:?}", list.len())
            }
        }
        write!(
            f,
            "lost {}, duplicates {}, unexplained {}, out of order {}, unknown {}, dropped {}",
            some(&self.lost),
            some(&self.duplicates),
            some(&self.early_duplicates),
            some(&self.disorder),
            some(&self.unknown),
            self.dropped
        )
    }
}
