//! A consumer of one topic that joins no group: it answers what there is, and begins to read it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset as KafkaOffset, TopicPartitionList};

use super::client::reader;
use super::context::Quiet;
use super::offsets::{BEGINNING, END, TopicPartition, list_offsets};
use super::range::Reading;
use super::span::{Span, Spans};
use crate::config::Kafka;
use crate::dlq::topic;
use crate::exit::Failure;
use crate::progress::Position;

/// Brokers that send nothing for so long are taken to be gone, unless the caller says otherwise.
const PATIENCE: Duration = Duration::from_secs(30);
/// One question may take this long.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(10);
/// How many events of librdkafka's are served at once.
const EVENTS: usize = 32;

/// A consumer of one topic that knows what there is to read. It joins no group and commits nothing.
pub struct Reader {
    pub(super) consumer: BaseConsumer<Quiet>,
    pub(super) topic: Arc<str>,
    pub(super) patience: Duration,
    group: String,
}

impl Reader {
    /// Connects in the background.
    pub fn new(kafka: &Kafka, topic: &str) -> Result<Self, Failure> {
        Self::with_commits_of(&kafka.group_id, kafka, topic)
    }

    /// The same for whoever wants to know what that group has committed.
    pub fn with_commits_of(group: &str, kafka: &Kafka, topic: &str) -> Result<Self, Failure> {
        let consumer = reader(kafka)
            .set("group.id", group)
            .create_with_context(Quiet::default())
            .map_err(|error| Failure::config(format!("kafka.properties: {error}")))?;
        Ok(Self {
            consumer,
            topic: Arc::from(topic),
            patience: PATIENCE,
            group: group.to_owned(),
        })
    }

    /// Brokers that send nothing for `patience` are taken to be gone.
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Log start and end (the last stable offset) of these partitions, as they are now.
    pub fn bounds(&self, partitions: &[i32]) -> Result<Spans, Failure> {
        let (starts, ends) = (self.ask(partitions, BEGINNING)?, self.ask(partitions, END)?);
        let known = |number: &i32| {
            let start = starts.get(number).copied().flatten()?;
            let end = ends.get(number).copied().flatten()?;
            Some((*number, Span { start, end }))
        };
        Ok(partitions.iter().filter_map(known).collect())
    }

    /// Where the first record of that time or later is; `None` where no record is that young.
    pub fn at(
        &self,
        partitions: &[i32],
        time: Timestamp,
    ) -> Result<BTreeMap<i32, Option<Position>>, Failure> {
        self.ask(partitions, time.as_millisecond().max(0))
    }

    /// What the group has committed, with the metadata; absent where it hasn't.
    pub fn committed(&self, partitions: &[i32]) -> Result<BTreeMap<i32, (Position, String)>, Failure> {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            list.add_partition(&self.topic, *partition);
        }
        let list = self
            .consumer
            .committed_offsets(list, QUESTION_TIMEOUT)
            // Where the group isn't allowed, librdkafka says so once, and only to whoever polls; the question itself
            // just isn't answered.
            .map_err(|error| self.failure(&self.refused_group().unwrap_or(error)))?;
        let mut commits = BTreeMap::new();
        for element in list.elements() {
            element.error().map_err(|error| self.failure(&error))?;
            if let KafkaOffset::Offset(offset) = element.offset() {
                let note = element.metadata().to_owned();
                commits.insert(element.partition(), (Position(offset), note));
            }
        }
        Ok(commits)
    }

    /// How many partitions the topic has; `None` when it isn't there.
    pub fn partition_count(&self) -> Result<Option<i32>, Failure> {
        let metadata = self
            .consumer
            .fetch_metadata(Some(&self.topic), QUESTION_TIMEOUT)
            .map_err(|error| self.failure(&error))?;
        match metadata.topics().first().and_then(|topic| topic.error()) {
            None => Ok(topic::partition_count(&metadata, &self.topic)),
            Some(error) => match error.into() {
                RDKafkaErrorCode::UnknownTopicOrPartition => Ok(None),
                code => Err(self.failure(&KafkaError::MetadataFetch(code))),
            },
        }
    }

    /// Takes notice of what librdkafka reports, for a reader that only asks.
    pub fn serve_events(&self) {
        for _ in 0..EVENTS {
            self.consumer.poll(Duration::ZERO);
        }
    }

    /// The group's refusal, if librdkafka has reported one.
    fn refused_group(&self) -> Option<KafkaError> {
        let mut reports = (0..EVENTS).filter_map(|_| self.consumer.poll(Duration::ZERO)?.err());
        reports.find(|error| error.rdkafka_error_code() == Some(RDKafkaErrorCode::GroupAuthorizationFailed))
    }

    fn ask(&self, partitions: &[i32], time: i64) -> Result<BTreeMap<i32, Option<Position>>, Failure> {
        let keys: Vec<TopicPartition> = partitions.iter().map(|n| (Arc::clone(&self.topic), *n)).collect();
        let answer = list_offsets(&self.consumer, keys.iter().map(|key| (key, time)));
        let positions = answer.map_err(|error| self.failure(&error))?;
        Ok(positions
            .into_iter()
            .map(|((_, number), position)| (number, position))
            .collect())
    }

    /// Begins to read these spans.
    pub fn start(self, spans: &Spans) -> Result<Reading, Failure> {
        let left: Spans = spans
            .iter()
            .filter(|(_, span)| !span.is_empty())
            .map(|(&number, &span)| (number, span))
            .collect();
        let mut list = TopicPartitionList::with_capacity(left.len());
        let assigned = left
            .iter()
            .try_for_each(|(number, span)| {
                list.add_partition_offset(&self.topic, *number, KafkaOffset::Offset(span.start.0))
            })
            .and_then(|()| self.consumer.assign(&list));
        assigned.map_err(|error| self.failure(&error))?;
        Ok(Reading::new(self, left))
    }

    /// What an error means to whoever wants to read.
    pub(super) fn failure(&self, error: &KafkaError) -> Failure {
        use RDKafkaErrorCode::{
            GroupAuthorizationFailed, SaslAuthenticationFailed, TopicAuthorizationFailed,
        };
        let topic = &self.topic;
        match error.rdkafka_error_code() {
            Some(TopicAuthorizationFailed | SaslAuthenticationFailed) => Failure::config(format!(
                "{topic} can't be read: {error}; grant this user Read on it"
            )),
            Some(GroupAuthorizationFailed) => Failure::config(format!(
                "the commits of {} can't be read: {error}; grant this user Describe on that group",
                self.group
            )),
            _ => {
                let reason = self.consumer.context().last_error();
                let reason = reason.unwrap_or_else(|| error.to_string());
                Failure::unavailable(format!("{topic} can't be read: {reason}"))
            }
        }
    }
}
