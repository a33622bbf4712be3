//! Which records of one partition are settled, and hence which offset may be committed.
//!
//! Pure: no clock, no client. The frontier is over *delivered* records, since offsets have holes (compaction,
//! transaction markers). Records travel in spans: a span is a run of records of one partition that settles as one,
//! normally all records of the partition in one batch. A record that has to wait by itself is a span of its own,
//! so that everything around it can settle.

use std::collections::VecDeque;

/// The offset of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(pub i64);

impl Offset {
    /// The position right behind this record.
    pub fn next(self) -> Position {
        Position(self.0 + 1)
    }
}

/// The offset of the next record to read: what Kafka keeps as a committed offset. One more than the [`Offset`]
/// of the last record before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub i64);

/// Unsettled records that settle together. Identified by the offset of its first record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The offset of its first record, which names it.
    pub first: Offset,
    /// The timestamp of its first record, in milliseconds; kept as it was given, for whoever asks how old it is.
    pub timestamp_ms: i64,
    /// How many records it has.
    pub records: u32,
}

/// The settled frontier of one assignment of one partition.
#[derive(Debug)]
pub struct Progress {
    /// Unsettled spans in offset order.
    spans: VecDeque<Span>,
    /// Behind the last record that was delivered.
    delivered: Position,
}

impl Progress {
    /// Nothing delivered yet; reading starts at `start`.
    pub fn new(start: Position) -> Self {
        Self {
            spans: VecDeque::new(),
            delivered: start,
        }
    }

    /// What may be committed: the first unsettled record, or where reading goes on when all is settled.
    pub fn position(&self) -> Position {
        self.spans
            .front()
            .map_or(self.delivered, |span| Position(span.first.0))
    }

    /// The span with the oldest unsettled record, its first.
    pub fn oldest(&self) -> Option<Span> {
        self.spans.front().copied()
    }

    /// Behind the last delivered record.
    pub fn delivered(&self) -> Position {
        self.delivered
    }

    /// How many delivered records are not settled.
    pub fn held(&self) -> u64 {
        self.spans.iter().map(|span| u64::from(span.records)).sum()
    }

    /// Whether everything that was delivered is settled.
    pub fn is_settled(&self) -> bool {
        self.spans.is_empty()
    }

    /// A record was delivered and needs nothing more.
    pub fn settle_at_once(&mut self, offset: Offset) {
        self.delivered = self.delivered.max(offset.next());
    }

    /// The end of the partition was reached: nothing to deliver lies before `end`, transaction markers included.
    pub fn reached(&mut self, end: Position) {
        self.delivered = self.delivered.max(end);
    }

    /// A record was delivered and starts a new span, which its offset names from now on.
    pub fn hold(&mut self, offset: Offset, timestamp_ms: i64) {
        self.delivered = self.delivered.max(offset.next());
        self.spans.push_back(Span {
            first: offset,
            timestamp_ms,
            records: 1,
        });
    }

    /// A record was delivered and joins the span `first`, which must be the newest. Returns whether it could.
    pub fn join(&mut self, first: Offset, offset: Offset) -> bool {
        match self.spans.back_mut() {
            Some(span) if span.first == first => {
                span.records += 1;
                self.delivered = self.delivered.max(offset.next());
                true
            }
            _ => false,
        }
    }

    /// The records of the span `first` are settled, except those that `remains` (ascending) still holds: they are
    /// spans of their own from now on. Returns how many were settled: 0 when there is no such span.
    pub fn settle(&mut self, first: Offset, remains: &[Span]) -> u32 {
        let Some(index) = self.find(first) else { return 0 };
        let Some(span) = self.spans.remove(index) else {
            return 0;
        };
        for (i, &rest) in remains.iter().enumerate() {
            self.spans.insert(index + i, rest);
        }
        span.records
            .saturating_sub(remains.iter().map(|rest| rest.records).sum())
    }

    /// The span that `first` names, if it is unsettled.
    pub fn find_span(&self, first: Offset) -> Option<Span> {
        self.find(first).map(|index| self.spans[index])
    }

    fn find(&self, first: Offset) -> Option<usize> {
        self.spans.binary_search_by_key(&first, |span| span.first).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_delivered_leaves_the_position_at_the_start() {
        assert_eq!(Progress::new(Position(7)).position(), Position(7));
    }

    #[test]
    fn a_record_that_waits_holds_the_position_while_others_settle() {
        let mut progress = Progress::new(Position(0));
        progress.hold(Offset(0), 0);
        progress.hold(Offset(5), 0);
        progress.hold(Offset(9), 0);
        assert_eq!(progress.settle(Offset(0), &[]), 1);
        assert_eq!(progress.settle(Offset(9), &[]), 1);
        assert_eq!(progress.position(), Position(5));
        assert_eq!(progress.settle(Offset(5), &[]), 1);
        assert_eq!(progress.position(), Position(10));
    }

    #[test]
    fn holes_between_offsets_are_passed() {
        let mut progress = Progress::new(Position(0));
        progress.hold(Offset(3), 0);
        assert!(progress.join(Offset(3), Offset(90)));
        assert_eq!(progress.settle(Offset(3), &[]), 2);
        assert_eq!(progress.position(), Position(91));
    }

    #[test]
    fn only_the_newest_span_can_be_joined() {
        let mut progress = Progress::new(Position(0));
        progress.hold(Offset(0), 0);
        progress.hold(Offset(1), 0);
        assert!(!progress.join(Offset(0), Offset(2)));
    }

    #[test]
    fn settling_twice_counts_once() {
        let mut progress = Progress::new(Position(0));
        progress.hold(Offset(0), 0);
        assert_eq!(progress.settle(Offset(0), &[]), 1);
        assert_eq!(progress.settle(Offset(0), &[]), 0);
    }
}
