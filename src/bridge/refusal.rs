//! Records of which Redis refuses a channel while it takes others. Their partition waits and is read again from
//! there; after `delivery.retry_for` the refusal is final. Nothing is copied for the sake of this: the log has it.

use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::topic_partition_list::{Offset as KafkaOffset, TopicPartitionList};

use super::lane::Refusal;
use super::pump::Pump;
use crate::derive::{CommandSink, Options};
use crate::observe::books::{DropReason, Outcome};
use crate::progress::Offset;
use crate::source::assignment::PauseReason;
use crate::source::message::{Message, MessageHeaders, record};

/// A refused channel is tried again this often, more or less.
const RETRIES: u32 = 4;
const MIN_INTERVAL: Duration = Duration::from_millis(50);
const MAX_INTERVAL: Duration = Duration::from_millis(500);
/// Going back in the log may take this long.
const SEEK_TIMEOUT: Duration = Duration::from_secs(5);

impl Pump {
    /// Redis has refused channels of a record.
    pub(super) fn note_refusal(&mut self, slot: u32, offset: Offset, channels: u16) {
        let now = Instant::now();
        let interval = (self.config.delivery.retry_for / RETRIES).clamp(MIN_INTERVAL, MAX_INTERVAL);
        let Some(partition) = self.assignment.get_mut(slot) else {
            return;
        };
        let refusals = &mut partition.state.refusals;
        let fresh = Refusal {
            channels,
            since: now,
            under_way: false,
        };
        let refusal = refusals.records.entry(offset).or_insert(fresh);
        refusal.channels = channels;
        refusal.under_way = false;
        refusals.again_at.get_or_insert(now + interval);
        self.any_waiting = true;
        self.set_paused(slot, PauseReason::ChannelDenied, true);
    }

    /// Whether a refusal has lasted for long enough. In `at_least_once` only if other publishes succeeded
    /// meanwhile: a user that may publish nowhere is a wrong configuration, and no reason for dead letters.
    pub(super) fn is_refusal_final(&mut self, slot: u32, offset: Offset) -> bool {
        let Some(partition) = self.assignment.get(slot) else {
            return false;
        };
        let Some(refusal) = partition.state.refusals.records.get(&offset) else {
            return false;
        };
        if refusal.since.elapsed() < self.config.delivery.retry_for {
            return false;
        }
        let others_succeed = self.last_published.is_some_and(|at| at >= refusal.since);
        if !others_succeed {
            self.health.redis().refuses_all_channels();
        }
        others_succeed || !self.is_at_least_once()
    }

    pub(super) fn remember_denied(&mut self, slot: u32, message: Message<'_>, channels: u16) {
        struct Channels(Vec<Vec<u8>>);
        impl CommandSink for Channels {
            fn publish(&mut self, channel: &[u8], _payload: &[u8]) {
                self.0.push(channel.to_vec());
            }
        }
        let Some(partition) = self.assignment.get(slot) else {
            return;
        };
        let Some(route) = &partition.route else { return };
        let headers = MessageHeaders::of(message);
        let record = record(message, &partition.topic, &headers);
        let mut refused = Channels(Vec::new());
        let options = Options {
            replayed: false,
            only: Some(u64::from(channels)),
            ..Options::default()
        };
        // Derived before with the same result; only the names are of interest.
        let _ = self.deriver.derive(route, &record, options, &mut refused);
        for channel in refused.0 {
            let name = String::from_utf8_lossy(&channel).into_owned();
            if self.denied.insert(channel, Instant::now()) {
                tracing::warn!(
                    channel = name,
                    "Redis refuses this user the channel: its records are dead letters, or dropped in best_effort; \
                     grant it with ACL SETUSER <user> &<pattern>"
                );
            }
        }
    }

    /// The record is settled one way or another.
    pub(super) fn forget_refusal(&mut self, slot: u32, offset: Offset) {
        if let Some(partition) = self.assignment.get_mut(slot) {
            partition.state.refusals.records.remove(&offset);
        }
    }

    /// After a step: goes on when nothing is refused any more, waits while anything is.
    pub(super) fn review_refusals(&mut self, slot: u32) {
        let Some(partition) = self.assignment.get(slot) else {
            return;
        };
        let refusals = &partition.state.refusals;
        let to_read = refusals.records.values().any(|refusal| !refusal.under_way);
        let waiting = !refusals.records.is_empty() && (!to_read || refusals.again_at.is_some());
        self.set_paused(slot, PauseReason::ChannelDenied, waiting);
    }

    /// Goes back to refused records whose time has come.
    pub(super) fn retry_refused(&mut self, now: Instant) {
        let due: Vec<u32> = self
            .assignment
            .iter()
            .filter(|(_, p)| p.state.refusals.again_at.is_some_and(|at| at <= now))
            .filter(|(_, p)| !p.paused.contains(PauseReason::Revoking))
            .map(|(slot, _)| slot)
            .collect();
        for slot in due {
            self.go_back(slot);
        }
    }

    fn go_back(&mut self, slot: u32) {
        let Some(partition) = self.assignment.get_mut(slot) else {
            return;
        };
        let refusals = &mut partition.state.refusals;
        refusals.again_at = None;
        let first = refusals
            .records
            .iter()
            .find(|(_, refusal)| !refusal.under_way)
            .map(|(offset, _)| *offset);
        let Some(first) = first else { return };
        refusals.seen_before = Some(partition.progress.delivered());
        let (topic, number) = (partition.topic.clone(), partition.number);
        // A seek takes effect only on a partition that is read.
        self.set_paused(slot, PauseReason::ChannelDenied, false);
        let mut list = TopicPartitionList::new();
        let sought = list
            .add_partition_offset(&topic, number, KafkaOffset::Offset(first.0))
            .and_then(|()| self.consumer.seek_partitions(list, SEEK_TIMEOUT))
            .and_then(|list| list.elements().iter().try_for_each(|element| element.error()));
        let partition = self.assignment.get_mut(slot);
        if let (Ok(()), Some(partition)) = (&sought, partition) {
            // They come again.
            partition.state.parked.clear();
        }
        if let Err(error) = sought {
            tracing::warn!(topic = &*topic, partition = number, offset = first.0, %error, "going back failed");
            if let Some(partition) = self.assignment.get_mut(slot) {
                partition.state.refusals.again_at = Some(Instant::now() + MAX_INTERVAL);
            }
            self.set_paused(slot, PauseReason::ChannelDenied, true);
        }
    }

    /// Records that the log doesn't have any more can't be tried again.
    pub(super) fn give_up_vanished(&mut self, slot: u32, reached: Offset) {
        let Some(partition) = self.assignment.get_mut(slot) else {
            return;
        };
        let records = &mut partition.state.refusals.records;
        let vanished: Vec<Offset> = records
            .range(..reached)
            .filter(|(_, refusal)| !refusal.under_way)
            .map(|(offset, _)| *offset)
            .collect();
        for offset in vanished {
            if let Some(partition) = self.assignment.get_mut(slot) {
                partition.state.refusals.records.remove(&offset);
                tracing::error!(
                    topic = &*partition.topic,
                    partition = partition.number,
                    offset = offset.0,
                    "a record with a refused channel was deleted by retention before it could be tried again"
                );
            }
            self.settle_one(slot, offset, Outcome::Dropped(DropReason::ChannelDenied));
        }
    }
}
