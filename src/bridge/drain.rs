//! The end: stop reading, drain, commit, leave the group.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;

use super::lane::Lane;
use super::pump::Pump;
use crate::exit::Exit;
use crate::observe::books::AbandonReason;
use crate::observe::health::Phase;
use crate::source::assignment::{Partition, PauseReason};
use crate::source::context::Event;

/// Leaving the group may take this long; with the end of the process it makes the five seconds that README names.
/// librdkafka 2.12 can hang in it while the coordinator is out of reach.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(4);
/// How long a turn waits for anything to happen.
const TURN: Duration = Duration::from_millis(5);

impl Pump {
    /// Whether everything of the chosen partitions is settled that can be settled without reading on.
    pub(super) fn is_drained(&self, chosen: impl Fn(&Partition<Lane>) -> bool) -> bool {
        self.assignment
            .iter()
            .filter(|(_, partition)| chosen(partition))
            .all(|(_, partition)| partition.progress.held() <= partition.state.not_draining())
    }

    /// Whether everything settled of the chosen partitions is committed.
    pub(super) fn is_committed(&self, chosen: impl Fn(&Partition<Lane>) -> bool) -> bool {
        self.assignment
            .iter()
            .filter(|(_, partition)| chosen(partition) && !partition.paused.contains(PauseReason::Fenced))
            .all(|(_, partition)| partition.progress.position() == partition.committed)
    }

    /// Drains, commits and leaves.
    pub(super) fn finish(mut self) -> Exit {
        self.health.enter(Phase::Draining);
        let deadline = Instant::now() + self.config.delivery.drain_timeout;
        self.pause_all(PauseReason::Revoking, true);
        while !(self.is_drained(|_| true) && self.open.is_empty()) && Instant::now() < deadline {
            self.turn_without_reading();
        }
        loop {
            self.commit_where(|_| true);
            if self.is_committed(|_| true) || Instant::now() >= deadline {
                break;
            }
            self.turn_without_reading();
        }
        let committed = self.is_committed(|_| true);
        let left = self.abandon_rest();
        let exit = match self.fatal {
            Some(exit) => exit,
            None if left == 0 && committed => Exit::Ok,
            None => {
                self.metrics.drain_timeouts.with_label_values(&["shutdown"]).inc();
                tracing::warn!(
                    records = left,
                    committed,
                    "ended before everything was drained; another copy delivers the rest"
                );
                Exit::Undrained
            }
        };
        self.letters.abandon();
        self.tell_books();
        self.leave();
        exit
    }

    fn turn_without_reading(&mut self) {
        self.chores();
        self.send();
        // Serves librdkafka's events. Whatever was on its way when the partitions were paused is not taken any more:
        // it is not settled, so the next owner reads it.
        let _ = Arc::clone(&self.consumer).poll(TURN);
    }

    fn abandon_rest(&mut self) -> u64 {
        let held = self.assignment.held();
        let slots: Vec<(Arc<str>, i32)> = self
            .assignment
            .iter()
            .map(|(_, p)| (Arc::clone(&p.topic), p.number))
            .collect();
        for (topic, number) in slots {
            if let Some(partition) = self.assignment.remove(&topic, number) {
                self.abandon(&partition, AbandonReason::Deadline);
            }
        }
        self.ledger.touch();
        self.publish_books();
        self.tell_status();
        held
    }

    /// What has been settled since the last scrape would be known to nobody.
    fn tell_books(&self) {
        let totals = self.ledger.totals();
        tracing::info!(
            consumed = totals.consumed,
            published = totals.published,
            skipped = totals.skipped,
            dead_lettered = totals.dead_lettered,
            dropped = totals.dropped,
            abandoned = totals.abandoned,
            "the records of this process"
        );
    }

    /// Leaves the group; a static member only goes silent. After the deadline the broker finds out by itself.
    fn leave(self) {
        let deadline = Instant::now() + LEAVE_TIMEOUT;
        if let Err(error) = self.consumer.close_queue() {
            tracing::warn!(%error, "leaving the group failed");
        }
        while !self.consumer.closed() && Instant::now() < deadline {
            let _ = self.consumer.poll(TURN);
            while let Ok(event) = self.events.try_recv() {
                let answered = match event {
                    Event::Revoke { partitions, .. } => self.consumer.incremental_unassign(&partitions),
                    Event::Assign(_) => self.consumer.unassign(),
                    Event::Committed { .. } | Event::Stranded => Ok(()),
                };
                if let Err(error) = answered {
                    tracing::debug!(%error, "giving partitions up at the end");
                }
            }
        }
        if !self.consumer.closed() {
            tracing::warn!("the group could not be left in time; it notices after session.timeout.ms");
        }
        // Dropping it would close it once more, and wait for that. The process is about to end.
        std::mem::forget(self.consumer);
    }
}
