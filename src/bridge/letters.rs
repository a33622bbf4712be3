//! Dead letters on their way: admitted by the guard, written, acknowledged or tried again. A partition whose
//! letters can't be written waits; others go on.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;

use super::pump::Pump;
use crate::dlq::guard::Admission;
use crate::dlq::producer::{Parcel, Receipt, is_too_large};
use crate::observe::books::Outcome;
use crate::source::assignment::PauseReason;

/// A letter that could not be written is tried again after this long.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// A guard that admits a letter more often than this keeps a few at hand.
const SHORT_WAIT: Duration = Duration::from_millis(500);
/// So many of one partition.
const MAX_HELD: usize = 64;
/// One that the producer's queue had no room for, after this long.
const ROOM_AFTER: Duration = Duration::from_millis(50);

impl Pump {
    /// Writes a dead letter now or, if the guard says so, later; until then its partition waits.
    pub(super) fn post_when_admitted(&mut self, parcel: Box<Parcel>) {
        let slot = parcel.slot;
        self.any_waiting = true;
        let Some(partition) = self.assignment.get_mut(slot) else {
            return;
        };
        let now = Instant::now();
        let was_active = partition.state.guard.is_active();
        let admission = match partition.state.letters.held_back.is_empty() {
            true => partition.state.guard.admit(now),
            false => Admission::At(now),
        };
        if !was_active && partition.state.guard.is_active() {
            tracing::warn!(
                topic = &*partition.topic,
                partition = partition.number,
                "the guard begins: too many dead letters; from now on only a few are admitted"
            );
        }
        match admission {
            Admission::Now => self.post(parcel),
            Admission::At(time) => {
                let letters = &mut partition.state.letters;
                letters.held_back.push_back(parcel);
                letters.held_until.get_or_insert(time);
                if letters.held_back.len() > self.letters_held_unpaused() {
                    self.set_paused(slot, PauseReason::Guard, true);
                }
            }
        }
    }

    /// How many letters may wait for the guard before their partition is paused. None as a rule. Going on after a
    /// pause takes librdkafka up to half a second, so a guard that admits more often keeps a few at hand.
    fn letters_held_unpaused(&self) -> usize {
        let interval = 1.0 / self.config.dlq.guard.rate;
        if interval < SHORT_WAIT.as_secs_f64() {
            MAX_HELD
        } else {
            0
        }
    }

    fn post(&mut self, parcel: Box<Parcel>) {
        if let Some(partition) = self.assignment.current(parcel.slot, parcel.generation) {
            let entry = (Instant::now(), parcel.letter.bytes());
            partition.state.letters.sent.entry(parcel.offset).or_insert(entry);
            if let Err(receipt) = self.letters.send(parcel) {
                self.take_receipt(receipt);
            }
        }
    }

    /// Takes what the producer has answered.
    pub(super) fn take_receipts(&mut self) {
        while let Some(receipt) = self.letters.receipt() {
            self.take_receipt(receipt);
        }
    }

    fn take_receipt(&mut self, receipt: Receipt) {
        let Receipt { mut parcel, result } = receipt;
        let Some(partition) = self.assignment.current(parcel.slot, parcel.generation) else {
            return;
        };
        let letters = &mut partition.state.letters;
        let Err(error) = result else {
            letters.sent.remove(&parcel.offset);
            if std::mem::replace(&mut letters.failing, false) {
                let (topic, number) = (&*partition.topic, partition.number);
                tracing::info!(topic, partition = number, "dead letters can be written again");
            }
            let reason = parcel.reason;
            self.metrics
                .dlq_produced
                .with_label_values(&[&*parcel.source.0, reason.as_str()])
                .inc();
            return self.settle_one(parcel.slot, parcel.offset, Outcome::DeadLettered(reason));
        };
        if is_too_large(&error) && parcel.letter.shrink() {
            return self.post(parcel);
        }
        letters.sent.remove(&parcel.offset);
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) {
            letters.again_at = Some(Instant::now() + ROOM_AFTER);
            letters.again.push_back(parcel);
            return;
        }
        self.metrics.dlq_failures.inc();
        if !std::mem::replace(&mut letters.failing, true) {
            tracing::error!(
                topic = &*partition.topic, partition = partition.number, offset = parcel.offset.0,
                dlq = self.config.dlq.topic, %error,
                "a dead letter can't be written: its partition waits until it can"
            );
        }
        letters.again_at = Some(Instant::now() + RETRY_AFTER);
        letters.again.push_back(parcel);
        self.letters.recover(&error);
    }

    /// Tries again what is due.
    pub(super) fn retry_letters(&mut self, now: Instant) {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let slots: Vec<u32> = self
            .assignment
            .iter()
            .filter(|(_, p)| due(p.state.letters.again_at) || due(p.state.letters.held_until))
            .map(|(slot, _)| slot)
            .collect();
        for slot in slots {
            let Some(partition) = self.assignment.get_mut(slot) else {
                continue;
            };
            let letters = &mut partition.state.letters;
            let again = if due(letters.again_at) {
                std::mem::take(&mut letters.again)
            } else {
                Default::default()
            };
            if !again.is_empty() {
                letters.again_at = None;
            }
            let admitted = admit_held_back(partition, now);
            let held = partition.state.letters.held_back.len();
            again
                .into_iter()
                .chain(admitted)
                .for_each(|parcel| self.post(parcel));
            if held <= self.letters_held_unpaused() / 2 {
                self.set_paused(slot, PauseReason::Guard, false);
            }
        }
    }
}

/// The letters that the guard admits now.
fn admit_held_back(
    partition: &mut crate::source::assignment::Partition<super::lane::Lane>,
    now: Instant,
) -> VecDeque<Box<Parcel>> {
    let lane = &mut partition.state;
    let mut admitted = VecDeque::new();
    if lane.letters.held_until.is_none_or(|at| at > now) {
        return admitted;
    }
    lane.letters.held_until = None;
    while let Some(parcel) = lane.letters.held_back.pop_front() {
        match lane.guard.admit(now) {
            Admission::Now => admitted.push_back(parcel),
            Admission::At(time) => {
                lane.letters.held_back.push_front(parcel);
                lane.letters.held_until = Some(time);
                break;
            }
        }
    }
    admitted
}
