//! Records from a Kafka topic, without a group, up to the end that it has now.

use super::dry_run::DryRun;
use crate::commands::topic::{From, missing, partition_count};
use crate::config::Kafka;
use crate::exit::{Exit, Failure};
use crate::progress::Position;
use crate::source::message::{MessageHeaders, record};
use crate::source::range::{Reader, Step};
use crate::source::span::{Span, Spans, keep_last};

/// How many of the last records are read unless `--limit` says otherwise.
const LAST: u64 = 10;

/// What is read.
pub struct Range<'a> {
    /// The topic.
    pub topic: &'a str,
    /// This partition alone.
    pub partition: Option<i32>,
    /// Where reading starts.
    pub from: From,
    /// How many records at most.
    pub limit: Option<u64>,
}

impl Range<'_> {
    /// How many records at most, the default of `latest` included.
    pub fn limit(&self) -> Option<u64> {
        match self.from {
            From::Latest => Some(self.limit.unwrap_or(LAST)),
            _ => self.limit,
        }
    }
}

/// Derives the records of the range.
pub fn read(kafka: &Kafka, range: &Range<'_>, dry_run: &mut DryRun) -> Result<(), Failure> {
    let partitions = partitions(kafka, range)?;
    let reader = Reader::new(kafka, range.topic)?;
    let spans = spans(&reader, &partitions, range)?;
    let mut reading = reader.start(&spans)?;
    while !dry_run.is_done() {
        match reading.step()? {
            Step::Record(message) => {
                let headers = MessageHeaders::of(&message);
                dry_run.take(&record(&message, range.topic, &headers))?;
            }
            Step::Waiting => {}
            Step::End => break,
        }
    }
    Ok(())
}

/// The partitions to read, of a topic that is there.
fn partitions(kafka: &Kafka, range: &Range<'_>) -> Result<Vec<i32>, Failure> {
    let name = range.topic;
    let count = partition_count(kafka, name)?.ok_or_else(|| missing(kafka, "--topic", name))?;
    match range.partition {
        Some(partition) if partition >= count => Err(Failure::new(
            Exit::Usage,
            format!("--partition: {name} has {count} partitions, counted from 0"),
        )),
        Some(partition) => Ok(vec![partition]),
        None => Ok((0..count).collect()),
    }
}

/// Start and end of every partition.
fn spans(reader: &Reader, partitions: &[i32], range: &Range<'_>) -> Result<Spans, Failure> {
    let mut spans = reader.bounds(partitions)?;
    match range.from {
        From::Earliest => {}
        From::Latest => keep_last(&mut spans, range.limit().unwrap_or(LAST)),
        From::Offset(offset) => start_at(&mut spans, |_, _| Position(offset)),
        From::Time(time) => {
            let found = reader.at(partitions, time)?;
            start_at(&mut spans, |partition, span| {
                found.get(&partition).copied().flatten().unwrap_or(span.end)
            });
        }
    }
    Ok(spans)
}

fn start_at(spans: &mut Spans, start: impl Fn(i32, Span) -> Position) {
    for (partition, span) in spans {
        span.start = span.start.max(start(*partition, *span));
    }
}
