//! The trace context of a record arrives with its notification.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::bridge::Bridge;
use support::producer::NewRecord;
use support::scenario::Scenario;

const SOON: Duration = Duration::from_secs(30);
const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TRACESTATE: &str = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE";

/// A record of the default envelope.
fn record(id: &str) -> NewRecord {
    let value = json!({"id": id, "type": "push", "source_type": "repo", "source_id": "a/b"});
    NewRecord::of(value.to_string())
}

fn traced(id: &str) -> NewRecord {
    record(id)
        .header("traceparent", Some(TRACEPARENT.as_bytes()))
        .header("tracestate", Some(TRACESTATE.as_bytes()))
        .header("correlation_id", Some(b"order-7"))
}

/// The notification with that id, once it is heard.
fn notification(scenario: &Scenario, id: &str) -> Value {
    let recorder = &scenario.rig.recorder;
    recorder.wait_ids(&[id], SOON);
    let notes = recorder.notes();
    notes.iter().find(|note| note.id() == id).unwrap().json()
}

#[test]
fn a_producers_trace_arrives_with_the_notification() {
    let scenario = Scenario::new(require_kafka!(), 1);
    let mut bridge = Bridge::start(&scenario.config());
    let malformed = record("malformed")
        .header(
            "traceparent",
            Some(b"00-00000000000000000000000000000000-00f067aa0ba902b7-01"),
        )
        .header("tracestate", Some(TRACESTATE.as_bytes()));
    let records = [traced("traced"), record("plain"), malformed];
    scenario.kafka.produce(&scenario.topic, records);
    assert_eq!(
        notification(&scenario, "traced"),
        json!({
            "id": "traced", "type": "push", "source_id": "a/b",
            "traceparent": TRACEPARENT, "tracestate": TRACESTATE, "correlation_id": "order-7",
        })
    );
    for id in ["plain", "malformed"] {
        let expected = json!({"id": id, "type": "push", "source_id": "a/b"});
        assert_eq!(notification(&scenario, id), expected);
    }
    bridge.wait_metrics("the malformed one is counted", SOON, |scrape| {
        scrape.count("notification_fields_omitted_total", &[]) == 1
    });
    bridge.stop_cleanly();
}

#[test]
fn routes_pass_it_on_under_the_names_that_are_configured() {
    let scenario = Scenario::new(require_kafka!(), 1);
    let route = format!("topics = ['{}']\nid = 'literal:routed'", scenario.topic);
    let config = scenario
        .config()
        .route(&route)
        .set("trace.headers.correlation_id", "X-Request-ID")
        .set("trace.fields.traceparent", "trace");
    let mut bridge = Bridge::start(&config);
    let record = traced("1").header("X-Request-ID", Some(b"r-1"));
    scenario.kafka.produce(&scenario.topic, [record]);
    assert_eq!(
        notification(&scenario, "routed"),
        json!({
            "id": "routed", "type": "push", "source_id": "a/b",
            "trace": TRACEPARENT, "tracestate": TRACESTATE, "correlation_id": "r-1",
        })
    );
    bridge.stop_cleanly();
}

#[test]
fn switched_off_nothing_is_passed_on() {
    let scenario = Scenario::new(require_kafka!(), 1);
    let config = scenario.config().set("trace.propagate", Vec::<String>::new());
    let mut bridge = Bridge::start(&config);
    scenario.kafka.produce(&scenario.topic, [traced("1")]);
    let expected = json!({"id": "1", "type": "push", "source_id": "a/b"});
    assert_eq!(notification(&scenario, "1"), expected);
    bridge.stop_cleanly();
}
