//! From ended batches to the exporter, without ever waiting.

use std::time::SystemTime;

use prometheus::{IntCounter, IntCounterVec};
use tokio::sync::mpsc;

use super::batch::{BatchTrace, Ending};

/// Spans that wait to be exported; those beyond are dropped and counted.
const MAX_QUEUED: usize = 2048;

/// A batch that has ended.
#[derive(Debug)]
pub struct EndedSpan {
    /// What is known of the batch.
    pub trace: Box<BatchTrace>,
    /// When it ended.
    pub ended: SystemTime,
    /// How.
    pub ending: Ending,
}

/// What is counted of the export.
#[derive(Debug, Clone)]
pub struct SpanMetrics {
    /// `spans_exported_total`.
    pub exported: IntCounter,
    /// `spans_dropped_total` by reason.
    pub dropped: IntCounterVec,
}

/// Why a span was not exported: the label `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanLoss {
    /// The collector takes spans more slowly than they come, or none at all.
    QueueFull,
    /// The collector has refused it.
    Refused,
}

impl SpanLoss {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::QueueFull, Self::Refused];

    /// The name in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Refused => "refused",
        }
    }
}

impl SpanMetrics {
    /// Spans were lost.
    pub fn lost(&self, why: SpanLoss, count: u64) {
        self.dropped.with_label_values(&[why.as_str()]).inc_by(count);
    }
}

/// Where batches end.
#[derive(Debug)]
pub struct Spans {
    queue: mpsc::Sender<EndedSpan>,
    metrics: SpanMetrics,
}

impl Spans {
    /// And where the exporter takes them from.
    pub fn channel(metrics: SpanMetrics) -> (Self, mpsc::Receiver<EndedSpan>) {
        let (queue, ended) = mpsc::channel(MAX_QUEUED);
        (Self { queue, metrics }, ended)
    }

    /// A batch has ended. Never waits.
    pub fn end(&self, trace: Box<BatchTrace>, ending: Ending) {
        if !trace.is_sampled() {
            return;
        }
        let span = EndedSpan {
            trace,
            ended: SystemTime::now(),
            ending,
        };
        if self.queue.try_send(span).is_err() {
            self.metrics.lost(SpanLoss::QueueFull, 1);
        }
    }
}
