//! Finds the newest or the oldest dead letters without reading more of the topic than it has to.

use std::collections::BTreeMap;

use super::queue::Queue;
use super::row::Row;
use crate::dlq::depth::PartitionDepth;
use crate::dlq::filter::Filter;
use crate::dlq::stored::StoredLetter;
use crate::exit::Failure;
use crate::progress::Position;
use crate::source::range::{Reader, Step};
use crate::source::span::{Span, Spans};

/// What is looked for.
pub struct Search<'a> {
    /// Which letters.
    pub filter: &'a Filter,
    /// Also those that are resolved.
    pub resolved: bool,
    /// How many at most.
    pub limit: usize,
}

impl Search<'_> {
    /// The oldest letters, oldest first.
    pub fn oldest(&self, queue: &Queue) -> Result<Vec<Row>, Failure> {
        let mut found: BTreeMap<i32, usize> = BTreeMap::new();
        let mut rows = Vec::new();
        self.read(queue, queue.reader()?, &self.spans(queue), |letter, resolved| {
            let count = found.entry(letter.partition).or_default();
            *count += 1;
            rows.push(Row::new(letter, resolved));
            // Of each partition no more than are wanted in all.
            *count >= self.limit
        })?;
        rows.sort_by_key(Row::age_order);
        rows.truncate(self.limit);
        Ok(rows)
    }

    /// The newest letters, newest first: the last offsets of each partition, then those before them, until each
    /// partition has given as many as are wanted in all.
    pub fn newest(&self, queue: &Queue) -> Result<Vec<Row>, Failure> {
        let mut left = self.spans(queue);
        let mut found: BTreeMap<i32, usize> = BTreeMap::new();
        let mut rows = Vec::new();
        let mut reader = queue.reader()?;
        let mut window = u64::try_from(self.limit).unwrap_or(u64::MAX);
        while !left.is_empty() {
            let last: Spans = left.iter().map(|(&n, &span)| (n, tail(span, window))).collect();
            reader = self.read(queue, reader, &last, |letter, resolved| {
                *found.entry(letter.partition).or_default() += 1;
                rows.push(Row::new(letter, resolved));
                false
            })?;
            rows.sort_by_key(|row| std::cmp::Reverse(row.age_order()));
            rows.truncate(self.limit);
            for (number, span) in &mut left {
                span.end = last.get(number).map_or(span.start, |last| last.start);
            }
            left.retain(|number, span| {
                !span.is_empty() && found.get(number).copied().unwrap_or(0) < self.limit
            });
            window = window.saturating_mul(4);
        }
        Ok(rows)
    }

    fn spans(&self, queue: &Queue) -> Spans {
        let start_at = |partition: &PartitionDepth| match self.resolved {
            true => Some(partition.log().start),
            false => partition.first_unresolved(),
        };
        let span = |(&number, partition)| {
            let start = start_at(partition)?;
            let end = partition.log().end;
            Some((number, Span { start, end }))
        };
        queue.depth.partitions.iter().filter_map(span).collect()
    }

    /// Every letter in no particular order, partitions aside.
    pub fn each(&self, queue: &Queue, mut take: impl FnMut(StoredLetter)) -> Result<(), Failure> {
        self.read(queue, queue.reader()?, &self.spans(queue), |letter, _| {
            take(letter);
            false
        })
        .map(drop)
    }

    /// Reads the spans; where `take` says so, the rest of a letter's partition isn't wanted.
    fn read(
        &self,
        queue: &Queue,
        reader: Reader,
        spans: &Spans,
        mut take: impl FnMut(StoredLetter, bool) -> bool,
    ) -> Result<Reader, Failure> {
        let mut reading = reader.start(spans)?;
        loop {
            let letter = match reading.step()? {
                Step::Record(message) => StoredLetter::read(&message),
                Step::Waiting => continue,
                Step::End => return Ok(reading.stop()),
            };
            let partition = letter.partition;
            let resolved = queue.depth.is_resolved(partition, letter.offset);
            if resolved && !self.resolved || !self.filter.matches(&letter) {
                continue;
            }
            if take(letter, resolved) {
                reading.skip(partition);
            }
        }
    }
}

fn tail(span: Span, length: u64) -> Span {
    let start = Position(span.end.0.saturating_sub_unsigned(length)).max(span.start);
    Span { start, ..span }
}
