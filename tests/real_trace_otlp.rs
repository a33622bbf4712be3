//! A span for each batch, with links to the traces of its records, at a collector.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Status;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::json;
use support::bridge::Bridge;
use support::config::Config;
use support::otlp::{Collector, Mode, Taken, attribute};
use support::producer::NewRecord;
use support::proxy;
use support::scenario::Scenario;
use support::timeline::Timeline;
use support::wait;

const SOON: Duration = Duration::from_secs(30);
const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TRACE_ID: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;
const SPAN_ID: u64 = 0x00f0_67aa_0ba9_02b7;
const UNSAMPLED: &str = "00-11111111111111111111111111111111-00f067aa0ba902b7-00";
/// What a span is linked to at most.
const MAX_LINKS: usize = 128;
/// What the log says of a collector that takes nothing.
const FAULT: &str = "spans can't be exported";

fn record(id: &str) -> NewRecord {
    let value = json!({"id": id, "type": "push", "source_type": "repo", "source_id": "a/b"});
    NewRecord::of(value.to_string())
}

fn traced(id: &str) -> NewRecord {
    record(id).header("traceparent", Some(TRACEPARENT.as_bytes()))
}

fn exporting(config: Config, endpoint: impl Into<String>) -> Config {
    config.set("trace.otlp.endpoint", endpoint.into())
}

fn string(value: &str) -> Option<Value> {
    Some(Value::StringValue(value.to_owned()))
}

fn lines(bridge: &Bridge, part: &str) -> usize {
    bridge.log().iter().filter(|line| line.contains(part)).count()
}

/// What a span of a batch looks like, whatever its records' traces are.
fn assert_is_a_batch(taken: &Taken, scenario: &Scenario) {
    let span = &taken.span;
    assert_eq!(span.name, format!("process {}", scenario.topic));
    assert_eq!(span.kind, SpanKind::Consumer as i32);
    assert_eq!((span.trace_id.len(), span.span_id.len()), (16, 8));
    assert!(span.parent_span_id.is_empty(), "a root span");
    assert!(span.start_time_unix_nano <= span.end_time_unix_nano && span.start_time_unix_nano > 0);
    let expected = [
        ("messaging.system", "kafka"),
        ("messaging.operation.type", "process"),
        ("messaging.consumer.group.name", &scenario.group),
        ("messaging.destination.name", &scenario.topic),
    ];
    for (key, value) in expected {
        assert_eq!(taken.attribute(key), string(value), "{key}");
    }
    assert!(span.links.len() <= MAX_LINKS);
}

#[test]
fn a_producers_trace_arrives_at_the_subscriber_and_as_a_link_at_the_collector() {
    let scenario = Scenario::new(require_kafka!(), 1);
    let collector = Collector::start();
    let config = exporting(scenario.config(), collector.endpoint()).set("trace.otlp.service_name", "shop");
    let mut bridge = Bridge::start(&config);
    let unsampled = record("unsampled").header("traceparent", Some(UNSAMPLED.as_bytes()));
    let records = [traced("traced"), record("plain"), unsampled];
    scenario.kafka.produce(&scenario.topic, records);
    let recorder = &scenario.rig.recorder;
    recorder.wait_ids(&["traced", "plain", "unsampled"], SOON);
    let notes = recorder.notes();
    let note = notes.iter().find(|note| note.id() == "traced").unwrap();
    assert_eq!(note.json()["traceparent"], TRACEPARENT);

    let links = || {
        let spans = collector.taken();
        let links: Vec<_> = spans.into_iter().flat_map(|taken| taken.span.links).collect();
        (!links.is_empty()).then_some(links)
    };
    let links = wait::until("a link at the collector", SOON, links);
    bridge.stop_cleanly();
    assert_eq!(links.len(), 1, "the plain and the unsampled record have none");
    assert_eq!(links[0].trace_id, TRACE_ID.to_be_bytes());
    assert_eq!(links[0].span_id, SPAN_ID.to_be_bytes());
    assert_eq!(links[0].flags & 0xff, 1, "sampled");
    let spans = collector.taken();
    for taken in &spans {
        assert_is_a_batch(taken, &scenario);
        assert_eq!(taken.attribute("messaging.destination.partition.id"), string("0"));
        assert_eq!(taken.span.status, Some(Status::default()));
        assert_eq!(attribute(&taken.resource, "service.name"), string("shop"));
        assert!(attribute(&taken.resource, "service.instance.id").is_some());
    }
    let ids: HashSet<_> = spans.iter().map(|taken| taken.span.trace_id.clone()).collect();
    assert_eq!(ids.len(), spans.len(), "each batch is a trace of its own");
}

