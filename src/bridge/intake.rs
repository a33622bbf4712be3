//! A record comes in: it is derived while it is still borrowed, and its commands enter the open batch.

use super::lane::OpenPart;
use super::pump::Pump;
use crate::derive::{Derivation, Options, Reason, Rejection};
use crate::dlq::letter::Letter;
use crate::dlq::producer::Parcel;
use crate::observe::books::{AbandonReason, DropReason, Outcome, SkipReason};
use crate::observe::metrics::now_ms;
use crate::progress::{Offset, Position, Progress};
use crate::publish::batch::NO_TIMESTAMP;
use crate::source::message::{Message, MessageHeaders, record};

/// Where a record belongs.
enum Place {
    /// It is read for the first time.
    New,
    /// It was read before, and these of its channels were refused.
    Again(u16),
    /// It was read before and is settled, or on its way.
    Seen,
}

impl Pump {
    /// Takes one record of a partition.
    pub(super) fn take(&mut self, slot: u32, message: Message<'_>) {
        match self.place(slot, Offset(message.offset())) {
            Place::New => self.take_new(slot, message),
            Place::Again(channels) => self.take_again(slot, message, channels),
            Place::Seen => {}
        }
    }

    fn place(&mut self, slot: u32, offset: Offset) -> Place {
        let Some(partition) = self.assignment.get_mut(slot) else {
            return Place::Seen;
        };
        if let Some(seen_before) = partition.state.refusals.seen_before {
            return self.place_again(slot, offset, seen_before);
        }
        if offset.next() > partition.progress.delivered() {
            return Place::New;
        }
        self.log_was_reset(slot, offset);
        Place::New
    }

    /// While a partition is read again from an earlier position, most of its records were seen already.
    fn place_again(&mut self, slot: u32, offset: Offset, seen_before: Position) -> Place {
        self.give_up_vanished(slot, offset);
        let Some(partition) = self.assignment.get_mut(slot) else {
            return Place::Seen;
        };
        if offset.next() > seen_before {
            partition.state.refusals.seen_before = None;
            return Place::New;
        }
        match partition.state.refusals.records.get(&offset) {
            Some(refusal) if !refusal.under_way => Place::Again(refusal.channels),
            _ => Place::Seen,
        }
    }

    /// Offsets start over: the topic was deleted and made again behind the consumer's back.
    fn log_was_reset(&mut self, slot: u32, offset: Offset) {
        let generation = self.assignment.next_generation();
        let Some(partition) = self.assignment.get_mut(slot) else {
            return;
        };
        tracing::warn!(
            topic = &*partition.topic,
            partition = partition.number,
            offset = offset.0,
            expected = partition.progress.delivered().0,
            "the log was made anew; reading it from its beginning"
        );
        let outcome = Outcome::Abandoned(AbandonReason::AssignmentLost);
        self.ledger
            .settled(partition.topic_id, outcome, partition.progress.held());
        partition.generation = generation;
        partition.progress = Progress::new(Position(offset.0));
        let allowance = super::rebalance::allowance(&self.config);
        let parked = std::mem::take(&mut partition.state.parked);
        partition.state = super::lane::Lane::new(allowance);
        partition.state.parked = parked;
    }

    fn take_new(&mut self, slot: u32, message: Message<'_>) {
        let Some(partition) = self.assignment.get_mut(slot) else {
            return;
        };
        self.ledger.consumed(partition.topic_id);
        let delivered = partition.progress.delivered();
        if message.offset() > delivered.0 {
            let to = Position(message.offset());
            partition.state.retention.jumped(delivered, to);
        }
        if partition.route.is_none() {
            if !std::mem::replace(&mut partition.state.no_route_told, true) {
                tracing::warn!(
                    topic = &*partition.topic,
                    "no route serves this topic: its records are skipped"
                );
            }
            return self.skip(slot, message, SkipReason::NoRoute);
        }
        if self.is_too_old(message) {
            return self.skip(slot, message, SkipReason::TooOld);
        }
        match self.derive(slot, message, None) {
            Some(Derivation::Ready { commands }) => {
                // Sixteen channels at most, so the shift doesn't overflow thirty-two bits.
                let channels = u16::try_from((1u32 << commands) - 1).unwrap_or(u16::MAX);
                self.note_good(slot);
                self.enter_batch(slot, message, channels);
            }
            Some(Derivation::Skip(skip)) => self.skip(slot, message, skip.into()),
            Some(Derivation::Reject(rejection)) => {
                self.hold(slot, message);
                self.reject(slot, message, &rejection);
            }
            None => {}
        }
    }

    /// A record of which some channels were refused comes by once more.
    fn take_again(&mut self, slot: u32, message: Message<'_>, channels: u16) {
        let offset = Offset(message.offset());
        if self.is_refusal_final(slot, offset) {
            self.remember_denied(slot, message, channels);
            let rejection = Rejection::new(
                Reason::ChannelDenied,
                "Redis refuses this user a channel of the record",
            );
            self.forget_refusal(slot, offset);
            self.reject(slot, message, &rejection);
        } else {
            match self.derive(slot, message, Some(channels)) {
                Some(Derivation::Ready { .. }) => self.enter_batch_again(slot, message, channels),
                Some(Derivation::Reject(rejection)) => {
                    self.forget_refusal(slot, offset);
                    self.reject(slot, message, &rejection);
                }
                Some(Derivation::Skip(_)) | None => {}
            }
        }
        self.review_refusals(slot);
    }

