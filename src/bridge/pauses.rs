//! Pausing and resuming partitions. librdkafka forgets what it has prefetched when a partition is paused, so this is
//! for waits, never a routine brake.

use std::time::Instant;

use rdkafka::consumer::Consumer as _;
use rdkafka::topic_partition_list::TopicPartitionList;

use super::pump::Pump;
use crate::source::assignment::PauseReason;

impl Pump {
    /// Adds a reason to pause a partition, or takes it away.
    pub(super) fn set_paused(&mut self, slot: u32, reason: PauseReason, on: bool) {
        let Some(partition) = self.assignment.get_mut(slot) else {
            return;
        };
        let before = partition.paused;
        partition.paused = before.with(reason, on);
        if partition.paused == before {
            return;
        }
        if before.is_empty() != partition.paused.is_empty() {
            let mut list = TopicPartitionList::new();
            list.add_partition(&partition.topic, partition.number);
            self.apply_pause(&list, on);
        }
        self.count_paused(reason);
    }

    /// The same for all partitions, in one call.
    pub(super) fn pause_all(&mut self, reason: PauseReason, on: bool) {
        let mut list = TopicPartitionList::new();
        for partition in self.assignment.iter_mut() {
            let before = partition.paused;
            partition.paused = before.with(reason, on);
            if before.is_empty() != partition.paused.is_empty() {
                list.add_partition(&partition.topic, partition.number);
            }
        }
        self.apply_pause(&list, on);
        self.count_paused(reason);
    }

    fn apply_pause(&self, list: &TopicPartitionList, on: bool) {
        if list.count() == 0 {
            return;
        }
        let applied = if on {
            self.consumer.pause(list)
        } else {
            self.consumer.resume(list)
        };
        if let Err(error) = applied {
            tracing::warn!(%error, on, "pausing or resuming failed");
        }
    }

    /// A partition waits while its dead letters can't be written, and goes on when they are.
    pub(super) fn review_pauses(&mut self, now: Instant) {
        let changes: Vec<(u32, bool)> = self
            .assignment
            .iter()
            .filter_map(|(slot, partition)| {
                let letters = &partition.state.letters;
                let paused = partition.paused.contains(PauseReason::Dlq);
                match paused {
                    false if letters.must_wait(now) => Some((slot, true)),
                    true if letters.is_idle() && !letters.failing => Some((slot, false)),
                    _ => None,
                }
            })
            .collect();
        for (slot, on) in changes {
            self.tell_letters(slot, on, now);
            self.set_paused(slot, PauseReason::Dlq, on);
        }
    }

    fn tell_letters(&self, slot: u32, waits: bool, now: Instant) {
        let Some(partition) = self.assignment.get(slot) else {
            return;
        };
        let sent = &partition.state.letters.sent;
        let oldest = sent.values().map(|(since, _)| now.duration_since(*since)).max();
        tracing::debug!(
            topic = &*partition.topic,
            partition = partition.number,
            waits,
            letters = sent.len(),
            oldest = ?oldest.unwrap_or_default(),
            "dead letters that are not acknowledged"
        );
    }

    pub(super) fn count_paused(&self, reason: PauseReason) {
        let paused = self
            .assignment
            .iter()
            .filter(|(_, partition)| partition.paused.contains(reason))
            .count();
        let gauge = self
            .metrics
            .paused_partitions
            .with_label_values(&[reason.as_str()]);
        gauge.set(i64::try_from(paused).unwrap_or(i64::MAX));
    }
}
