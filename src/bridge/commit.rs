//! Commits: what is settled, every `delivery.commit_interval`, one request at a time.

use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset as KafkaOffset, TopicPartitionList};

use super::lane::Lane;
use super::pump::Pump;
use crate::exit::Exit;
use crate::progress::{Position, Progress};
use crate::source::assignment::{Partition, PauseReason};
use crate::source::client::commit;

/// A commit without an answer for this long is taken for lost and sent again.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(15);

/// A commit that failed is sent again after this long at the earliest.
const RETRY_AFTER: Duration = Duration::from_millis(100);

impl Pump {
    /// Commits what is settled, when it is time.
    pub(super) fn commit_if_due(&mut self, now: Instant) {
        if now.duration_since(self.last_commit) >= self.config.delivery.commit_interval {
            self.last_commit = now;
            self.commit_where(|_| true);
        }
    }

    /// Whether a commit is on its way.
    pub(super) fn is_committing(&self) -> bool {
        self.commit_sent
            .is_some_and(|sent| sent.elapsed() < COMMIT_TIMEOUT)
    }

    /// Commits the chosen partitions, unless a commit is on its way already.
    pub(super) fn commit_where(&mut self, chosen: impl Fn(&Partition<Lane>) -> bool) {
        if self.is_committing() || self.commit_not_before.is_some_and(|at| Instant::now() < at) {
            return;
        }
        let mut list = TopicPartitionList::new();
        for partition in self.assignment.iter_mut().filter(|partition| chosen(partition)) {
            let position = to_commit(&partition.progress);
            if position != partition.committed && !partition.paused.contains(PauseReason::Fenced) {
                let mut element = list.add_partition(&partition.topic, partition.number);
                element.set_metadata(&*partition.note);
                if let Err(error) = element.set_offset(KafkaOffset::Offset(position.0)) {
                    tracing::error!(%error, offset = position.0, "no offset to commit");
                }
            }
        }
        if list.count() == 0 {
            return;
        }
        match commit(&self.consumer, &list) {
            Ok(()) => self.commit_sent = Some(Instant::now()),
            Err(error) => self.commit_failed(&error),
        }
    }

    /// Kafka has answered a commit.
    pub(super) fn committed(&mut self, result: Result<(), RDKafkaErrorCode>, offsets: &TopicPartitionList) {
        self.commit_sent = None;
        if let Err(code) = result {
            return self.commit_failed(&KafkaError::ConsumerCommit(code));
        }
        let mut refused = None;
        for element in offsets.elements() {
            let KafkaOffset::Offset(offset) = element.offset() else {
                continue;
            };
            if let Err(error) = element.error() {
                refused = Some(error);
                continue;
            }
            let slot = self.assignment.find(element.topic(), element.partition());
            let Some(partition) = slot.and_then(|slot| self.assignment.get_mut(slot)) else {
                continue;
            };
            partition.committed = Position(offset);
            let labels = [
                &*self.config.kafka.group_id,
                element.topic(),
                &element.partition().to_string(),
            ];
            self.metrics
                .committed_offset
                .with_label_values(&labels)
                .set(offset);
        }
        match refused {
            Some(error) => self.commit_failed(&error),
            None => {
                self.metrics.commits.with_label_values(&["ok"]).inc();
                if std::mem::replace(&mut self.commits_failing, false) {
                    tracing::info!("commits succeed again");
                }
            }
        }
    }

    /// A commit that failed is sent again at its next turn, with what is settled by then. When the group has moved
    /// on, another assignment is on its way and the next owner takes over.
    fn commit_failed(&mut self, error: &KafkaError) {
        self.metrics.commits.with_label_values(&["error"]).inc();
        self.commit_not_before = Some(Instant::now() + RETRY_AFTER);
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::FencedInstanceId) {
            tracing::error!("another member has taken this group.instance.id: give each copy its own");
            self.fatal = Some(Exit::Software);
        } else if !std::mem::replace(&mut self.commits_failing, true) {
            tracing::warn!(%error, "a commit failed; trying again");
        }
    }
}

/// What may be committed of a partition.
#[cfg(not(feature = "broken-commit-first"))]
fn to_commit(progress: &Progress) -> Position {
    progress.position()
}

/// What must not be committed: what was read, whether or not it has come out. For the suite of faults to catch.
#[cfg(feature = "broken-commit-first")]
fn to_commit(progress: &Progress) -> Position {
    progress.delivered()
}
