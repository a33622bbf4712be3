//! Every metric of the service: its name, its help, its labels. Nothing else registers one.

mod make;
mod process;
mod publish;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prometheus::core::Metric as _;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

pub use self::publish::{NodeMetrics, PublishMetrics};
use super::books::{self, Ledger, Totals};
use super::history::Sample;
use super::lag::{self, Lag};
use crate::publish::error::ErrorClass;
use crate::trace::spans::{SpanLoss, SpanMetrics};
use make::Maker;

/// The prefix of every name.
pub const NAMESPACE: &str = "kafka_redis_bridge";

/// Bucket limits of latencies in seconds: 1 ms to 60 s.
const LATENCY_BUCKETS: [f64; 17] = [
    0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0,
];
/// Bucket limits of one exchange with Redis in seconds.
const PUBLISH_BUCKETS: [f64; 18] = [
    0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0,
    60.0,
];
/// Bucket limits of batch sizes in records.
const BATCH_BUCKETS: [f64; 12] = [
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0,
];

/// Name (without prefix) and help of every metric.
const HELP: &[(&str, &str)] = &[
    ("records_consumed_total", "Records read from Kafka"),
    (
        "records_settled_total",
        "Records that need nothing more, by what became of them and why",
    ),
    (
        "records_in_flight",
        "Records held by this process: read and not settled",
    ),
    (
        "records_lost_total",
        "Records that Kafka had deleted before they were read",
    ),
    (
        "notifications_published_total",
        "PUBLISH commands that Redis answered well",
    ),
    (
        "notifications_without_receivers_total",
        "Notifications that no subscriber received",
    ),
    (
        "receivers_total",
        "Subscribers reached, summed over all notifications",
    ),
    (
        "end_to_end_latency_seconds",
        "Time from the record's timestamp to the answer of Redis",
    ),
    ("batch_size_records", "Records in a batch sent to Redis"),
    (
        "publish_duration_seconds",
        "Time from sending a batch to its last answer",
    ),
    (
        "redis_up",
        "1 while the last exchange with the Redis node succeeded",
    ),
    ("redis_circuit_open", "1 while the Redis node is known to be down"),
    ("redis_errors_total", "Failed commands and connections, by class"),
    ("kafka_brokers_up", "Brokers that the consumer is connected to"),
    ("kafka_errors_total", "Errors reported by librdkafka"),
    (
        "dlq_records_produced_total",
        "Dead letters acknowledged by the dead-letter topic",
    ),
    (
        "dlq_produce_failures_total",
        "Dead letters that could not be written and are tried again",
    ),
    (
        "dlq_depth_records",
        "Dead letters that nobody has resolved; every copy shows the same",
    ),
    (
        "dlq_oldest_age_seconds",
        "Age of the oldest dead letter that nobody has resolved; 0 when there is none",
    ),
    (
        "dlq_retention_seconds",
        "How long the dead-letter topic keeps a dead letter; absent when it keeps them for ever",
    ),
    ("rebalances_total", "Assignments and revocations of partitions"),
    (
        "drain_timeouts_total",
        "Drains that were not finished within delivery.drain_timeout",
    ),
    ("assigned_partitions", "Partitions assigned to this process"),
    ("paused_partitions", "Partitions that are paused, by reason"),
    ("commits_total", "Commits of offsets, by result"),
    (
        "committed_offset",
        "Committed offset of a partition owned by this process",
    ),
    (
        "consumer_lag_records",
        "Records of an owned partition from the committed offset to the end, the last stable offset",
    ),
    (
        "consumer_lag_seconds",
        "Age of the oldest unsettled record of an owned partition; 0 without lag, absent until known",
    ),
    ("end_offset", "Last stable offset of an owned partition"),
    (
        "last_poll_timestamp_seconds",
        "When Kafka was last polled, in seconds since the epoch",
    ),
    (
        "notification_fields_omitted_total",
        "Extra fields left out because of the size limit or their content",
    ),
    (
        "spans_exported_total",
        "Spans of batches that the collector has taken",
    ),
    (
        "spans_dropped_total",
        "Spans of batches that were not exported, by reason",
    ),
    ("build_info", "Version of the service and of librdkafka; always 1"),
];

