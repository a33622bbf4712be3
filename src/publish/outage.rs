//! What a failure does to the batches under way: they are tried again, expire or are dropped, and the circuit opens
//! and gets its trial.

use std::collections::VecDeque;

use tokio::time::{Instant, sleep};

use super::batch::Batch;
use super::error::{ErrorClass, Fault};
use super::flight::Flight;
use super::verdict::{Dropped, Policy, Verdict};
use super::writer::{MAX_BACKOFF, ROLE_CHECK_INTERVAL, Writer};

impl Writer {
    /// Redis gets another chance. In `best_effort` the next failure opens the circuit again at once.
    pub(super) fn begin_trial(&mut self) {
        self.set_circuit(false);
        self.on_trial = self.policy.drops();
    }

    /// The connection stands but publishes fail: drops what comes, and after a while gives Redis another chance.
    pub(super) async fn wait_for_trial(&mut self) {
        self.drop_all(Dropped::RedisDown);
        self.pause().await;
        self.begin_trial();
        self.tell_gap();
    }

    /// The trial takes long. It goes on, but Redis counts as down again, so that what comes meanwhile drops at once
    /// and reading doesn't stall.
    pub(super) fn end_patience(&mut self) {
        self.set_circuit(true);
        self.drop_all(Dropped::RedisDown);
    }

    /// Tells subscribers what they missed, if that is still to be told.
    pub(super) fn tell_gap(&mut self) {
        let Some(batch) = self.gap.take_message() else {
            return;
        };
        let message = Flight::control(batch, self.deadline());
        if self.is_awaiting() {
            self.flights.push_back(message);
        } else {
            self.flights.push_front(message);
        }
    }

    /// Waits before the next attempt.
    pub(super) async fn pause(&mut self) {
        let delay = self.backoff.next().unwrap_or(MAX_BACKOFF);
        self.serve_while(sleep(delay)).await;
    }

    /// Some commands failed though the connection stands: wait, then try them again.
    pub(super) async fn retry(&mut self) {
        self.note_outage();
        if self.on_trial {
            self.set_circuit(true);
            return;
        }
        self.pause().await;
        for flight in &mut self.flights {
            flight.rewind();
        }
    }

    /// The connection is gone: what was answered is settled, the rest starts over. Answers of a server that is no
    /// master don't count.
    pub(super) fn lost(&mut self, fault: &Fault) {
        let counts = fault.class != ErrorClass::NotMaster;
        if fault.class == ErrorClass::Timeout && self.is_awaiting() {
            self.health.publish_unanswered();
        }
        for mut flight in std::mem::take(&mut self.flights) {
            if counts && flight.is_started() {
                self.metrics
                    .count_answers(flight.succeeded(), flight.receivers, flight.without_receivers);
                if flight.succeeded() > 0 && !self.keep_answers(&mut flight) {
                    continue;
                }
            }
            flight.rewind();
            self.flights.push_back(flight);
        }
        self.failed(fault, 1);
    }

    /// Gives back what was answered before the connection went. Returns whether something is left to send.
    pub(super) fn keep_answers(&self, flight: &mut Flight) -> bool {
        if flight.control {
            return false;
        }
        let settled = flight.split_settled();
        let left = !flight.batch.is_empty();
        if !settled.is_empty() {
            self.give_back_published(settled, Vec::new(), !left);
        }
        left
    }

    pub(super) fn failed(&mut self, fault: &Fault, count: u64) {
        self.health.failed(fault, count);
        self.probing = true;
        self.note_outage();
        if self.on_trial {
            self.set_circuit(true);
            self.drop_all(Dropped::RedisDown);
        }
        self.expire();
    }

    /// In `at_least_once` the circuit only tells that Redis is known to be down.
    pub(super) fn note_outage(&mut self) {
        if let Policy::AtLeastOnce { retry_for } = self.policy
            && self.health.down_for().is_some_and(|down| down >= retry_for)
        {
            self.set_circuit(true);
        }
    }

    pub(super) fn set_circuit(&mut self, open: bool) {
        self.circuit_open = open;
        if open {
            self.on_trial = false;
        }
        self.health.set_circuit(open);
    }

    pub(super) fn accept(&mut self, batch: Option<Batch>) {
        let Some(batch) = batch else {
            self.closed = true;
            return;
        };
        if self.circuit_open && self.policy.drops() {
            self.give_up(batch, Dropped::RedisDown);
            return;
        }
        let due = match self.policy {
            Policy::AtLeastOnce { .. } => true,
            Policy::BestEffort { .. } => self.role_checked.elapsed() >= ROLE_CHECK_INTERVAL,
        };
        let confirm = due && self.tells_role;
        if confirm {
            self.role_checked = Instant::now();
        }
        self.flights
            .push_back(Flight::new(batch, confirm, self.deadline()));
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.policy {
            Policy::BestEffort { retry_for } => Some(Instant::now() + retry_for),
            Policy::AtLeastOnce { .. } => None,
        }
    }

    pub(super) fn expiry(&self) -> Option<Instant> {
        self.flights.iter().filter_map(|flight| flight.deadline).min()
    }

    /// Gives up what was tried for long enough; from then on Redis is known to be down.
    pub(super) fn expire(&mut self) {
        let now = Instant::now();
        let due = |flight: &Flight| flight.deadline.is_some_and(|at| at <= now) && !flight.is_started();
        let mut exhausted = false;
        while let Some(index) = self.flights.iter().position(due) {
            let Some(flight) = self.flights.remove(index) else {
                break;
            };
            exhausted = true;
            self.abandon(flight, Dropped::RetryExhausted);
        }
        if exhausted {
            self.set_circuit(true);
            self.drop_all(Dropped::RedisDown);
        }
    }

    pub(super) fn drop_all(&mut self, why: Dropped) {
        let (under_way, rest): (VecDeque<_>, VecDeque<_>) =
            self.flights.drain(..).partition(Flight::is_started);
        self.flights = under_way;
        for flight in rest {
            self.abandon(flight, why);
        }
    }

    pub(super) fn abandon(&mut self, flight: Flight, why: Dropped) {
        if flight.control {
            self.gap.not_sent();
        } else {
            self.give_up(flight.batch, why);
        }
    }

    pub(super) fn give_up(&mut self, batch: Batch, why: Dropped) {
        self.gap.note_drop(batch.entries());
        self.give_back(batch, Verdict::Dropped(why), true);
    }
}
