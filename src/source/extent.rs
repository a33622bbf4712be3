//! From where to where the logs of partitions go, as one client sees them that belongs to no group.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::{Offset as KafkaOffset, TopicPartitionList};

use super::offsets::{BEGINNING, END, TopicPartition};
use crate::progress::Position;

/// The readable part of a partition's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Its first offset.
    pub log_start: Position,
    /// The last stable offset: no record of a finished transaction, and none without one, is at or beyond it.
    pub end: Position,
}

impl Extent {
    /// Where a reader goes on that stood at `position`: at the beginning, where that is no place in this log. One
    /// beyond the end means that the log was made anew.
    pub fn position(self, position: Position) -> Position {
        match position > self.end {
            true => self.log_start,
            false => position.max(self.log_start),
        }
    }

    /// How many offsets a reader at `position` is behind. What retention took counts for nobody, and neither does a
    /// position beyond the end, which a log that was made anew has.
    pub fn behind(self, position: Position) -> u64 {
        let from = position.max(self.log_start);
        u64::try_from(self.end.0.saturating_sub(from.0)).unwrap_or(0)
    }
}

/// Asks two questions of each broker, however many partitions it leads: for the beginnings and for the ends.
/// Partitions that nobody leads at the moment are left out, so that they don't hide the others.
pub fn extents<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
    patience: Duration,
) -> KafkaResult<HashMap<TopicPartition, Extent>> {
    ask_both(consumer, partitions, patience).or_else(|error| {
        // One partition without a leader makes librdkafka fail the question for all.
        let led = led(consumer, partitions, patience)?;
        match led.len() {
            0 => Err(error),
            n if n == partitions.len() => Err(error),
            _ => ask_both(consumer, &led, patience),
        }
    })
}

fn ask_both<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
    patience: Duration,
) -> KafkaResult<HashMap<TopicPartition, Extent>> {
    let beginnings = ask(consumer, partitions, BEGINNING, patience)?;
    let ends = ask(consumer, partitions, END, patience)?;
    let both = |(partition, log_start): (TopicPartition, Position)| {
        let end = *ends.get(&partition)?;
        Some((partition, Extent { log_start, end }))
    };
    Ok(beginnings.into_iter().filter_map(both).collect())
}

fn ask<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
    time: i64,
    patience: Duration,
) -> KafkaResult<HashMap<TopicPartition, Position>> {
    if partitions.is_empty() {
        return Ok(HashMap::new());
    }
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    let mut names: HashMap<&str, &Arc<str>> = HashMap::new();
    for (topic, partition) in partitions {
        list.add_partition_offset(topic, *partition, KafkaOffset::from_raw(time))?;
        names.insert(topic, topic);
    }
    let answer = consumer.offsets_for_times(list, patience)?;
    let mut positions = HashMap::with_capacity(partitions.len());
    for element in answer.elements() {
        if let (Ok(()), KafkaOffset::Offset(offset), Some(topic)) =
            (element.error(), element.offset(), names.get(element.topic()))
        {
            positions.insert((Arc::clone(topic), element.partition()), Position(offset));
        }
    }
    Ok(positions)
}

fn led<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
    patience: Duration,
) -> KafkaResult<Vec<TopicPartition>> {
    let metadata = consumer.fetch_metadata(None, patience)?;
    let leaders: HashMap<(&str, i32), i32> = metadata
        .topics()
        .iter()
        .flat_map(|topic| {
            let partitions = topic.partitions().iter();
            partitions.map(|partition| ((topic.name(), partition.id()), partition.leader()))
        })
        .collect();
    let is_led = |(topic, number): &&TopicPartition| {
        leaders
            .get(&(&**topic, *number))
            .is_some_and(|leader| *leader >= 0)
    };
    Ok(partitions.iter().filter(is_led).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_retention_took_is_not_behind_and_nothing_is_less_than_zero_behind() {
        let extent = Extent {
            log_start: Position(40),
            end: Position(100),
        };
        for (position, behind) in [(0, 60), (40, 60), (70, 30), (100, 0), (120, 0)] {
            assert_eq!(extent.behind(Position(position)), behind, "{position}");
        }
    }
}
