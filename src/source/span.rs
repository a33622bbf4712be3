//! Ranges of offsets, one in each partition. Pure.

use std::collections::BTreeMap;

use crate::progress::Position;

/// What is to be read of a partition: offsets from `start` up to `end`, which is not part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first offset.
    pub start: Position,
    /// One beyond the last.
    pub end: Position,
}

impl Span {
    /// Whether there is nothing in it.
    pub fn is_empty(self) -> bool {
        self.start >= self.end
    }

    /// How many offsets it has; as many records or fewer.
    pub fn len(self) -> u64 {
        u64::try_from(self.end.0.saturating_sub(self.start.0)).unwrap_or(0)
    }
}

/// The spans of partitions.
pub type Spans = BTreeMap<i32, Span>;

/// Shortens spans to their last offsets, so many in all, an even share of them each; what a short one leaves, the
/// others get.
pub fn keep_last(spans: &mut Spans, mut limit: u64) {
    let mut by_length: Vec<&mut Span> = spans.values_mut().collect();
    by_length.sort_by_key(|span| span.len());
    let mut left = by_length.len() as u64;
    for span in by_length {
        let share = limit.div_ceil(left.max(1));
        span.start = Position(span.end.0.saturating_sub_unsigned(share)).max(span.start);
        limit -= span.len();
        left -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans<const N: usize>(spans: [(i64, i64); N]) -> Spans {
        let span = |(start, end)| Span {
            start: Position(start),
            end: Position(end),
        };
        (0..).zip(spans.map(span)).collect()
    }

    #[test]
    fn the_last_records_are_shared_out_among_partitions() {
        let mut kept = spans([(0, 100), (7, 9), (10, 50)]);
        keep_last(&mut kept, 10);
        assert_eq!(kept, spans([(96, 100), (7, 9), (46, 50)]));
        keep_last(&mut kept, 1);
        assert_eq!(kept.values().map(|span| span.len()).sum::<u64>(), 1);
    }
}
