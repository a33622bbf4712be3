//! What `/status` shows: the state of this process at one moment. [`SCHEMA`] describes it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::Serialize;

use super::books::Totals;
use super::health::{Health, Phase};
use super::history::{History, Latency, Throughput, Trend};
use super::lag::Figures;
use super::metrics::{Metrics, age_seconds};
use super::verdict::{BEHIND_AFTER_SECONDS, Facts, Verdict};
use crate::publish::health::NodeStatus;

/// The JSON Schema of the document.
pub const SCHEMA: &str = include_str!("status.schema.json");

/// A partition assigned to this process.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PartitionStatus {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its number.
    pub partition: i32,
    /// Committed offset, once one is known.
    pub committed: Option<i64>,
    /// Where reading goes on.
    pub position: i64,
    /// Records read and not settled.
    pub in_flight: u64,
    /// How far behind it is.
    #[serde(flatten)]
    pub lag: LagStatus,
    /// Why it is paused; empty when it isn't.
    pub paused: Vec<&'static str>,
}

/// How far behind a partition is; `null` until it is known.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LagStatus {
    /// The last stable offset.
    pub end: Option<i64>,
    /// In records.
    pub lag_records: Option<u64>,
    /// In seconds: the age of the oldest unsettled record.
    pub lag_seconds: Option<f64>,
}

impl From<Figures> for LagStatus {
    fn from(figures: Figures) -> Self {
        Self {
            end: figures.end,
            lag_records: figures.records,
            lag_seconds: figures.seconds,
        }
    }
}

/// What the polling thread tells from time to time.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PipelineStatus {
    /// The partitions assigned to this process.
    pub partitions: Vec<PartitionStatus>,
    /// Records read and not settled.
    pub records_in_flight: u64,
    /// Dead letters that the dead-letter topic has not acknowledged.
    pub dead_letters_in_flight: u64,
}

/// How deep the dead-letter queue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueStatus {
    /// Dead letters that nobody has resolved.
    pub depth: u64,
    /// When the oldest of them was written, in milliseconds since the epoch.
    pub oldest_ms: Option<i64>,
}

/// The latest status of the parts, shared with whoever asks.
#[derive(Debug, Clone, Default)]
pub struct SharedStatus(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    pipeline: Mutex<PipelineStatus>,
    queue: Mutex<Option<QueueStatus>>,
}

impl SharedStatus {
    /// Replaces what the polling thread tells.
    pub fn set(&self, status: PipelineStatus) {
        *locked(&self.0.pipeline) = status;
    }

    /// Replaces what is known of the dead-letter queue.
    pub fn set_queue(&self, status: QueueStatus) {
        *locked(&self.0.queue) = Some(status);
    }

    fn get(&self) -> PipelineStatus {
        locked(&self.0.pipeline).clone()
    }

