//! Asks the brokers where logs begin and end, which offset a time has (ListOffsets), and what the group has committed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset as KafkaOffset, TopicPartitionList};

use crate::progress::Position;

/// One question to the brokers may take this long.
pub const QUESTION_TIMEOUT: Duration = Duration::from_secs(10);
/// ListOffsets' special time (KIP-79, librdkafka's `RD_KAFKA_OFFSET_BEGINNING`) of the log start.
pub const BEGINNING: i64 = -2;
/// The special time of the end (`RD_KAFKA_OFFSET_END`); with `read_committed` that is the last stable offset.
pub const END: i64 = -1;

/// A partition by name.
pub type TopicPartition = (Arc<str>, i32);

/// Offsets by partition; `None` where no record is that young.
pub type Positions = HashMap<TopicPartition, Option<Position>>;

/// The offsets of these times (or [`BEGINNING`] or [`END`]) in one request for each broker, however many partitions.
pub fn list_offsets<'a, C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    times: impl Iterator<Item = (&'a TopicPartition, i64)>,
) -> KafkaResult<Positions> {
    let mut list = TopicPartitionList::new();
    let mut names: HashMap<&str, &Arc<str>> = HashMap::new();
    for ((topic, partition), time) in times {
        list.add_partition_offset(topic, *partition, KafkaOffset::from_raw(time))?;
        names.insert(topic, topic);
    }
    if list.count() == 0 {
        return Ok(HashMap::new());
    }
    let list = consumer.offsets_for_times(list, QUESTION_TIMEOUT)?;
    let mut positions = HashMap::new();
    for element in list.elements() {
        element.error()?;
        let Some(topic) = names.get(element.topic()) else {
            continue;
        };
        let position = match element.offset() {
            KafkaOffset::Offset(offset) => Some(Position(offset)),
            _ => None,
        };
        positions.insert((Arc::clone(topic), element.partition()), position);
    }
    Ok(positions)
}

/// The offset of a partition. A broker that has left it out is to be asked again.
pub fn position_in(positions: &Positions, partition: &TopicPartition) -> KafkaResult<Position> {
    positions
        .get(partition)
        .copied()
        .flatten()
        .ok_or(KafkaError::OffsetFetch(RDKafkaErrorCode::UnknownTopicOrPartition))
}

/// Commits of a group: position and metadata.
pub type Commits = HashMap<TopicPartition, (Position, String)>;

/// What the consumer's group has committed for these partitions; those without a commit are left out.
pub fn commits_of<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
) -> KafkaResult<Commits> {
    if partitions.is_empty() {
        return Ok(Commits::new());
    }
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for (topic, partition) in partitions {
        list.add_partition(topic, *partition);
    }
    let list = consumer.committed_offsets(list, QUESTION_TIMEOUT)?;
    let names: HashMap<&str, &Arc<str>> = partitions.iter().map(|(topic, _)| (&**topic, topic)).collect();
    let mut commits = Commits::new();
    for element in list.elements() {
        element.error()?;
        if let (KafkaOffset::Offset(offset), Some(topic)) = (element.offset(), names.get(element.topic())) {
            let key = (Arc::clone(topic), element.partition());
            commits.insert(key, (Position(offset), element.metadata().to_owned()));
        }
    }
    Ok(commits)
}
