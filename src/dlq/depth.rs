//! How many dead letters nobody has resolved. Pure.
//!
//! Resolved is what the group of `dlq replay` has committed, the ranges in its note included, and what the log has no
//! more. So the depth needs no count that somebody keeps: it is right after a purge, after retention has worked, and
//! in every copy.

use std::collections::BTreeMap;

use super::resolved::Resolved;
use crate::progress::Position;
use crate::source::span::Span;

/// The group that `dlq replay` commits as.
pub fn replay_group(group_id: &str) -> String {
    format!("{group_id}.dlq-replay")
}

/// One partition of the dead-letter topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionDepth {
    log: Span,
    resolved: Resolved,
}

impl PartitionDepth {
    /// `log` is what there is; `commit` what the group has committed before that was asked for, with its note.
    pub fn new(log: Span, commit: Option<(Position, &str)>) -> Self {
        let mut resolved = match commit {
            // A commit beyond the end is about another topic, which had the same name.
            Some((Position(committed), note)) if committed <= log.end.0 => Resolved::parse(note, committed),
            _ => Resolved::new(log.start.0),
        };
        resolved.advance(log.start.0);
        Self { log, resolved }
    }

    /// What there is.
    pub fn log(&self) -> Span {
        self.log
    }

    /// What is resolved of it.
    pub fn resolved(&self) -> &Resolved {
        &self.resolved
    }

    /// How many are not.
    pub fn depth(&self) -> u64 {
        self.open_before(self.log.end)
    }

    /// The first that is not.
    pub fn first_unresolved(&self) -> Option<Position> {
        if self.depth() == 0 {
            return None;
        }
        // Up to `low` all are resolved, up to `high` not all.
        let (mut low, mut high) = (self.log.start.0, self.log.end.0);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            match self.open_before(Position(middle)) {
                0 => low = middle,
                _ => high = middle,
            }
        }
        Some(Position(low))
    }

    /// How many before `end` are not.
    pub fn open_before(&self, end: Position) -> u64 {
        let (start, end) = (self.log.start.0, end.max(self.log.start).0);
        let resolved = self.resolved.count_within(start, end);
        start.abs_diff(end).saturating_sub(resolved)
    }
}

/// The whole topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Depth {
    /// Its partitions.
    pub partitions: BTreeMap<i32, PartitionDepth>,
}

impl Depth {
    /// How many dead letters nobody has resolved.
    pub fn total(&self) -> u64 {
        self.partitions.values().map(PartitionDepth::depth).sum()
    }

    /// Whether somebody has resolved that one.
    pub fn is_resolved(&self, partition: i32, offset: i64) -> bool {
        let known = self.partitions.get(&partition);
        known.is_some_and(|partition| partition.resolved.contains(offset))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn span(start: i64, end: i64) -> Span {
        Span {
            start: Position(start),
            end: Position(end),
        }
    }

    fn depth(start: i64, end: i64, commit: Option<(i64, &str)>) -> u64 {
        let commit = commit.map(|(committed, note)| (Position(committed), note));
        PartitionDepth::new(span(start, end), commit).depth()
    }

    #[test]
    fn what_is_neither_committed_nor_noted_nor_deleted_counts() {
        assert_eq!(depth(0, 0, None), 0);
        assert_eq!(depth(0, 10, None), 10);
        assert_eq!(depth(4, 10, None), 6);
        assert_eq!(depth(0, 10, Some((3, ""))), 7);
        assert_eq!(depth(0, 10, Some((10, ""))), 0);
        assert_eq!(depth(0, 10, Some((3, "krd1 1+2 1+1"))), 4);
        assert_eq!(depth(0, 10, Some((3, "of somebody else"))), 7);
    }

    #[test]
    fn what_retention_or_a_purge_has_deleted_counts_no_more() {
        assert_eq!(depth(5, 10, Some((3, ""))), 5);
        assert_eq!(depth(5, 10, Some((3, "krd1 1+2 1+1"))), 3);
        assert_eq!(depth(10, 10, Some((3, "krd1 1+2 1+1"))), 0);
    }

    #[test]
    fn a_topic_made_anew_has_all_of_its_letters_open() {
        assert_eq!(depth(0, 4, Some((100, "krd1 1+2"))), 4);
    }

    proptest! {
        #[test]
        fn agrees_with_counting(
            start in 0i64..30, length in 0i64..60, committed in 0i64..60,
            ranges in prop::collection::vec((1i64..5, 1i64..5), 0..8),
        ) {
            let end = start + length;
            let note = ranges.iter().fold("krd1".to_owned(), |note, (gap, length)| format!("{note} {gap}+{length}"));
            let commit = (committed <= end).then_some((Position(committed), note.as_str()));
            let partition = PartitionDepth::new(span(start, end), commit);
            let mut is_resolved = [false; 200];
            if commit.is_some() {
                let mut at = committed;
                is_resolved[..usize::try_from(at).unwrap_or(0)].fill(true);
                for (gap, length) in &ranges {
                    let from = usize::try_from(at + gap).unwrap_or(0);
                    is_resolved[from..from + usize::try_from(*length).unwrap_or(0)].fill(true);
                    at += gap + length;
                }
            }
            let open: Vec<i64> = (start..end).filter(|o| !is_resolved[usize::try_from(*o).unwrap_or(0)]).collect();
            prop_assert_eq!(partition.depth(), open.len() as u64);
            prop_assert_eq!(partition.first_unresolved().map(|p| p.0), open.first().copied());
        }
    }
}
