//! What `/status` shows: the state of this process at one moment, as JSON and as a page.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::health::{Health, Phase};
use super::lag::Figures;
use super::metrics::age_seconds;
use crate::publish::health::NodeStatus;

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

/// The whole document.
#[derive(Debug, Serialize)]
pub struct Document {
    version: &'static str,
    group_id: String,
    mode: &'static str,
    phase: &'static str,
    /// Why `/readyz` says no, if it does.
    not_ready: Option<String>,
    redis: NodeStatus,
    dlq: DlqStatus,
    #[serde(flatten)]
    pipeline: PipelineStatus,
}

#[derive(Debug, Serialize)]
struct DlqStatus {
    topic: String,
    /// Dead letters that nobody has resolved, once it is known.
    depth: Option<u64>,
    /// The age of the oldest of them.
    oldest_age_seconds: Option<f64>,
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

/// What never changes while the process runs.
#[derive(Debug, Clone)]
pub struct Identity {
    /// `kafka.group_id`.
    pub group_id: String,
    /// `delivery.mode`.
    pub mode: &'static str,
    /// `dlq.topic`.
    pub dlq_topic: String,
}

impl Document {
    /// Reads everything together.
    pub fn now(identity: &Identity, health: &Health, shared: &SharedStatus) -> Self {
        let pipeline = shared.get();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            group_id: identity.group_id.clone(),
            mode: identity.mode,
            phase: match health.phase() {
                Phase::Joining => "joining",
                Phase::Joined => "joined",
                Phase::Draining => "draining",
            },
            not_ready: health.not_ready(),
            redis: health.redis().status(),
            dlq: DlqStatus::new(
                &identity.dlq_topic,
                shared.queue(),
                pipeline.dead_letters_in_flight,
            ),
            pipeline,
        }
    }

    /// The same for people: one page without scripts or anything from elsewhere.
    pub fn to_html(&self) -> String {
        let mut page = String::from(PAGE_HEAD);
        let state = self.not_ready.as_deref().unwrap_or("ready");
        let redis = self
            .redis
            .fault
            .as_deref()
            .unwrap_or(if self.redis.up { "up" } else { "not connected" });
        let letters = match self.dlq.depth {
            Some(depth) => format!("{depth} on {}", self.dlq.topic),
            None => self.dlq.topic.clone(),
        };
        for (name, value) in [
            ("Group", self.group_id.as_str()),
            ("State", state),
            ("Mode", self.mode),
            ("Redis", redis),
            ("Dead letters", letters.as_str()),
        ] {
            let _ = write!(page, "<dt>{name}<dd>{}", escape(value));
        }
        let _ = write!(
            page,
            "<dt>Records in flight<dd>{}</dl><table><tr><th>Topic<th>Partition<th>Committed<th>Position\
             <th>In flight<th>Paused",
            self.pipeline.records_in_flight
        );
        for p in &self.pipeline.partitions {
            let committed = p
                .committed
                .map_or_else(|| "–".to_owned(), |offset| offset.to_string());
            let _ = write!(
                page,
                "<tr><td>{}<td>{}<td>{committed}<td>{}<td>{}<td>{}",
                escape(&p.topic),
                p.partition,
                p.position,
                p.in_flight,
                p.paused.join(", ")
            );
        }
        page.push_str("</table>\n");
        page
    }
}

const PAGE_HEAD: &str = "<!doctype html><html lang=en><meta charset=utf-8>\
<meta name=viewport content='width=device-width,initial-scale=1'><meta http-equiv=refresh content=2>\
<title>kafka-redis-bridge</title><style>:root{color-scheme:light dark}body{font:1rem/1.5 system-ui;margin:1rem auto;\
max-width:60rem;padding:0 1rem}dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem}dt{opacity:.7}\
dd{margin:0;overflow-wrap:anywhere}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}\
th,td{text-align:left;padding:.2rem .6rem .2rem 0;border-bottom:1px solid #8884}</style>\
<h1>kafka-redis-bridge</h1><dl>";

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_names_stays_text() {
        assert_eq!(escape("<script>&\""), "&lt;script>&amp;&quot;");
    }
}
