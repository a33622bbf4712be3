//! Which dead letters of a partition are resolved. Pure.
//!
//! A group has one offset for each partition, and `dlq replay` with a filter resolves some letters and leaves others
//! in between. So the committed position says that everything before it is resolved, and the metadata of the same
//! commit says which ranges beyond it are: both change at once or not at all.
//!
//! The note in the metadata is `krd1` and a pair for each range, `gap+length`: how many unresolved offsets lie before
//! it, and how many resolved ones it has, e.g. `krd1 2+5 1+1` at the committed position 10 for 12…16 and 18.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The longest note. Brokers refuse more than `offset.metadata.max.bytes`, 4096 unless it is set.
pub const MAX_METADATA_BYTES: usize = 4000;
/// How a note begins: whose it is, and its version.
const MARK: &str = "krd1";
/// The longest pair: a space, a plus and two numbers.
const MAX_PAIR_BYTES: usize = 40;

/// The resolved offsets of one partition: all before the frontier, and ranges beyond it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolved {
    frontier: i64,
    /// First offset → the one behind the last; apart from each other, and beyond the frontier.
    ranges: BTreeMap<i64, i64>,
}

impl Resolved {
    /// Everything before `committed`, and nothing beyond.
    pub fn new(committed: i64) -> Self {
        Self {
            frontier: committed.max(0),
            ranges: BTreeMap::new(),
        }
    }

    /// What a commit says: its position and its note. A note that isn't ours says nothing; one that breaks off says
    /// what can be read of it.
    pub fn parse(metadata: &str, committed: i64) -> Self {
        let mut resolved = Self::new(committed);
        let mut words = metadata.split_ascii_whitespace();
        if words.next() != Some(MARK) {
            return resolved;
        }
        let mut at = resolved.frontier;
        for word in words {
            let Some((from, to)) = parse_range(word, at) else {
                break;
            };
            resolved.insert_range(from, to);
            at = to;
        }
        resolved
    }

    /// The note for a commit at the frontier, at most [`MAX_METADATA_BYTES`] long. Ranges that don't fit, the
    /// farthest ones, are left out: after a crash their letters would be replayed once more.
    pub fn to_metadata(&self) -> String {
        if self.ranges.is_empty() {
            return String::new();
        }
        let mut note = MARK.to_owned();
        let mut at = self.frontier;
        for (&from, &to) in &self.ranges {
            let length = note.len();
            // Writing to a string can't fail.
            let _ = write!(note, " {}+{}", from - at, to - from);
            if note.len() > MAX_METADATA_BYTES {
                note.truncate(length);
                break;
            }
            at = to;
        }
        note
    }

    /// Whether the whole set fits a note, with room for one more range.
    pub fn has_room(&self) -> bool {
        let limit = MAX_METADATA_BYTES - MARK.len() - 2 * MAX_PAIR_BYTES;
        self.ranges.len() * MAX_PAIR_BYTES <= limit || self.pairs_bytes() <= limit
    }

    fn pairs_bytes(&self) -> usize {
        let ends = std::iter::once(&self.frontier).chain(self.ranges.values());
        let pair =
            |(&before, (&from, &to)): (&i64, (&i64, &i64))| 2 + digits(from - before) + digits(to - from);
        ends.zip(&self.ranges).map(pair).sum()
    }

    /// The position to commit: everything before it is resolved.
    pub fn frontier(&self) -> i64 {
        self.frontier
    }

    /// Resolves one letter.
    pub fn insert(&mut self, offset: i64) {
        self.insert_range(offset, offset.saturating_add(1));
    }

    /// Resolves `from` and what follows it, up to the one before `to`: also for offsets that hold no record.
    pub fn insert_range(&mut self, from: i64, to: i64) {
        let (mut from, mut to) = (from.max(self.frontier), to);
        if from >= to {
            return;
        }
        if let Some((&before, &end)) = self.ranges.range(..=from).next_back()
            && end >= from
        {
            from = before;
            to = to.max(end);
            self.ranges.remove(&before);
        }
        while let Some((&next, &end)) = self.ranges.range(from..=to).next() {
            to = to.max(end);
            self.ranges.remove(&next);
        }
        if from == self.frontier {
            self.frontier = to;
        } else {
            self.ranges.insert(from, to);
        }
    }

    /// Everything before `position` is gone: retention or a purge has deleted it.
    pub fn advance(&mut self, position: i64) {
        self.insert_range(self.frontier, position);
    }

    /// Whether a letter is resolved.
    pub fn contains(&self, offset: i64) -> bool {
        offset < self.frontier
            || self
                .ranges
                .range(..=offset)
                .next_back()
                .is_some_and(|(_, &end)| offset < end)
    }

