//! What the writer does with Redis's answers: which command each belongs to, what is settled and what goes again.

use super::batch::Batch;
use super::error::{ErrorClass, Fault};
use super::flight::{Answered, Flight, confirm_master};
use super::link::Link;
use super::resp;
use super::verdict::{Refused, Returned, Verdict};
use super::writer::{Writer, backoff};
use tokio::time::Instant;

impl Writer {
    /// Takes what Redis has answered.
    pub(super) fn take_answers(&mut self, link: &mut Link) -> Result<(), Fault> {
        self.last_answer = Instant::now();
        let mut at = 0;
        if self.role_check_due {
            let parsed = resp::parse(&link.buffer)
                .map_err(|error| Fault::new(ErrorClass::Protocol, error.to_string()))?;
            let Some((reply, length)) = parsed else {
                return Ok(());
            };
            confirm_master(&reply)?;
            at = length;
            self.role_check_due = false;
            self.role_checked = Instant::now();
            if self.flights.is_empty() {
                self.health.answered_idle();
            }
        }
        while at < link.buffer.len() {
            let Some(index) = self.flights.iter().position(Flight::is_started) else {
                return Err(Fault::new(
                    ErrorClass::Protocol,
                    "an answer that nobody waits for",
                ));
            };
            let before = self.flights[index].succeeded();
            let taken = self.flights[index].take_answers(&link.buffer[at..])?;
            if self.flights[index].succeeded() > before {
                self.succeeded();
            }
            let flight = &self.flights[index];
            if flight.is_answered() || (self.probing && flight.probe_failed()) {
                self.answered(index);
            } else if taken == 0 {
                break;
            }
            at += taken;
        }
        link.buffer.drain(..at);
        Ok(())
    }

    /// A publish was answered well: whatever was wrong is over.
    fn succeeded(&mut self) {
        if self.probing || self.on_trial || self.circuit_open {
            self.probing = false;
            self.on_trial = false;
            self.set_circuit(false);
            self.backoff = backoff();
            self.tell_gap();
        }
        self.health.published();
    }

    /// All commands of a flight are answered.
    fn answered(&mut self, index: usize) {
        self.count_failures(index);
        let flight = &mut self.flights[index];
        self.metrics
            .count_answers(flight.succeeded(), flight.receivers, flight.without_receivers);
        if let Some(started) = flight.started_at {
            self.health
                .metrics()
                .publish_duration
                .observe(started.elapsed().as_secs_f64());
        }
        if flight.control {
            self.finish_control(index);
            return;
        }
        match flight.conclude() {
            Answered::Whole => self.give_back_whole(index, Vec::new()),
            Answered::Refused(refused) => self.give_back_whole(index, refused),
            Answered::Again { settled } => {
                self.probing = true;
                if !settled.is_empty() {
                    self.give_back_published(settled, Vec::new(), false);
                }
            }
        }
    }

    fn finish_control(&mut self, index: usize) {
        if self
            .flights
            .remove(index)
            .is_some_and(|flight| flight.failures().next().is_some())
        {
            self.gap.not_sent();
        }
    }

    fn give_back_whole(&mut self, index: usize, refused: Vec<Refused>) {
        if let Some(flight) = self.flights.remove(index) {
            self.give_back_published(flight.batch, refused, true);
        }
    }

    pub(super) fn give_back_published(&self, batch: Batch, refused: Vec<Refused>, last: bool) {
        self.metrics.observe_latency(batch.entries());
        self.give_back(batch, Verdict::Published { refused }, last);
    }

    pub(super) fn give_back(&self, batch: Batch, verdict: Verdict, last: bool) {
        // Nobody listens any more only when the service has given up waiting; then there is nobody to tell.
        let _ = self.returned.send(Returned { batch, verdict, last });
    }

    fn count_failures(&self, index: usize) {
        let mut classes: Vec<(&Fault, u64)> = Vec::new();
        for fault in self.flights[index].failures() {
            match classes.iter_mut().find(|(known, _)| known.class == fault.class) {
                Some((_, count)) => *count += 1,
                None => classes.push((fault, 1)),
            }
        }
        for (fault, count) in classes {
            self.health.failed(fault, count);
        }
    }
}
