//! Sends ended batches to a collector, beside everything else.
//!
//! Written on top of OpenTelemetry's own protobuf types. Its SDK would do the rest, too, but its processor doesn't tell
//! what it drops, its exporter doesn't tell what a collector rejects, and its HTTP clients bring HTTP/2 along.

use std::time::Duration;

use hyper::body::Bytes;
use prost::Message;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

use super::collector::{Collector, ExportError};
use super::otlp::Identity;
use super::spans::{EndedSpan, SpanLoss, SpanMetrics};

/// Spans of one request.
const MAX_SPANS: usize = 512;
/// How long a span waits for others to go with, and how often a collector that doesn't answer is tried.
const EXPORT_INTERVAL: Duration = Duration::from_secs(1);
/// How long the last spans may take once the bridge has ended.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);
/// What is wrong with the collector is told once in this time.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Sends spans.
pub struct Exporter {
    collector: Collector,
    identity: Identity,
    queue: mpsc::Receiver<EndedSpan>,
    /// Taken from the queue, not yet by the collector.
    pending: Vec<EndedSpan>,
    metrics: SpanMetrics,
    fault: Fault,
}

impl Exporter {
    /// From `queue` to `collector`.
    pub fn new(
        collector: Collector,
        identity: Identity,
        queue: mpsc::Receiver<EndedSpan>,
        metrics: SpanMetrics,
    ) -> Self {
        Self {
            collector,
            identity,
            queue,
            pending: Vec::with_capacity(MAX_SPANS),
            metrics,
            fault: Fault::default(),
        }
    }

    /// Works until the bridge has ended, and sends what is left then while `FLUSH_TIMEOUT` lasts.
    pub async fn run(mut self, ended: impl Future<Output = ()>) {
        tracing::info!(collector = %self.collector, "spans are exported");
        let late = async {
            ended.await;
            sleep(FLUSH_TIMEOUT).await;
        };
        tokio::select! { () = self.work() => {}, () = late => {} }
        let spans = self.pending.len() + self.queue.len();
        if spans > 0 {
            tracing::warn!(collector = %self.collector, spans, "the last spans are lost: the collector doesn't take them");
        }
    }

    async fn work(&mut self) {
        while self.gather().await && self.export().await {}
    }

    /// Fills a request. Returns whether there is anything to send.
    async fn gather(&mut self) -> bool {
        if self.queue.recv_many(&mut self.pending, MAX_SPANS).await == 0 {
            return false;
        }
        let until = Instant::now() + EXPORT_INTERVAL;
        while self.pending.len() < MAX_SPANS {
            let room = MAX_SPANS - self.pending.len();
            match timeout_at(until, self.queue.recv_many(&mut self.pending, room)).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        true
    }

    /// Sends it, again and again while the collector is away; the queue takes what comes meanwhile. Returns whether to
    /// go on: nobody waits for a collector that is away when the bridge has ended.
    async fn export(&mut self) -> bool {
        let body = Bytes::from(self.identity.request(&self.pending).encode_to_vec());
        let spans = self.pending.len() as u64;
        loop {
            let rejected = match self.collector.post(body.clone()).await {
                Ok(()) => {
                    self.well();
                    0
                }
                Err(error) => {
                    self.failed(&error);
                    match error {
                        ExportError::Rejected { spans: rejected, .. } => rejected.min(spans),
                        ExportError::Refused(_) => spans,
                        ExportError::Unavailable(_) if self.queue.is_closed() => return false,
                        ExportError::Unavailable(_) => {
                            sleep(EXPORT_INTERVAL).await;
                            continue;
                        }
                    }
                }
            };
            self.pending.clear();
            self.metrics.exported.inc_by(spans - rejected);
            self.metrics.lost(SpanLoss::Refused, rejected);
            return true;
        }
    }

    fn failed(&mut self, error: &ExportError) {
        if self.fault.is_news(Instant::now()) {
            tracing::warn!(
                collector = %self.collector, %error,
                "spans can't be exported; records are not concerned"
            );
        }
    }

    fn well(&mut self) {
        if let Some(lasted) = self.fault.is_over(Instant::now()) {
            let seconds = lasted.as_secs_f64();
            tracing::info!(collector = %self.collector, seconds, "spans are exported again");
        }
    }
}

/// A fault of the collector, and what of it was told.
#[derive(Debug, Default)]
struct Fault {
    /// Since when, while it lasts and was told.
    since: Option<Instant>,
    /// When a fault was told last.
    told: Option<Instant>,
}

impl Fault {
    /// It has failed. Returns whether that is to be told.
    fn is_news(&mut self, now: Instant) -> bool {
        let due = self
            .told
            .is_none_or(|told| now.duration_since(told) >= TELL_EVERY);
        if due {
            self.told = Some(now);
            self.since.get_or_insert(now);
        }
        due
    }

    /// All is well. Returns how long the fault lasted if it was told.
    fn is_over(&mut self, now: Instant) -> Option<Duration> {
        self.since.take().map(|since| now.duration_since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_told_once_a_minute_and_its_end_if_it_was_told() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut fault = Fault::default();
        assert_eq!(fault.is_over(at(0)), None);
        assert!(fault.is_news(at(1)));
        assert!(!fault.is_news(at(30)));
        assert!(!fault.is_news(at(60)));
        assert!(fault.is_news(at(61)));
        assert_eq!(fault.is_over(at(62)), Some(Duration::from_secs(61)));
        // It comes and goes: no line for each time.
        assert!(!fault.is_news(at(63)));
        assert_eq!(fault.is_over(at(64)), None);
        assert!(fault.is_news(at(121)));
        assert_eq!(fault.is_over(at(122)), Some(Duration::from_secs(1)));
    }
}