#[test]
fn records_without_a_trace_have_no_links_and_links_need_no_propagation() {
    let scenario = Scenario::new(require_kafka!(), 1);
    let collector = Collector::start();
    let config =
        exporting(scenario.config(), collector.endpoint()).set("trace.propagate", Vec::<String>::new());
    let mut bridge = Bridge::start(&config);
    let malformed = record("malformed").header("traceparent", Some(b"00-nonsense"));
    scenario
        .kafka
        .produce(&scenario.topic, [record("plain"), malformed]);
    for taken in collector.wait_records(2, SOON) {
        assert_is_a_batch(&taken, &scenario);
        assert_eq!((taken.span.links.len(), taken.span.dropped_links_count), (0, 0));
    }
    scenario.kafka.produce(&scenario.topic, [traced("traced")]);
    let spans = collector.wait_records(3, SOON);
    assert_eq!(
        spans.last().unwrap().span.links[0].trace_id,
        TRACE_ID.to_be_bytes()
    );
    let expected = json!({"id": "traced", "type": "push", "source_id": "a/b"});
    let notes = scenario.rig.recorder.notes();
    assert_eq!(notes.last().unwrap().json(), expected);
    bridge.stop_cleanly();
}

#[test]
fn more_links_than_a_span_may_have_are_cut_and_counted_in_it() {
    const RECORDS: usize = 4000;
    let scenario = Scenario::new(require_kafka!(), 1);
    let collector = Collector::start();
    // While Redis is away batches grow as large as they may.
    scenario.rig.proxy.set(proxy::Mode::Refuse);
    let mut bridge = Bridge::spawn(&exporting(scenario.config(), collector.endpoint()));
    let records = (0..RECORDS).map(|n| traced(&n.to_string()));
    scenario.kafka.produce(&scenario.topic, records);
    bridge.wait_metrics("a full batch waits", SOON, |scrape| {
        scrape.count("paused_partitions", &[("reason", "backpressure")]) == 1
    });
    scenario.rig.proxy.set(proxy::Mode::Pass);
    let spans = collector.wait_records(RECORDS, SOON);
    let full = spans.iter().find(|taken| taken.records() == 1024).unwrap();
    assert_eq!((full.span.links.len(), full.span.dropped_links_count), (128, 896));
    for taken in &spans {
        assert_is_a_batch(taken, &scenario);
        let dropped = usize::try_from(taken.span.dropped_links_count).unwrap();
        assert_eq!(taken.span.links.len() + dropped, taken.records());
    }
    bridge.stop_cleanly();
}

#[test]
fn a_collector_that_is_away_costs_no_records_and_is_told_once_and_counted() {
    const RECORDS: u64 = 4000;
    let scenario = Scenario::new(require_kafka!(), 1);
    let nowhere = Collector::nowhere();
    // A span for each record or two: more than wait for a collector.
    let config = exporting(scenario.config(), format!("http://{nowhere}")).set("batch.max_records", 1);
    let mut bridge = Bridge::start(&config);
    let produced = scenario.load(RECORDS, u64::MAX).finish();
    let run = scenario.gather(produced, SOON);
    run.judge().assert_perfect();
    let line = bridge.wait_log(&["WARN", FAULT], SOON);
    assert!(line.contains("Connection refused"), "{line}");
    let lost = bridge.wait_metrics("spans beyond the queue are counted", SOON, |scrape| {
        scrape.count("spans_dropped_total", &[("reason", "queue_full")]) > 0
    });
    assert_eq!(lost.count("spans_exported_total", &[]), 0);

    let collector = Collector::start_at(nowhere);
    collector.set(Mode::Answer(503));
    collector.wait_requests(3, SOON);
    assert_eq!(lines(&bridge, FAULT), 1, "told once a minute");
    collector.set(Mode::Take);
    bridge.wait_log(&["INFO", "spans are exported again"], SOON);
    let scrape = bridge.wait_metrics("every span is accounted for", SOON, |scrape| {
        let dropped = scrape.count("spans_dropped_total", &[]);
        let batches = scrape.count("batch_size_records_count", &[]);
        scrape.count("spans_exported_total", &[]) + dropped == batches
    });
    let taken = u64::try_from(collector.taken().len()).unwrap();
    assert_eq!(scrape.count("spans_exported_total", &[]), taken);
    bridge.stop_cleanly();
}

