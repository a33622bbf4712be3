//! Topics that already exist: routes, selectors and channels.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::time::Duration;

use serde_json::json;
use support::bridge::Bridge;
use support::config::Config;
use support::kafka::{Kafka, fresh};
use support::producer::NewRecord;
use support::recorder::Note;
use support::rig::Rig;
use support::wait;

const SOON: Duration = Duration::from_secs(20);

/// A topic, and the bridge's configuration on it from its beginning, without routes.
fn setting(kafka: &Kafka, rig: &Rig) -> (String, Config) {
    let topic = kafka.topic(1);
    let group = fresh("group");
    let config = Config::new(kafka, &group, &[&topic], &rig.proxy.url())
        .at_least_once()
        .earliest();
    (topic, config)
}

/// Waits until that many notifications were heard, and returns them.
#[track_caller]
fn heard(rig: &Rig, count: usize) -> Vec<Note> {
    rig.recorder
        .wait_until(&format!("{count} notifications"), SOON, |notes| {
            notes.len() >= count
        });
    rig.recorder.notes()
}

#[test]
fn a_webhook_goes_to_its_channel_and_to_the_aggregate_with_its_extra_fields() {
    let (kafka, rig) = (require_kafka!(), Rig::start());
    let (topic, config) = setting(&kafka, &rig);
    let route = format!(
        r#"
        topics      = ["{topic}"]
        id          = "header:X-GitHub-Delivery"
        type        = "header:X-GitHub-Event"
        source_type = "literal:repo"
        source_id   = "/repository/full_name"
        channels    = ["events:{{source_type}}:{{source_id}}", "events:{{source_type}}"]
        fields      = {{ action = "/action", absent = "/nothing" }}
        "#
    );
    let bridge = Bridge::start(&config.route(&route));
    let hook = r#"{"action":"opened","repository":{"id":1,"full_name":"owner/repo"},"body":"private"}"#;
    let record = NewRecord::of(hook);
    let record = record
        .header("X-GitHub-Delivery", Some(b"d-1"))
        .header("X-GitHub-Event", Some(b"pull_request"));
    kafka.produce(&topic, [record]);
    let notes = heard(&rig, 2);
    let expected = json!({"id":"d-1","type":"pull_request","source_id":"owner/repo","action":"opened"});
    assert_eq!(
        (notes[0].channel.as_str(), notes[0].json()),
        ("events:repo:owner/repo", expected.clone())
    );
    assert_eq!(
        (notes[1].channel.as_str(), notes[1].json()),
        ("events:repo", expected)
    );
    bridge.wait_metrics("one record, two notifications", SOON, |m| {
        m.settled("published") == 1 && m.count("notifications_published_total", &[]) == 2
    });
}

