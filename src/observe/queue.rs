//! Watches the dead-letter queue: how deep it is, how old its oldest open letter. On a thread of its own, since the
//! questions to the brokers may take a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::metrics::{Metrics, age_seconds};
use super::status::{QueueStatus, SharedStatus};
use crate::config::Kafka;
use crate::dlq::depth::Depth;
use crate::dlq::meter::Meter;
use crate::exit::{Exit, Failure};

/// How often Kafka is asked.
const INTERVAL: Duration = Duration::from_secs(5);
/// How soon the end of the service is noticed.
const STEP: Duration = Duration::from_millis(100);

/// Shows what it finds as metrics and in the status.
pub struct QueueWatch {
    /// The cluster and the group.
    pub kafka: Kafka,
    /// `dlq.topic`.
    pub topic: String,
    /// Where it is shown.
    pub metrics: Metrics,
    /// Where it is shown as well.
    pub status: SharedStatus,
    /// Set when the service ends.
    pub stop: Arc<AtomicBool>,
}

impl QueueWatch {
    /// Works until the service ends. While Kafka is away, what was shown last stays.
    pub fn run(self) {
        let mut meter = match Meter::new(&self.kafka, &self.topic) {
            Ok(meter) => meter,
            Err(failure) => {
                tracing::error!(%failure, "the dead-letter queue can't be watched");
                return;
            }
        };
        let mut told = Told::default();
        while !self.stop.load(Ordering::Relaxed) {
            let begun = Instant::now();
            self.look(&mut meter, &mut told);
            while begun.elapsed() < INTERVAL && !self.stop.load(Ordering::Relaxed) {
                std::thread::sleep(STEP);
            }
        }
    }

    fn look(&self, meter: &mut Meter, told: &mut Told) {
        let depth = match meter.depth() {
            // A queue that isn't there yet has no letters.
            Ok(depth) => depth.unwrap_or_default(),
            Err(failure) => return told.failure(&failure, "the depth of the dead-letter queue is unknown"),
        };
        let oldest_ms = match meter.oldest_ms(&depth) {
            Ok(oldest_ms) => oldest_ms,
            Err(failure) => {
                told.failure(&failure, "the age of the oldest dead letter is unknown");
                self.show(&depth, None);
                return;
            }
        };
        *told = Told::default();
        self.show(&depth, oldest_ms);
    }

    fn show(&self, depth: &Depth, oldest_ms: Option<i64>) {
        let depth = depth.total();
        let label = [self.topic.as_str()];
        self.metrics
            .dlq_depth
            .with_label_values(&label)
            .set(i64::try_from(depth).unwrap_or(i64::MAX));
        let age = match (depth, oldest_ms) {
            (0, _) => Some(0.0),
            (_, oldest_ms) => oldest_ms.map(age_seconds),
        };
        match age {
            Some(age) => self.metrics.dlq_oldest_age.with_label_values(&label).set(age),
            // An age that isn't known is not shown; that it was never shown is no error.
            None => drop(self.metrics.dlq_oldest_age.remove_label_values(&label)),
        }
        self.status.set_queue(QueueStatus { depth, oldest_ms });
    }
}

/// What was said of a failure: the same again is no news.
#[derive(Debug, Default)]
struct Told(String);

impl Told {
    fn failure(&mut self, failure: &Failure, what: &str) {
        if self.0 == failure.message {
            return;
        }
        self.0.clone_from(&failure.message);
        match failure.exit {
            Exit::Config => tracing::warn!(%failure, "{what}"),
            // An outage of Kafka is told by those that suffer from it.
            _ => tracing::debug!(%failure, "{what}"),
        }
    }
}
