//! What the writer counts.

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge};

use super::now_ms;
use crate::publish::batch::{Entry, NO_TIMESTAMP};

/// What the writer counts for all nodes together.
#[derive(Debug, Clone)]
pub struct PublishMetrics {
    pub(super) published: IntCounter,
    pub(super) without_receivers: IntCounter,
    pub(super) receivers: IntCounter,
    pub(super) end_to_end: Histogram,
}

impl PublishMetrics {
    /// Commands that Redis answered well.
    pub fn count_answers(&self, published: u64, receivers: u64, without_receivers: u64) {
        self.published.inc_by(published);
        self.receivers.inc_by(receivers);
        self.without_receivers.inc_by(without_receivers);
    }

    /// Records that are published now. Clocks that disagree can't make a latency negative.
    pub fn observe_latency(&self, entries: &[Entry]) {
        let now = now_ms();
        let local = self.end_to_end.local();
        for entry in entries.iter().filter(|entry| entry.timestamp_ms != NO_TIMESTAMP) {
            let milliseconds = now.saturating_sub(entry.timestamp_ms).max(0);
            #[allow(
                clippy::cast_precision_loss,
                reason = "a latency in milliseconds is far below 2^52"
            )]
            local.observe(milliseconds as f64 / 1000.0);
        }
    }

    /// Notifications published since the start.
    pub fn published(&self) -> u64 {
        self.published.get()
    }

    /// The distribution of end-to-end latencies.
    pub fn end_to_end(&self) -> &Histogram {
        &self.end_to_end
    }
}

/// What the writer counts for one node.
#[derive(Debug, Clone)]
pub struct NodeMetrics {
    /// The label `node`.
    pub node: String,
    /// `redis_up`.
    pub up: IntGauge,
    /// `redis_circuit_open`.
    pub circuit_open: IntGauge,
    /// `redis_errors_total` by node and class.
    pub errors: IntCounterVec,
    /// `publish_duration_seconds`.
    pub publish_duration: Histogram,
}
