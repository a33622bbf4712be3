//! Records from a Kafka topic, without a group, up to the end that it has now.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset as KafkaOffset, TopicPartitionList};

use super::dry_run::DryRun;
use crate::bridge::find_topics;
use crate::config::Kafka;
use crate::dlq::topic::partition_count;
use crate::exit::{Exit, Failure};
use crate::progress::Position;
use crate::source::client::{Quiet, reader};
use crate::source::message::{MessageHeaders, record};
use crate::source::resolve::{BEGINNING, END, TopicPartition, Topics, list_offsets};

/// How many of the last records are read unless `--limit` says otherwise.
const LAST: u64 = 10;
/// Brokers that send nothing for so long are taken to be gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where reading starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// At the log start.
    Earliest,
    /// A few records before the end.
    Latest,
    /// At this offset of every partition that is read.
    Offset(i64),
    /// At the first record of that time or later.
    Time(Timestamp),
}

impl FromStr for From {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "earliest" => return Ok(Self::Earliest),
            "latest" => return Ok(Self::Latest),
            _ => {}
        }
        if let Ok(offset) = text.parse::<i64>()
            && offset >= 0
        {
            return Ok(Self::Offset(offset));
        }
        text.parse().map(Self::Time).map_err(|_| {
            "write earliest, latest, an offset, or an RFC 3339 time such as 2026-01-31T12:00:00Z".to_owned()
        })
    }
}

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
    let unavailable = |error: KafkaError| Failure::unavailable(format!("--topic {}: {error}", range.topic));
    let consumer: BaseConsumer<Quiet> = reader(kafka)
        .create_with_context(Quiet::default())
        .map_err(|error| Failure::config(format!("kafka.properties: {error}")))?;
    let spans = spans(&consumer, &partitions, range).map_err(unavailable)?;
    let mut list = TopicPartitionList::new();
    for (partition, (start, _)) in &spans {
        list.add_partition_offset(range.topic, *partition, KafkaOffset::Offset(start.0))
            .map_err(unavailable)?;
    }
    consumer.assign(&list).map_err(unavailable)?;
    let ends = spans
        .into_iter()
        .map(|(partition, (_, end))| (partition, end))
        .collect();
    drain(&consumer, range.topic, ends, dry_run)
}

