//! Where an assigned partition starts, and why.

use std::sync::Arc;

use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::{Offset as KafkaOffset, TopicPartitionList};

use super::offsets::{Commits, TopicPartition};
use super::start::Note;
use crate::progress::Position;

/// Where an assigned partition starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its number.
    pub partition: i32,
    /// Where reading starts.
    pub position: Position,
    /// What is committed, unless `fenced`: the same, as this module decides it.
    pub committed: Position,
    /// The metadata of its commits.
    pub note: Arc<str>,
    /// The end of the log when that was found out.
    pub end: Position,
    /// There was no commit: the start was decided just now.
    pub fresh: bool,
    /// How many records retention deleted behind the group's back.
    pub lost: i64,
    /// The group has moved on: another assignment follows, this one is not to be read.
    pub fenced: bool,
}

impl Resolved {
    /// The start was decided just now.
    pub fn fresh(
        (topic, partition): &TopicPartition,
        position: Position,
        end: Position,
        note: &Note,
    ) -> Self {
        tracing::info!(topic = &**topic, partition, offset = position.0, "start decided");
        Self {
            topic: Arc::clone(topic),
            partition: *partition,
            position,
            committed: position,
            note: note.to_string().into(),
            end,
            fresh: true,
            lost: 0,
            fenced: false,
        }
    }

    /// A partition with a commit goes on there, unless the log has no such offset any more. The flag tells that there is
    /// something new to commit.
    pub fn committed(
        key: &TopicPartition,
        commits: &Commits,
        (beginning, end): (Position, Position),
    ) -> (Self, bool) {
        let (topic, partition) = key;
        let (committed, note) = commits.get(key).cloned().unwrap_or((beginning, String::new()));
        let (position, lost) = if committed < beginning {
            tracing::warn!(
                topic = &**topic,
                partition,
                committed = committed.0,
                log_start = beginning.0,
                "retention has overtaken the committed offset; going on at the log start"
            );
            (beginning, beginning.0 - committed.0)
        } else if committed > end {
            tracing::warn!(
                topic = &**topic,
                partition,
                committed = committed.0,
                end = end.0,
                "the log ends before the committed offset, so it was made anew; reading it from its beginning"
            );
            (beginning, 0)
        } else {
            (committed, 0)
        };
        let resolved = Self {
            topic: Arc::clone(topic),
            partition: *partition,
            position,
            committed: position,
            note: note.into(),
            end,
            fresh: false,
            lost,
            fenced: false,
        };
        (resolved, position != committed)
    }

    /// Adds it to what is to be committed.
    pub fn add_to(&self, list: &mut TopicPartitionList) -> KafkaResult<()> {
        let mut element = list.add_partition(&self.topic, self.partition);
        element.set_offset(KafkaOffset::Offset(self.position.0))?;
        element.set_metadata(&*self.note);
        Ok(())
    }
}
