//! Judges a run: what was produced against what came out. Pure, so that it can be tested itself.

use std::collections::{BTreeMap, BTreeSet, HashMap};
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

/// A time in which the system was disturbed, from the fault's beginning until everything flowed again.
#[derive(Debug, Clone, Default)]
pub struct Disturbance {
    /// The committed position of each partition when it began.
    pub committed: BTreeMap<i32, i64>,
    /// How many notifications had been heard when it began.
    pub from: usize,
    /// How many had been heard when everything flowed again.
    pub until: usize,
}

/// What was committed at one moment, and what had come out by then: commits were asked for first.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// The committed position of each partition.
    pub committed: BTreeMap<i32, i64>,
    /// The end of each partition of the dead-letter topic; `None` when nobody could tell.
    pub letters: Option<BTreeMap<i32, i64>>,
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
    /// Where dead letters first are in their topic: partition and offset.
    pub letters: HashMap<String, (i32, i64)>,
    /// The hard kills, in order.
    pub kills: Vec<Kill>,
    /// Other faults that may make records come twice.
    pub disturbances: Vec<Disturbance>,
    /// What was committed now and then.
    pub samples: Vec<Sample>,
}

/// The first place of each dead letter: one that is written again, say by a copy that was cut off, was there before.
pub fn first_places(letters: impl IntoIterator<Item = (String, (i32, i64))>) -> HashMap<String, (i32, i64)> {
    let mut first = HashMap::new();
    for (id, place) in letters {
        let known = first.entry(id).or_insert(place);
        *known = place.min(*known);
    }
    first
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
    /// Committed at a moment when they had not come out: (committed position, record).
    pub early_commits: Vec<(i64, String)>,
    /// Commits that went back: (partition, from, to).
    pub rewinds: Vec<(i32, i64, i64)>,
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
        verdict.early_commits = self.early_commits(&first);
        verdict.rewinds = self.rewinds();
        let settled = |id: &String| first.contains_key(id.as_str()) || self.settled_otherwise.contains(id);
        verdict.lost = self
            .produced
            .iter()
            .map(Produced::id)
            .filter(|id| !settled(id))
            .collect();
        verdict
    }

    /// Whether a kill between the two occurrences, or a disturbance at the time of the second, had not seen this
    /// record committed.
    fn explained(&self, record: &Produced, before: usize, again: usize) -> bool {
        let uncommitted = |committed: &BTreeMap<i32, i64>| {
            record.sequence >= committed.get(&record.partition).copied().unwrap_or(0)
        };
        let by_kill =
            |kill: &Kill| before < kill.heard && kill.heard <= again && uncommitted(&kill.committed);
        let by_other = |other: &Disturbance| {
            (other.from..=other.until).contains(&again) && uncommitted(&other.committed)
        };
        self.kills.iter().any(by_kill) || self.disturbances.iter().any(by_other)
    }

    /// Where a later sample shows less committed than the one before it.
    fn rewinds(&self) -> Vec<(i32, i64, i64)> {
        let pairs = self.samples.iter().zip(self.samples.iter().skip(1));
        let back = |(one, two): (&Sample, &Sample)| {
            let after = two.committed.clone();
            let before = one.committed.clone().into_iter();
            before.filter_map(move |(partition, position)| {
                let now = after.get(&partition).copied().unwrap_or(0);
                (now < position).then_some((partition, position, now))
            })
        };
        pairs.flat_map(back).collect()
    }

    /// For each sample and partition the first record that was committed and came out only later. A record that
    /// never came out counts as lost, not here.
    fn early_commits(&self, first: &HashMap<&str, usize>) -> Vec<(i64, String)> {
        let mut partitions: BTreeMap<i32, Vec<&Produced>> = BTreeMap::new();
        for record in &self.produced {
            partitions.entry(record.partition).or_default().push(record);
        }
        let mut found = Vec::new();
        for (partition, mut records) in partitions {
            records.sort_by_key(|record| record.sequence);
            let mut checked = 0;
            for sample in &self.samples {
                let committed = sample.committed.get(&partition).copied().unwrap_or(0);
                let to = records.partition_point(|record| record.sequence < committed);
                // What an earlier sample has passed had come out by then.
                let new = records.get(checked..to).unwrap_or_default();
                if let Some(record) = new.iter().find(|record| self.is_late(record, sample, first)) {
                    found.push((committed, record.id()));
                }
                checked = checked.max(to);
            }
        }
        found
    }

    /// Whether this record came out, but only after the sample.
    fn is_late(&self, record: &Produced, sample: &Sample, first: &HashMap<&str, usize>) -> bool {
        let id = record.id();
        if let Some(at) = first.get(id.as_str()) {
            return *at >= sample.heard;
        }
        match (self.letters.get(&id), &sample.letters) {
            (Some((partition, offset)), Some(ends)) => *offset >= ends.get(partition).copied().unwrap_or(0),
            _ => false,
        }
    }
}

impl Verdict {
    /// Nothing lost, nothing twice, nothing out of order: a run without faults or with graceful ones.
    #[track_caller]
    pub fn assert_perfect(&self) {
        assert!(
            self.lost.is_empty() && self.duplicates.is_empty() && self.is_sound(),
            "{self}"
        );
    }

    /// Nothing lost, and at most so many duplicates: what was sent and unanswered in a Redis fault.
    #[track_caller]
    pub fn assert_nothing_lost(&self, duplicates_allowed: usize) {
        assert!(self.lost.is_empty() && self.is_sound(), "{self}");
        assert!(
            self.duplicates.len() <= duplicates_allowed,
            "more than {duplicates_allowed}: {self}"
        );
    }

    /// Nothing lost, and nothing twice but what a kill explains.
    #[track_caller]
    pub fn assert_survived_kills(&self) {
        assert!(
            self.lost.is_empty() && self.early_duplicates.is_empty() && self.is_sound(),
            "{self}"
        );
    }

    /// `best_effort`: what is missing was counted as dropped, and little more than that was. What was sent, given up
    /// and executed late counts as dropped, is committed, and is heard all the same.
    #[track_caller]
    pub fn assert_only_dropped(&self, unanswered_allowed: u64) {
        let missing = self.lost.len() as u64;
        assert!(missing <= self.dropped, "missing without being dropped: {self}");
        assert!(
            self.dropped - missing <= unanswered_allowed,
            "dropped but heard: {self}"
        );
        assert!(self.is_in_order(), "{self}");
        assert!(self.early_commits.len() as u64 <= unanswered_allowed, "{self}");
    }

    /// Nothing that no fault excuses: out of order, never produced, committed before it came out.
    fn is_sound(&self) -> bool {
        self.is_in_order() && self.early_commits.is_empty()
    }

    fn is_in_order(&self) -> bool {
        self.disorder.is_empty() && self.unknown.is_empty() && self.rewinds.is_empty()
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
            "lost {}, committed too early {}, commits back {}, duplicates {}, unexplained {}, out of order {}, unknown {}, dropped {}",
            some(&self.lost),
            some(&self.early_commits),
            some(&self.rewinds),
            some(&self.duplicates),
            some(&self.early_duplicates),
            some(&self.disorder),
            some(&self.unknown),
            self.dropped
        )
    }
}
