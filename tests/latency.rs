//! The histograms of latencies: fine enough, wide enough, and never below zero.

#![allow(clippy::unwrap_used)]

mod support;

use kafka_redis_bridge::observe::metrics::{Metrics, now_ms};
use kafka_redis_bridge::progress::Offset;
use kafka_redis_bridge::publish::batch::{Entry, NO_TIMESTAMP};
use support::metrics::Scrape;

fn entry(timestamp_ms: i64) -> Entry {
    Entry {
        part: 0,
        channels: 1,
        offset: Offset(0),
        timestamp_ms,
    }
}

fn scrape(metrics: &Metrics) -> Scrape {
    Scrape::parse(&metrics.render().unwrap())
}

#[test]
fn a_timestamp_of_the_future_is_no_negative_latency() {
    let (metrics, _ledger) = Metrics::new().unwrap();
    let hour = 3_600_000;
    let entries = [now_ms() + hour, i64::MAX, NO_TIMESTAMP].map(entry);
    metrics.publish().observe_latency(&entries);
    let scrape = scrape(&metrics);
    assert_eq!(scrape.count("end_to_end_latency_seconds_count", &[]), 2);
    assert_eq!(scrape.sum("end_to_end_latency_seconds_sum", &[]), 0.0);
    let lowest = [("le", "0.001")];
    assert_eq!(scrape.count("end_to_end_latency_seconds_bucket", &lowest), 2);
}

#[test]
fn buckets_resolve_one_millisecond_to_a_minute() {
    let (metrics, _ledger) = Metrics::new().unwrap();
    metrics.node("localhost:6379");
    let scrape = scrape(&metrics);
    for name in ["end_to_end_latency_seconds", "publish_duration_seconds"] {
        let bucket = format!("{name}_bucket");
        for limit in ["0.001", "0.01", "0.1", "1", "10", "60", "+Inf"] {
            assert!(scrape.has(&bucket, &[("le", limit)]), "{name} {limit}");
        }
    }
}