    fn queue(&self) -> Option<QueueStatus> {
        *locked(&self.0.queue)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What never changes while the process runs.
#[derive(Debug, Clone)]
pub struct Identity {
    /// `kafka.group_id`.
    pub group_id: String,
    /// `delivery.mode`.
    pub mode: &'static str,
    /// `dlq.topic`.
    pub dlq_topic: String,
    /// When the process started.
    pub started: Instant,
}

/// The whole document.
#[derive(Debug, Serialize)]
pub struct Document {
    pub(super) version: &'static str,
    pub(super) group_id: String,
    pub(super) mode: &'static str,
    pub(super) uptime_seconds: f64,
    phase: &'static str,
    /// Why `/readyz` says no, if it does.
    not_ready: Option<String>,
    /// The sentence of the page.
    pub(super) health: Verdict,
    kafka: KafkaStatus,
    pub(super) redis: NodeStatus,
    pub(super) dlq: DlqStatus,
    pub(super) throughput: Throughput,
    pub(super) latency: Latency,
    pub(super) lag: TotalLag,
    /// What became of the records since the start.
    pub(super) records: Totals,
    #[serde(flatten)]
    pub(super) pipeline: PipelineStatus,
}

#[derive(Debug, Serialize)]
struct KafkaStatus {
    brokers_up: Option<i64>,
}

/// The dead-letter queue.
#[derive(Debug, Serialize)]
pub(super) struct DlqStatus {
    pub topic: String,
    /// Dead letters that nobody has resolved, once it is known.
    pub depth: Option<u64>,
    /// The age of the oldest of them.
    pub oldest_age_seconds: Option<f64>,
    in_flight: u64,
}

impl DlqStatus {
    fn new(topic: &str, queue: Option<QueueStatus>, in_flight: u64) -> Self {
        let oldest = queue.and_then(|queue| queue.oldest_ms);
        Self {
            topic: topic.to_owned(),
            depth: queue.map(|queue| queue.depth),
            oldest_age_seconds: oldest.map(age_seconds),
            in_flight,
        }
    }
}

/// How far behind the partitions of this process are together; `null` until it is known of one.
#[derive(Debug, Serialize)]
pub(super) struct TotalLag {
    /// The sum.
    pub records: Option<u64>,
    /// The largest.
    pub seconds: Option<f64>,
    /// Where it is going; steady while it is none to speak of.
    trend: Trend,
}

impl TotalLag {
    fn new(partitions: &[PartitionStatus], trend: Trend) -> Self {
        let lags = || partitions.iter().map(|partition| partition.lag);
        let known: Vec<u64> = lags().filter_map(|lag| lag.lag_records).collect();
        let seconds = lags().filter_map(|lag| lag.lag_seconds).max_by(f64::total_cmp);
        let is_behind = seconds.is_some_and(|seconds| seconds >= BEHIND_AFTER_SECONDS);
        Self {
            records: (!known.is_empty()).then(|| known.iter().sum()),
            seconds,
            trend: if is_behind { trend } else { Trend::Steady },
        }
    }
}

impl Document {
    /// Reads everything together.
    pub fn now(
        identity: &Identity,
        health: &Health,
        metrics: &Metrics,
        history: &History,
        shared: &SharedStatus,
    ) -> Self {
        let pipeline = shared.get();
        let (throughput, latency, trend) = history.recent();
        let in_flight = pipeline.dead_letters_in_flight;
        let mut document = Self {
            version: env!("CARGO_PKG_VERSION"),
            group_id: identity.group_id.clone(),
            mode: identity.mode,
            uptime_seconds: identity.started.elapsed().as_secs_f64(),
            phase: match health.phase() {
                Phase::Joining => "joining",
                Phase::Joined => "joined",
                Phase::Draining => "draining",
            },
            not_ready: health.not_ready(),
            health: Verdict::of(&Facts::default()),
            kafka: KafkaStatus {
                brokers_up: health.brokers_up(),
            },
            redis: health.redis().status(),
            dlq: DlqStatus::new(&identity.dlq_topic, shared.queue(), in_flight),
            throughput,
            latency,
            lag: TotalLag::new(&pipeline.partitions, trend),
            records: metrics.totals(),
            pipeline,
        };
        document.health = document.verdict(health);
        document
    }

    /// Whether what Redis doesn't take is dropped.
    pub(super) fn drops(&self) -> bool {
        self.mode == "best_effort"
    }

    fn verdict(&self, health: &Health) -> Verdict {
        let paused: Vec<&PartitionStatus> = self
            .pipeline
            .partitions
            .iter()
            .filter(|p| !p.paused.is_empty())
            .collect();
        let mut reasons: Vec<&'static str> = paused.iter().flat_map(|p| p.paused.iter().copied()).collect();
        reasons.sort_unstable();
        reasons.dedup();
        let refusal = health.refusal();
        Verdict::of(&Facts {
            not_alive: health.not_alive(),
            draining: health.phase() == Phase::Draining,
            joined: health.phase() != Phase::Joining,
            refusal: refusal.as_deref(),
            redis_answered: self.redis.answered_once,
            redis_fault: self
                .redis
                .fault
                .as_deref()
                .map(|fault| (fault, self.redis.down_since)),
            brokers_up: self.kafka.brokers_up,
            drops: self.drops(),
            assigned: self.pipeline.partitions.len(),
            paused: (paused.len(), &reasons),
            lag_seconds: self.lag.seconds,
            trend: Some(self.lag.trend),
        })
    }
}
