//! Backpressure: what the polling thread does while the writer takes nothing.

use std::time::{Duration, Instant};

use super::pump::Pump;
use crate::publish::writer::WINDOW;
use crate::source::assignment::PauseReason;

/// Waiting for Redis for longer than this pauses all partitions, so that Kafka can be polled meanwhile.
const STALL_PATIENCE: Duration = Duration::from_millis(500);
/// How long a turn waits for a batch to come back.
const RETURN_WAIT: Duration = Duration::from_millis(20);

impl Pump {
    /// Takes the next batch that comes back, if one does soon.
    pub(super) fn wait_for_return(&mut self) {
        if let Ok(returned) = self.writer.returned.recv_timeout(RETURN_WAIT) {
            self.settle_returned(returned);
        }
    }

    /// The batch is full and the writer takes nothing. A short stall just doesn't poll; in a longer one everything
    /// is paused, and Kafka polled so that this member stays in the group.
    pub(super) fn stall(&mut self) {
        let since = *self.stalled_since.get_or_insert_with(Instant::now);
        if since.elapsed() < STALL_PATIENCE {
            self.wait_for_return();
            self.send();
            return;
        }
        if !self.backpressure {
            self.backpressure = true;
            self.pause_all(PauseReason::Backpressure, true);
        }
        self.serve_events(RETURN_WAIT);
        self.take_returned();
        self.send();
    }

    /// The writer takes batches again.
    pub(super) fn end_stall(&mut self) {
        self.stalled_since = None;
        if self.backpressure && self.outstanding < WINDOW {
            self.backpressure = false;
            self.pause_all(PauseReason::Backpressure, false);
        }
    }
}