/// The partitions to read, of a topic that is there.
fn partitions(kafka: &Kafka, range: &Range<'_>) -> Result<Vec<TopicPartition>, Failure> {
    let name = range.topic;
    if name.starts_with('^') {
        return Err(Failure::new(
            Exit::Usage,
            "--topic: name one topic, no expression",
        ));
    }
    let topics = Topics::new(&[name.to_owned()], "").map_err(|error| Failure::config(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::software(format!("no runtime: {error}")))?;
    let metadata = runtime.block_on(find_topics(kafka, &topics))?;
    let Some(count) = partition_count(&metadata, name) else {
        return Err(Failure::config(format!(
            "--topic: {name} does not exist on {}, or this user may not Describe it",
            kafka.bootstrap_servers
        )));
    };
    let topic: Arc<str> = Arc::from(name);
    match range.partition {
        Some(partition) if partition >= count => Err(Failure::new(
            Exit::Usage,
            format!("--partition: {name} has {count} partitions, counted from 0"),
        )),
        Some(partition) => Ok(vec![(topic, partition)]),
        None => Ok((0..count).map(|n| (Arc::clone(&topic), n)).collect()),
    }
}

/// Start and end of every partition that has something to read.
fn spans(
    consumer: &BaseConsumer<Quiet>,
    partitions: &[TopicPartition],
    range: &Range<'_>,
) -> KafkaResult<HashMap<i32, (Position, Position)>> {
    let at = |time| list_offsets(consumer, partitions.iter().map(|partition| (partition, time)));
    let (beginnings, ends) = (at(BEGINNING)?, at(END)?);
    let times = match range.from {
        From::Time(time) => at(time.as_millisecond().max(0))?,
        _ => HashMap::new(),
    };
    let mut spans = Vec::with_capacity(partitions.len());
    for partition in partitions {
        let known = |positions: &HashMap<_, _>| positions.get(partition).copied().flatten();
        let (Some(beginning), Some(end)) = (known(&beginnings), known(&ends)) else {
            continue;
        };
        let start = match range.from {
            From::Earliest | From::Latest => beginning,
            From::Offset(offset) => Position(offset),
            From::Time(_) => known(&times).unwrap_or(end),
        };
        let start = start.max(beginning);
        if start < end {
            spans.push((partition.1, (start, end)));
        }
    }
    if range.from == From::Latest {
        keep_last(&mut spans, range.limit().unwrap_or(LAST));
    }
    Ok(spans.into_iter().collect())
}

type Span = (i32, (Position, Position));

/// Shortens spans to so many offsets in all, an even share of them each; what a short one leaves, the others get.
fn keep_last(spans: &mut [Span], mut limit: u64) {
    spans.sort_by_key(|(_, (start, end))| end.0 - start.0);
    let mut left = spans.len() as u64;
    for (_, (start, end)) in spans {
        let share = limit.div_ceil(left.max(1));
        let first = end.0.saturating_sub_unsigned(share).max(start.0);
        *start = Position(first);
        limit -= (end.0 - first).unsigned_abs();
        left -= 1;
    }
}

/// Reads until every partition has come to its end. The last offsets may be transaction markers, so the end of a
/// partition counts as well as its last record.
fn drain(
    consumer: &BaseConsumer<Quiet>,
    topic: &str,
    mut ends: HashMap<i32, Position>,
    dry_run: &mut DryRun,
) -> Result<(), Failure> {
    let mut last_heard = Instant::now();
    while !ends.is_empty() && !dry_run.is_done() {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                last_heard = Instant::now();
                let Some(end) = ends.get(&message.partition()).copied() else {
                    continue;
                };
                if message.offset() < end.0 {
                    let headers = MessageHeaders::of(&message);
                    dry_run.take(&record(&message, message.topic(), &headers))?;
                }
                if message.offset() + 1 >= end.0 {
                    ends.remove(&message.partition());
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => drop(ends.remove(&partition)),
            Some(Err(error)) if is_refused(&error) => {
                return Err(Failure::config(format!(
                    "--topic: {topic} can't be read: {error}; grant this user Read on it"
                )));
            }
            Some(Err(_)) | None if last_heard.elapsed() < PATIENCE => {}
            Some(Err(_)) | None => {
                let reason = consumer
                    .context()
                    .last_error()
                    .unwrap_or_else(|| "no answer".to_owned());
                return Err(Failure::unavailable(format!(
                    "--topic: {topic} could not be read to its end: {reason}"
                )));
            }
        }
    }
    Ok(())
}

fn is_refused(error: &KafkaError) -> bool {
    use rdkafka::error::RDKafkaErrorCode::{SaslAuthenticationFailed, TopicAuthorizationFailed};
    matches!(
        error.rdkafka_error_code(),
        Some(TopicAuthorizationFailed | SaslAuthenticationFailed)
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_last_records_are_shared_out_among_partitions() {
        let span = |partition, start, end| (partition, (Position(start), Position(end)));
        let mut spans = [span(0, 0, 100), span(1, 7, 9), span(2, 10, 50)];
        keep_last(&mut spans, 10);
        assert_eq!(spans, [span(1, 7, 9), span(2, 46, 50), span(0, 96, 100)]);
        keep_last(&mut spans, 1);
        let offsets: i64 = spans.iter().map(|(_, (start, end))| end.0 - start.0).sum();
        assert_eq!(offsets, 1);
    }

    #[test]
    fn a_start_is_a_word_an_offset_or_a_time() {
        assert_eq!("earliest".parse(), Ok(From::Earliest));
        assert_eq!("latest".parse(), Ok(From::Latest));
        assert_eq!("5000000000".parse(), Ok(From::Offset(5_000_000_000)));
        let time = "2026-01-31T12:00:00Z";
        assert_eq!(time.parse(), Ok(From::Time(time.parse().unwrap())));
        for wrong in ["-1", "", "yesterday"] {
            assert!(wrong.parse::<From>().is_err(), "{wrong}");
        }
    }
}