/// What the process costs, without our prefix: the names that all programs have in common.
pub const PROCESS: [&str; 7] = [
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_virtual_memory_bytes",
    "process_open_fds",
    "process_max_fds",
    "process_threads",
    "process_start_time_seconds",
];

/// Name (without prefix) and help of every metric: what documents and dashboards are checked against.
pub fn descriptions() -> &'static [(&'static str, &'static str)] {
    HELP
}

/// The help text of a metric.
pub(super) fn help(name: &str) -> &'static str {
    HELP.iter()
        .find(|(known, _)| *known == name)
        .map_or("", |(_, help)| help)
}

/// Everything that is measured.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    books: books::Reader,
    publish: PublishMetrics,
    redis_up: IntGaugeVec,
    redis_circuit_open: IntGaugeVec,
    redis_errors: IntCounterVec,
    publish_duration: HistogramVec,
    /// `records_lost_total` by topic and cause.
    pub records_lost: IntCounterVec,
    /// `batch_size_records`.
    pub batch_size: Histogram,
    /// `kafka_brokers_up`.
    pub kafka_brokers_up: IntGauge,
    /// `kafka_errors_total` by error.
    pub kafka_errors: IntCounterVec,
    /// `dlq_records_produced_total` by topic and reason.
    pub dlq_produced: IntCounterVec,
    /// `dlq_produce_failures_total`.
    pub dlq_failures: IntCounter,
    /// `dlq_depth_records` by dlq_topic.
    pub dlq_depth: IntGaugeVec,
    /// `dlq_oldest_age_seconds` by dlq_topic.
    pub dlq_oldest_age: GaugeVec,
    /// `dlq_retention_seconds` by dlq_topic.
    pub dlq_retention: GaugeVec,
    /// `rebalances_total` by kind.
    pub rebalances: IntCounterVec,
    /// `drain_timeouts_total` by kind.
    pub drain_timeouts: IntCounterVec,
    /// `assigned_partitions`.
    pub assigned_partitions: IntGauge,
    /// `paused_partitions` by reason.
    pub paused_partitions: IntGaugeVec,
    /// `commits_total` by result.
    pub commits: IntCounterVec,
    /// `committed_offset` by consumergroup, topic and partition.
    pub committed_offset: IntGaugeVec,
    /// `consumer_lag_records`, `consumer_lag_seconds` and `end_offset`.
    pub lag: Lag,
    /// `last_poll_timestamp_seconds`.
    pub last_poll: Gauge,
    /// `notification_fields_omitted_total`.
    pub fields_omitted: IntCounter,
    /// `spans_exported_total`, and `spans_dropped_total` by reason.
    pub spans: SpanMetrics,
}

impl Metrics {
    /// Registers everything, and opens the books.
    pub fn new() -> prometheus::Result<(Self, Ledger)> {
        let make = Maker(Registry::new());
        let (ledger, books) = Ledger::new()?;
        let reader = books.reader();
        make.0.register(Box::new(books))?;
        make.0.register(Box::new(process::Process::of_this()))?;
        let lag = Lag::default();
        make.0.register(Box::new(lag::Series::new(lag.clone())?))?;
        let metrics = Self {
            books: reader,
            publish: PublishMetrics {
                published: make.counter("notifications_published_total")?,
                without_receivers: make.counter("notifications_without_receivers_total")?,
                receivers: make.counter("receivers_total")?,
                end_to_end: make.histogram("end_to_end_latency_seconds", &LATENCY_BUCKETS)?,
            },
            redis_up: make.gauges("redis_up", &["node"])?,
            redis_circuit_open: make.gauges("redis_circuit_open", &["node"])?,
            redis_errors: make.counters("redis_errors_total", &["node", "class"])?,
            publish_duration: make.histograms("publish_duration_seconds", &["node"], &PUBLISH_BUCKETS)?,
            records_lost: make.counters("records_lost_total", &["topic", "cause"])?,
            batch_size: make.histogram("batch_size_records", &BATCH_BUCKETS)?,
            kafka_brokers_up: make.gauge("kafka_brokers_up")?,
            kafka_errors: make.counters("kafka_errors_total", &["error"])?,
            dlq_produced: make.counters("dlq_records_produced_total", &["topic", "reason"])?,
            dlq_failures: make.counter("dlq_produce_failures_total")?,
            dlq_depth: make.gauges("dlq_depth_records", &["dlq_topic"])?,
            dlq_oldest_age: make.all_seconds("dlq_oldest_age_seconds", &["dlq_topic"])?,
            dlq_retention: make.all_seconds("dlq_retention_seconds", &["dlq_topic"])?,
            rebalances: make.counters("rebalances_total", &["kind"])?,
            drain_timeouts: make.counters("drain_timeouts_total", &["kind"])?,
            assigned_partitions: make.gauge("assigned_partitions")?,
            paused_partitions: make.gauges("paused_partitions", &["reason"])?,
            commits: make.counters("commits_total", &["result"])?,
            committed_offset: make.gauges("committed_offset", &["consumergroup", "topic", "partition"])?,
            lag,
            last_poll: make.seconds("last_poll_timestamp_seconds")?,
            fields_omitted: make.counter("notification_fields_omitted_total")?,
            spans: SpanMetrics {
                exported: make.counter("spans_exported_total")?,
                dropped: make.counters("spans_dropped_total", &["reason"])?,
            },
            registry: make.0,
        };
        metrics.set_build_info()?;
        metrics.show_zeros();
        Ok((metrics, ledger))
    }

