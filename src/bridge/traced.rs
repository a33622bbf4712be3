//! The span of a batch: from its first record to its verdict.

use std::time::SystemTime;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::pump::Pump;
use crate::config::Config;
use crate::observe::metrics::Metrics;
use crate::publish::verdict::{Dropped, Verdict};
use crate::trace::batch::{BatchTrace, Ending};
use crate::trace::export::Exporter;
use crate::trace::otlp::Identity;
use crate::trace::spans::Spans;

/// The exporter at work.
pub struct Export {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Export {
    /// Starts it on this runtime, and says where spans end; `None` when no collector is configured.
    pub fn start(config: &Config, metrics: &Metrics) -> Option<(Spans, Self)> {
        let collector = config.trace.otlp.collector()?;
        let identity = Identity::new(&config.trace.otlp.service_name, &config.kafka.group_id);
        let (spans, queue) = Spans::channel(metrics.spans.clone());
        let exporter = Exporter::new(collector, identity, queue, metrics.spans.clone());
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(exporter.run(async {
            let _ = stopped.await;
        }));
        Some((spans, Self { stop, task }))
    }

    /// The bridge has ended: waits until the last spans are sent, as long as the exporter allows that.
    pub async fn end(self) {
        drop(self.stop);
        let _ = self.task.await;
    }
}

impl Pump {
    /// The record that was derived last has entered the open batch.
    pub(super) fn note_trace(&mut self, slot: u32) {
        if self.spans.is_none() {
            return;
        }
        let Some(partition) = self.assignment.get(slot) else {
            return;
        };
        let (topic, number) = (&partition.topic, partition.number);
        let begin = || Box::new(BatchTrace::begin(topic, number, SystemTime::now()));
        let trace = self.open.trace.get_or_insert_with(begin);
        trace.add(topic, number, self.deriver.context());
    }

    /// The last piece of a batch is back: its span ends.
    pub(super) fn end_span(&self, trace: Box<BatchTrace>, verdict: &Verdict) {
        let ending = match verdict {
            Verdict::Published { refused } if refused.is_empty() => Ending::Published,
            Verdict::Published { .. } => Ending::Failed("channel_denied"),
            Verdict::Dropped(Dropped::RedisDown) => Ending::Failed("redis_down"),
            Verdict::Dropped(Dropped::RetryExhausted) => Ending::Failed("retry_exhausted"),
        };
        if let Some(spans) = &self.spans {
            spans.end(trace, ending);
        }
    }
}