    pub(super) fn derive(
        &mut self,
        slot: u32,
        message: Message<'_>,
        only: Option<u16>,
    ) -> Option<Derivation> {
        let partition = self.assignment.get(slot)?;
        let route = partition.route.as_ref()?;
        let headers = MessageHeaders::of(message);
        let record = record(message, &partition.topic, &headers);
        let denied = &self.denied;
        let is_denied = |channel: &[u8]| denied.contains(channel);
        let options = Options {
            replayed: false,
            only: only.map(u64::from),
            wanted: None,
            denied: if denied.is_empty() { None } else { Some(&is_denied) },
        };
        Some(self.deriver.derive(route, &record, options, &mut self.open))
    }

    fn is_too_old(&self, message: Message<'_>) -> bool {
        let Some(max_age) = self.config.delivery.max_age else {
            return false;
        };
        let age = message
            .timestamp_ms()
            .map(|timestamp| now_ms().saturating_sub(timestamp));
        age.is_some_and(|age| u128::try_from(age).is_ok_and(|age| age > max_age.as_millis()))
    }

    fn skip(&mut self, slot: u32, message: Message<'_>, reason: SkipReason) {
        if let Some(partition) = self.assignment.get_mut(slot) {
            partition.progress.settle_at_once(Offset(message.offset()));
            self.ledger
                .settled(partition.topic_id, Outcome::Skipped(reason), 1);
        }
    }

    fn note_good(&mut self, slot: u32) {
        if let Some(partition) = self.assignment.get_mut(slot)
            && partition.state.guard.good()
        {
            let (topic, number) = (&*partition.topic, partition.number);
            tracing::info!(
                topic,
                partition = number,
                "the guard ends: records are good again"
            );
        }
    }

    fn hold(&mut self, slot: u32, message: Message<'_>) {
        if let Some(partition) = self.assignment.get_mut(slot) {
            let timestamp = message.timestamp_ms().unwrap_or(NO_TIMESTAMP);
            partition.progress.hold(Offset(message.offset()), timestamp);
        }
    }

    /// The commands are in the open batch: enters where they came from.
    fn enter_batch(&mut self, slot: u32, message: Message<'_>, channels: u16) {
        let Some(partition) = self.assignment.get_mut(slot) else {
            return;
        };
        let offset = Offset(message.offset());
        let timestamp = message.timestamp_ms().unwrap_or(NO_TIMESTAMP);
        let here = partition.state.open.filter(|open| open.batch == self.open_number);
        let part = match here {
            Some(open) if partition.progress.join(open.span, offset) => open.part,
            _ => {
                partition.progress.hold(offset, timestamp);
                let part = self.open.start_part(slot, partition.generation, offset);
                partition.state.open = Some(OpenPart {
                    batch: self.open_number,
                    part,
                    span: offset,
                });
                part
            }
        };
        self.open.add(part, channels, offset, timestamp);
        self.note_trace(slot);
    }

    /// The same for a record that is a span of its own already.
    fn enter_batch_again(&mut self, slot: u32, message: Message<'_>, channels: u16) {
        let Some(partition) = self.assignment.get_mut(slot) else {
            return;
        };
        let offset = Offset(message.offset());
        if let Some(refusal) = partition.state.refusals.records.get_mut(&offset) {
            refusal.under_way = true;
        }
        let part = self.open.start_part(slot, partition.generation, offset);
        let timestamp = message.timestamp_ms().unwrap_or(NO_TIMESTAMP);
        self.open.add(part, channels, offset, timestamp);
        self.note_trace(slot);
    }

    /// The record, already held, can't become a notification.
    fn reject(&mut self, slot: u32, message: Message<'_>, rejection: &Rejection) {
        let offset = Offset(message.offset());
        if rejection.reason == Reason::ChannelDenied && !self.is_at_least_once() {
            return self.settle_one(slot, offset, Outcome::Dropped(DropReason::ChannelDenied));
        }
        let Some(partition) = self.assignment.get(slot) else {
            return;
        };
        let parcel = Box::new(Parcel {
            letter: Letter::new(message, &self.config.kafka.group_id, rejection),
            slot,
            generation: partition.generation,
            offset,
            reason: rejection.reason,
            source: (partition.topic.clone(), partition.number),
        });
        self.post_when_admitted(parcel);
    }

    /// A record that is a span of its own is settled.
    pub(super) fn settle_one(&mut self, slot: u32, offset: Offset, outcome: Outcome) {
        if let Some(partition) = self.assignment.get_mut(slot) {
            let settled = partition.progress.settle(offset, &[]);
            self.ledger
                .settled(partition.topic_id, outcome, u64::from(settled));
        }
    }
}