    /// How many offsets from `from` up to the one before `to` are resolved.
    pub fn count_within(&self, from: i64, to: i64) -> u64 {
        let overlap = |start: i64, end: i64| end.min(to).saturating_sub(start.max(from)).max(0);
        let beyond = self
            .ranges
            .range(..to.max(0))
            .map(|(&start, &end)| overlap(start, end));
        let sum: i64 = beyond.sum::<i64>() + overlap(0, self.frontier);
        sum.unsigned_abs()
    }
}

/// A pair of the note, behind `at`.
fn parse_range(word: &str, at: i64) -> Option<(i64, i64)> {
    let (gap, length) = word.split_once('+')?;
    let (gap, length): (i64, i64) = (gap.parse().ok()?, length.parse().ok()?);
    let from = at.checked_add(gap).filter(|_| gap >= 0)?;
    let to = from.checked_add(length).filter(|_| length > 0)?;
    Some((from, to))
}

fn digits(number: i64) -> usize {
    number.checked_ilog10().unwrap_or(0) as usize + 1
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_note_reads_as_documented() {
        let mut resolved = Resolved::new(10);
        resolved.insert_range(12, 17);
        resolved.insert(18);
        assert_eq!(resolved.to_metadata(), "krd1 2+5 1+1");
        assert_eq!(Resolved::parse("krd1 2+5 1+1", 10), resolved);
    }

    #[test]
    fn a_range_that_touches_the_frontier_moves_it() {
        let mut resolved = Resolved::new(10);
        resolved.insert_range(11, 15);
        assert_eq!(resolved.frontier(), 10);
        resolved.insert(10);
        assert_eq!((resolved.frontier(), resolved.to_metadata().as_str()), (15, ""));
    }

    #[test]
    fn what_is_no_note_of_ours_says_nothing() {
        for note in [
            "",
            "krb1 1 2 3",
            "krd2 1+1",
            "1+1",
            "krd1",
            "krd1 x",
            "krd1 -1+5",
            "krd1 1+0",
            "krd1 1+-3",
        ] {
            assert_eq!(Resolved::parse(note, 7), Resolved::new(7), "{note}");
        }
        let huge = format!("krd1 1+2 {}+1", i64::MAX);
        assert_eq!(Resolved::parse(&huge, 7), Resolved::parse("krd1 1+2", 7));
    }

    #[test]
    fn a_note_that_would_be_too_long_keeps_the_nearest_ranges() {
        let mut resolved = Resolved::new(0);
        let mut left_off_at = None;
        for n in 1..2000 {
            if !resolved.has_room() {
                left_off_at.get_or_insert(n);
            }
            resolved.insert(n * 1000);
        }
        let note = resolved.to_metadata();
        assert!(note.len() <= MAX_METADATA_BYTES && note.len() > MAX_METADATA_BYTES - MAX_PAIR_BYTES);
        let kept = Resolved::parse(&note, 0);
        let last = left_off_at.map_or(0, |n| (n - 1) * 1000);
        assert!(last > 0 && kept.contains(last) && !kept.contains(1_999_000));
    }

    proptest! {
        #[test]
        fn agrees_with_a_set_of_offsets(
            committed in 0i64..50,
            inserts in prop::collection::vec((0i64..150, 1i64..12), 0..60),
            window in (0i64..170, 0i64..170),
        ) {
            let mut resolved = Resolved::new(committed);
            let mut model: BTreeSet<i64> = (0..committed).collect();
            for (from, length) in inserts {
                resolved.insert_range(from, from + length);
                model.extend(from..from + length);
                let frontier = (0..).find(|offset| !model.contains(offset));
                prop_assert_eq!(Some(resolved.frontier()), frontier);
            }
            for offset in 0..200 {
                prop_assert_eq!(resolved.contains(offset), model.contains(&offset), "{}", offset);
            }
            let (from, to) = window;
            let within = model.iter().filter(|&&offset| from <= offset && offset < to).count();
            prop_assert_eq!(resolved.count_within(from, to), within as u64);
            let note = resolved.to_metadata();
            let pairs = note.strip_prefix(MARK).map_or(0, str::len);
            prop_assert_eq!(resolved.pairs_bytes(), pairs);
            prop_assert_eq!(Resolved::parse(&note, resolved.frontier()), resolved);
        }

        #[test]
        fn any_note_is_read_without_trouble_and_no_offset_before_the_commit_is_lost(note in ".{0,80}", pairs in "krd1( [0-9]{1,20}\\+[0-9]{1,20}){0,5}") {
            for text in [note, pairs] {
                prop_assert!(Resolved::parse(&text, 5).frontier() >= 5);
            }
        }
    }
}