#[test]
fn a_topic_keyed_by_id_and_without_event_ids_uses_key_and_coordinates() {
    let (kafka, rig) = (require_kafka!(), Rig::start());
    let (topic, config) = setting(&kafka, &rig);
    let route = format!(
        r#"
        topics      = ["{topic}"]
        id          = "coordinates"
        type        = "/status"
        source_type = "literal:order"
        source_id   = "key"
        channels    = ["orders:{{source_id}}"]
        "#
    );
    let _bridge = Bridge::start(&config.route(&route));
    kafka.produce(&topic, [NewRecord::of(r#"{"status":"paid"}"#).key("o-7")]);
    let note = heard(&rig, 1).remove(0);
    assert_eq!(note.channel, "orders:o-7");
    assert_eq!(
        note.json(),
        json!({"id": format!("{topic}-0-0"), "type":"paid", "source_id":"o-7"})
    );
}

#[test]
fn a_topic_with_everything_in_headers_needs_no_json_value() {
    let (kafka, rig) = (require_kafka!(), Rig::start());
    let (topic, config) = setting(&kafka, &rig);
    let route = format!(
        r#"
        topics      = ["{topic}"]
        id          = "header:id"
        type        = "header:type"
        source_type = "topic"
        source_id   = "key:/customer"
        channels    = ["{{{{fixed}}}}:{{source_id}}"]
        "#
    );
    let _bridge = Bridge::start(&config.route(&route));
    let record = NewRecord::of([0xff, 0x00]).key(r#"{"customer":42}"#);
    kafka.produce(
        &topic,
        [record.header("id", Some(b"e-1")).header("type", Some(b"made"))],
    );
    let note = heard(&rig, 1).remove(0);
    assert_eq!(note.channel, "{fixed}:42");
    assert_eq!(note.json(), json!({"id":"e-1","type":"made","source_id":"42"}));
}

#[test]
fn an_extra_field_over_the_cap_is_left_out_and_the_notification_goes() {
    let (kafka, rig) = (require_kafka!(), Rig::start());
    let (topic, config) = setting(&kafka, &rig);
    let route = format!(
        r#"
        topics      = ["{topic}"]
        id          = "/id"
        type        = "/type"
        source_type = "literal:a"
        source_id   = "/s"
        channels    = ["events:{{source_type}}:{{source_id}}"]
        fields      = {{ big = "/big", small = "/small" }}
        "#
    );
    let _bridge = Bridge::start(&config.route(&route));
    let big = "x".repeat(3_000);
    kafka.produce(
        &topic,
        [NewRecord::of(format!(
            r#"{{"id":1,"type":"t","s":"s","big":"{big}","small":"y"}}"#
        ))],
    );
    let note = heard(&rig, 1).remove(0);
    assert!(note.payload.len() <= 1024);
    assert_eq!(
        (&note.json()["id"], &note.json()["big"]),
        (&json!("1"), &serde_json::Value::Null)
    );
}

#[test]
fn a_topic_that_only_the_regex_matched_and_no_route_serves_is_skipped_with_one_warning() {
    let (kafka, rig) = (require_kafka!(), Rig::start());
    let prefix = fresh("regex");
    let (served, other) = (format!("{prefix}-served"), format!("{prefix}-other"));
    kafka.create_topic(&served, 1, &[]);
    kafka.create_topic(&other, 1, &[]);
    let regex = format!("^{prefix}-(served|other)$");
    let config = Config::new(&kafka, &prefix, &[&regex], &rig.proxy.url())
        .at_least_once()
        .earliest();
    let route = format!(
        r#"
        topics = ["{served}"]
        id = "/id"
        type = "/type"
        source_type = "literal:a"
        source_id = "/s"
        channels = ["events:{{source_type}}:{{source_id}}"]
        "#
    );
    let mut bridge = Bridge::start(&config.route(&route));
    let value = r#"{"id":"i","type":"t","s":"s"}"#;
    kafka.produce(&other, (0..20).map(|_| NewRecord::of(value)));
    kafka.produce(&served, [NewRecord::of(value)]);
    heard(&rig, 1);
    let skipped = [
        ("outcome", "skipped"),
        ("reason", "no_route"),
        ("topic", other.as_str()),
    ];
    bridge.wait_metrics("skipped", SOON, |m| {
        m.count("records_settled_total", &skipped) == 20
    });
    wait::until_true("committed", SOON, || {
        kafka.committed(&prefix, &other) == [(0, 20)].into()
    });
    bridge.stop_cleanly();
    let warnings = bridge
        .log()
        .into_iter()
        .filter(|line| line.contains("WARN") && line.contains(&other));
    assert_eq!(warnings.count(), 1);
}

#[test]
fn ten_thousand_channels_are_no_burden() {
    let (kafka, rig) = (require_kafka!(), Rig::start());
    let (topic, config) = setting(&kafka, &rig);
    let mut bridge = Bridge::start(&config);
    let value = |n: usize| format!(r#"{{"id":"{n}","type":"t","source_type":"user","source_id":"u{n}"}}"#);
    kafka.produce(&topic, (0..10_000).map(|n| NewRecord::of(value(n))));
    rig.wait_distinct(10_000, SOON);
    let scrape = bridge.metrics();
    assert!(scrape.names().count() < 2_000, "no label holds a channel");
    bridge.stop_cleanly();
}
