//! Records between librdkafka and the stages behind: taken in one go, looked at one by one.
//!
//! A pause takes effect in librdkafka at once, but not on what was taken from it before. That is parked with its
//! partition, and comes first when the partition goes on.

use rdkafka::client::ClientContext as _;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::lane::Lane;
use super::pump::Pump;
use crate::source::assignment::Partition;
use crate::source::records::Fetched;

impl Pump {
    /// Takes one record, unless its partition waits.
    pub(super) fn receive(&mut self, fetched: Fetched) {
        if let Some((code, reason)) = fetched.error() {
            return self.partition_failed(code, &reason);
        }
        let message = fetched.message();
        // A record of a partition that has just been given away is its next owner's.
        let Some(slot) = self.assignment.find(message.topic(), message.partition()) else {
            return;
        };
        if self.assignment.get(slot).is_some_and(is_flowing) {
            return self.take(slot, message);
        }
        self.park(slot, fetched);
    }

    fn park(&mut self, slot: u32, fetched: Fetched) {
        if let Some(partition) = self.assignment.get_mut(slot) {
            partition.state.parked.push_back(fetched);
            self.any_parked = true;
        }
    }

    /// There is no room for what else was taken.
    pub(super) fn park_rest(&mut self) {
        while let Some(fetched) = self.records.pop() {
            let message = fetched.message();
            if fetched.error().is_some() {
                self.receive(fetched);
            } else if let Some(slot) = self.assignment.find(message.topic(), message.partition()) {
                self.park(slot, fetched);
            }
        }
    }

    /// Takes the parked records of partitions that don't wait any more. Returns whether there was room for all.
    pub(super) fn take_parked(&mut self) -> bool {
        if !self.any_parked {
            return true;
        }
        let slots: Vec<u32> = self
            .assignment
            .iter()
            .filter(|(_, partition)| !partition.state.parked.is_empty())
            .map(|(slot, _)| slot)
            .collect();
        for slot in slots {
            while let Some(fetched) = self.next_parked(slot) {
                self.take(slot, fetched.message());
                if !self.make_room() {
                    return false;
                }
            }
        }
        self.any_parked = self.assignment.iter().any(|(_, p)| !p.state.parked.is_empty());
        true
    }

    fn next_parked(&mut self, slot: u32) -> Option<Fetched> {
        let partition = self.assignment.get_mut(slot)?;
        if partition.paused.is_empty() {
            partition.state.parked.pop_front()
        } else {
            None
        }
    }

    /// librdkafka tells of a partition that it can't read; it goes on trying by itself.
    fn partition_failed(&self, code: RDKafkaErrorCode, reason: &str) {
        let context = self.consumer.context();
        context.error(KafkaError::MessageConsumption(code), reason);
    }
}

/// Whether the next record of a partition may be looked at.
fn is_flowing(partition: &Partition<Lane>) -> bool {
    partition.paused.is_empty() && partition.state.parked.is_empty()
}
