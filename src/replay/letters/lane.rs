//! One partition of the dead-letter topic during a replay: what is read, under way and resolved. Pure.

use std::collections::BTreeSet;

use crate::dlq::resolved::Resolved;

/// A partition.
#[derive(Debug, Clone)]
pub struct Lane {
    resolved: Resolved,
    /// `resolved` as it will be when all that is under way has arrived.
    planned: Resolved,
    under_way: BTreeSet<i64>,
    next: i64,
    end: i64,
    committed: Resolved,
}

impl Lane {
    /// What is resolved of a log that begins at `start`, to be read up to `end`.
    pub fn new(resolved: Resolved, start: i64, end: i64) -> Self {
        let committed = resolved.clone();
        let mut resolved = resolved;
        resolved.advance(start);
        Self {
            planned: resolved.clone(),
            next: resolved.frontier(),
            resolved,
            under_way: BTreeSet::new(),
            end,
            committed,
        }
    }

    /// Where to read on.
    pub fn next(&self) -> i64 {
        self.next
    }

    /// How many letters there are still to resolve; less where offsets hold none.
    pub fn unresolved(&self) -> u64 {
        let (from, to) = (self.resolved.frontier(), self.end);
        let offsets = to.saturating_sub(from).max(0).unsigned_abs();
        offsets.saturating_sub(self.resolved.count_within(from, to))
    }

    /// Whether it is read to its end.
    pub fn is_read(&self) -> bool {
        self.next >= self.end
    }

    /// The record at `offset` was delivered. Whether it is an unresolved one of this replay.
    pub fn take(&mut self, offset: i64) -> bool {
        if offset < self.next {
            return false;
        }
        // What was not delivered isn't there: transaction markers, or deleted records.
        self.pass(offset.min(self.end));
        if offset >= self.end {
            return false;
        }
        self.next = offset + 1;
        !self.resolved.contains(offset)
    }

    /// There is nothing more in the log.
    pub fn finish(&mut self) {
        self.pass(self.end);
    }

    fn pass(&mut self, to: i64) {
        if to > self.next {
            self.resolved.insert_range(self.next, to);
            self.planned.insert_range(self.next, to);
            self.next = to;
        }
    }

    /// Whether a record that is to stay unresolved may stay where it is: the commit's note has to say so.
    pub fn may_stay(&self) -> bool {
        self.planned.has_room()
    }

    /// It is under way, to be resolved or to stay after all.
    pub fn begin(&mut self, offset: i64) {
        self.under_way.insert(offset);
        self.planned.insert(offset);
    }

    /// It stays where it is, unresolved.
    pub fn leave(&mut self, offset: i64) {
        self.under_way.remove(&offset);
    }

    /// It is resolved.
    pub fn resolve(&mut self, offset: i64) {
        if self.under_way.remove(&offset) {
            self.resolved.insert(offset);
        }
    }

    /// What is to be committed, when it differs from what is.
    pub fn uncommitted(&self) -> Option<&Resolved> {
        (self.resolved != self.committed).then_some(&self.resolved)
    }

    /// That was committed.
    pub fn committed(&mut self, resolved: Resolved) {
        self.committed = resolved;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lane(committed: i64, end: i64) -> Lane {
        Lane::new(Resolved::new(committed), 0, end)
    }

    #[test]
    fn what_is_left_out_stays_unresolved_and_what_lies_behind_it_is_noted() {
        let mut lane = lane(0, 10);
        for offset in 0..10 {
            assert!(lane.take(offset));
            if offset != 4 {
                lane.begin(offset);
                lane.resolve(offset);
            }
        }
        assert!(lane.is_read());
        let (position, note) = lane
            .uncommitted()
            .map(|r| (r.frontier(), r.to_metadata()))
            .unwrap_or_default();
        assert_eq!((position, note.as_str()), (4, "krd1 1+5"));
    }

    #[test]
    fn a_replay_that_begins_again_passes_over_what_is_resolved() {
        let mut lane = Lane::new(Resolved::parse("krd1 1+5", 4), 0, 12);
        let taken: Vec<i64> = (4..12).filter(|&offset| lane.take(offset)).collect();
        assert_eq!(taken, [4, 10, 11]);
    }

    #[test]
    fn offsets_without_a_record_and_what_comes_behind_the_end_are_nobodys_letters() {
        let mut lane = lane(0, 10);
        assert!(lane.take(3));
        lane.begin(3);
        lane.resolve(3);
        assert!(!lane.take(12));
        assert!(lane.is_read());
        assert_eq!(lane.uncommitted().map(Resolved::frontier), Some(10));
    }

    proptest! {
        #[test]
        fn nothing_is_resolved_that_was_not_and_the_note_never_overflows(
            left in prop::collection::vec(any::<bool>(), 0..3000),
        ) {
            let end = left.len() as i64;
            let mut lane = lane(0, end);
            let mut stayed = Vec::new();
            for (offset, left) in (0i64..).zip(left) {
                prop_assert!(lane.take(offset));
                if left && lane.may_stay() {
                    lane.leave(offset);
                    stayed.push(offset);
                } else {
                    lane.begin(offset);
                    lane.resolve(offset);
                }
            }
            lane.finish();
            let resolved = lane.uncommitted().cloned().unwrap_or_default();
            let read = Resolved::parse(&resolved.to_metadata(), resolved.frontier());
            prop_assert_eq!(&read, &resolved);
            prop_assert_eq!(read.count_within(0, end), (end as usize - stayed.len()) as u64);
            prop_assert!(stayed.iter().all(|&offset| !read.contains(offset)));
        }
    }
}