#[test]
fn a_collector_that_hangs_stalls_nothing_and_does_not_keep_the_bridge_from_ending() {
    let scenario = Scenario::new(require_kafka!(), 2);
    let collector = Collector::start();
    collector.set(Mode::Hang);
    let mut bridge = Bridge::start(&exporting(scenario.config(), collector.endpoint()));
    let load = scenario.load(16_000, 2000);
    bridge.wait_log(&["WARN", FAULT, "no answer within 5s"], SOON);
    collector.wait_requests(2, SOON);
    let run = scenario.gather(load.finish(), SOON);
    run.judge().assert_perfect();
    let mut timeline = Timeline::default();
    for note in scenario.rig.recorder.notes() {
        timeline.enter(&note.id(), note.at);
    }
    let stall = timeline.worst_stall();
    assert!(
        stall < Duration::from_secs(2),
        "records stood still for {stall:?}"
    );

    let told = Instant::now();
    assert_eq!(bridge.terminate(SOON), 0);
    let lasted = told.elapsed();
    assert!(lasted < Duration::from_secs(5), "it took {lasted:?} to end");
    assert_eq!(lines(&bridge, "the last spans are lost"), 1);
    assert_eq!(lines(&bridge, FAULT), 1, "told once a minute");
    bridge.assert_books_balance();
}

#[test]
fn the_last_spans_are_sent_at_the_end() {
    let scenario = Scenario::new(require_kafka!(), 1);
    let collector = Collector::start();
    let mut bridge = Bridge::start(&exporting(scenario.config(), collector.endpoint()));
    let ids: Vec<String> = (0..50).map(|n| n.to_string()).collect();
    scenario
        .kafka
        .produce(&scenario.topic, ids.iter().map(|id| traced(id)));
    scenario.rig.recorder.wait_distinct(ids.len(), SOON);
    bridge.stop_cleanly();
    assert_eq!(collector.records(), ids.len());
    assert_eq!(lines(&bridge, "the last spans are lost"), 0);
}

#[test]
fn what_a_collector_refuses_is_counted_and_not_sent_again() {
    let scenario = Scenario::new(require_kafka!(), 1);
    let collector = Collector::start();
    collector.set(Mode::Answer(400));
    let mut bridge = Bridge::start(&exporting(scenario.config(), collector.endpoint()));
    let refused = |count| {
        bridge.wait_metrics("refused spans are counted", SOON, |scrape| {
            scrape.count("spans_dropped_total", &[("reason", "refused")]) == count
        })
    };
    scenario.kafka.produce(&scenario.topic, [record("1")]);
    refused(1);
    bridge.wait_log(&["WARN", FAULT, "400 Bad Request"], SOON);
    collector.set(Mode::RejectOne);
    scenario.kafka.produce(&scenario.topic, [record("2")]);
    let scrape = refused(2);
    assert_eq!(scrape.count("spans_exported_total", &[]), 0);
    collector.set(Mode::Take);
    scenario.kafka.produce(&scenario.topic, [record("3")]);
    collector.wait_records(1, SOON);
    assert_eq!(collector.requests(), 3);
    bridge.stop_cleanly();
}

#[test]
fn a_batch_that_is_dropped_ends_as_an_error() {
    let scenario = Scenario::new(require_kafka!(), 1);
    let collector = Collector::start();
    let config = exporting(scenario.best_effort(), collector.endpoint()).set("delivery.retry_for", "100ms");
    let mut bridge = Bridge::start(&config);
    scenario.rig.proxy.set(proxy::Mode::Refuse);
    scenario.rig.proxy.cut();
    scenario.kafka.produce(&scenario.topic, [traced("1")]);
    let spans = collector.wait_records(1, SOON);
    let status = spans[0].span.status.clone().unwrap();
    assert_eq!(status.code, StatusCode::Error as i32);
    let reasons = ["redis_down", "retry_exhausted"].map(string);
    assert!(reasons.contains(&spans[0].attribute("error.type")), "{spans:?}");
    bridge.stop_cleanly();
}

#[test]
fn without_an_endpoint_nothing_is_exported_whatever_the_environment_says() {
    let scenario = Scenario::new(require_kafka!(), 1);
    let collector = Collector::start();
    let endpoint = collector.endpoint();
    let names = [
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    ];
    let mut bridge = Bridge::spawn_with(&scenario.config(), &names.map(|name| (name, endpoint.as_str())));
    scenario.kafka.produce(&scenario.topic, [traced("1")]);
    scenario.rig.recorder.wait_ids(&["1"], SOON);
    bridge.stop_cleanly();
    assert_eq!(collector.connections(), 0);
    assert_eq!(lines(&bridge, "spans are exported"), 0);
}
