//! Asks Kafka how deep the dead-letter queue is, and how old its oldest open letter.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use rdkafka::message::Message as _;

use super::depth::{Depth, PartitionDepth, replay_group};
use crate::config::Kafka;
use crate::exit::Failure;
use crate::progress::Position;
use crate::source::range::Reader;
use crate::source::span::{Span, Spans};

/// Brokers that send no record for so long are taken to be gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks, as often as it is asked. Its requests are one or two for each broker; of the records it reads one for each
/// partition, and only when another one has become the oldest.
pub struct Meter {
    reader: Option<Reader>,
    kafka: Kafka,
    topic: String,
    /// The first open letter of each partition, and when it was written.
    oldest: BTreeMap<i32, (Position, Option<i64>)>,
}

impl Meter {
    /// Connects in the background.
    pub fn new(kafka: &Kafka, topic: &str) -> Result<Self, Failure> {
        let mut meter = Self {
            reader: None,
            kafka: kafka.clone(),
            topic: topic.to_owned(),
            oldest: BTreeMap::new(),
        };
        meter.reader = Some(meter.connect()?);
        Ok(meter)
    }

    fn connect(&self) -> Result<Reader, Failure> {
        let group = replay_group(&self.kafka.group_id);
        Ok(Reader::with_commits_of(&group, &self.kafka, &self.topic)?.with_patience(PATIENCE))
    }

    fn reader(&mut self) -> Result<Reader, Failure> {
        match self.reader.take() {
            Some(reader) => Ok(reader),
            None => self.connect(),
        }
    }

    /// The depth now; `None` while there is no such topic.
    pub fn depth(&mut self) -> Result<Option<Depth>, Failure> {
        let reader = self.reader()?;
        let depth = measure(&reader);
        reader.serve_events();
        self.reader = Some(reader);
        depth
    }

    /// When the oldest open letter was written, in milliseconds since the epoch.
    pub fn oldest_ms(&mut self, depth: &Depth) -> Result<Option<i64>, Failure> {
        let open: Spans = depth
            .partitions
            .iter()
            .filter_map(|(&number, partition)| {
                let start = partition.first_unresolved()?;
                let end = partition.log().end;
                Some((number, Span { start, end }))
            })
            .collect();
        self.oldest
            .retain(|number, (first, _)| open.get(number).is_some_and(|span| span.start == *first));
        let unknown: Spans = open
            .iter()
            .filter(|(number, _)| !self.oldest.contains_key(number))
            .map(|(&number, &span)| (number, span))
            .collect();
        if !unknown.is_empty() {
            self.read_first(&unknown, depth)?;
        }
        Ok(self.oldest.values().filter_map(|(_, written)| *written).min())
    }

    fn read_first(&mut self, spans: &Spans, depth: &Depth) -> Result<(), Failure> {
        let mut reading = self.reader()?.start(spans)?;
        let mut found = BTreeMap::new();
        let read = reading.each(|message| {
            let number = message.partition();
            if !found.contains_key(&number) && !depth.is_resolved(number, message.offset()) {
                found.insert(number, message.timestamp().to_millis());
            }
            Ok(match found.len() == spans.len() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            })
        });
        self.reader = Some(reading.stop());
        let _ = read?;
        for (number, span) in spans {
            let written = found.get(number).copied().flatten();
            self.oldest.insert(*number, (span.start, written));
        }
        Ok(())
    }
}

fn measure(reader: &Reader) -> Result<Option<Depth>, Failure> {
    let Some(count) = reader.partition_count()? else {
        return Ok(None);
    };
    let numbers: Vec<i32> = (0..count).collect();
    // Commits first: then none of them is beyond the end.
    let commits = reader.committed(&numbers)?;
    let partition = |(number, log)| {
        let commit = commits.get(&number).map(|(at, note)| (*at, note.as_str()));
        (number, PartitionDepth::new(log, commit))
    };
    let partitions = reader.bounds(&numbers)?.into_iter().map(partition).collect();
    Ok(Some(Depth { partitions }))
}