    /// The metrics of the way to Redis.
    pub fn publish(&self) -> PublishMetrics {
        self.publish.clone()
    }

    /// The metrics of one Redis node.
    pub fn node(&self, node: &str) -> NodeMetrics {
        for class in ErrorClass::ALL {
            self.redis_errors.with_label_values(&[node, class.as_str()]);
        }
        NodeMetrics {
            node: node.to_owned(),
            up: self.redis_up.with_label_values(&[node]),
            circuit_open: self.redis_circuit_open.with_label_values(&[node]),
            errors: self.redis_errors.clone(),
            publish_duration: self.publish_duration.with_label_values(&[node]),
        }
    }

    /// The text format of Prometheus.
    pub fn render(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// What became of all records since the start.
    pub fn totals(&self) -> Totals {
        self.books.totals()
    }

    /// What the history is made of.
    pub fn sample(&self) -> Sample {
        let latencies = self.publish.end_to_end().metric();
        let latencies = latencies.get_histogram();
        let limits = latencies.get_bucket().iter();
        let limits = limits.map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()));
        let all = (f64::INFINITY, latencies.get_sample_count());
        let lags = self.lag.figures(now_ms());
        let known = lags.values().filter_map(|figures| figures.records);
        Sample {
            at: Instant::now(),
            settled: self.totals().settled(),
            lag_records: known.reduce(|sum, more| sum + more),
            latencies: limits.chain([all]).collect(),
        }
    }

    fn set_build_info(&self) -> prometheus::Result<()> {
        let labels = [
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("librdkafka", librdkafka_version()),
        ];
        let opts = Opts::new("build_info", help("build_info"))
            .namespace(NAMESPACE)
            .const_labels(
                labels
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect(),
            );
        let info = IntGauge::with_opts(opts)?;
        info.set(1);
        self.registry.register(Box::new(info))
    }

    /// Counters that alerts watch exist before the first event.
    fn show_zeros(&self) {
        for kind in ["assign", "revoke", "lost"] {
            self.rebalances.with_label_values(&[kind]);
        }
        for kind in ["revoke", "shutdown"] {
            self.drain_timeouts.with_label_values(&[kind]);
        }
        for loss in SpanLoss::ALL {
            self.spans.lost(loss, 0);
        }
        for result in ["ok", "error"] {
            self.commits.with_label_values(&[result]);
        }
    }
}

/// The version of librdkafka that is linked in.
pub fn librdkafka_version() -> String {
    rdkafka::util::get_rdkafka_version().1
}

/// Milliseconds since the Unix epoch.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// How long ago that was, in seconds. Clocks that disagree can't make it negative.
pub fn age_seconds(at_ms: i64) -> f64 {
    let age = u64::try_from(now_ms().saturating_sub(at_ms)).unwrap_or(0);
    Duration::from_millis(age).as_secs_f64()
}
