//! `derive`: what would be published, and what would be a dead letter, without Redis.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use support::cli::{Outcome, code, command, run_cli};
use support::kafka::{Kafka, fresh};
use support::producer::NewRecord;
use support::redis::free_port;

const SECONDS: Duration = Duration::from_secs(30);
const GOOD: &str = r#"{"id":7,"type":"push","source_type":"repo","source_id":"a/b"}"#;
const ROUTES: &str = r#"
    [kafka]
    topics = ["webhooks"]
    [redis]
    url = "redis://nowhere.invalid"
    password_file = "/nowhere/secret"
    [[routes]]
    topics = ["webhooks"]
    id = "header:Delivery"
    type = "literal:push"
    source_type = "key:/kind"
    source_id = "/repo"
    channels = ["events:{source_type}:{source_id}", "events:{source_type}"]
"#;

/// Runs `derive` with this on its standard input.
fn derive(flags: &[&str], input: &str) -> Outcome {
    let mut child = command()
        .arg("derive")
        .args(flags)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    Outcome {
        code: code(done.status),
        stdout: String::from_utf8(done.stdout).unwrap(),
        stderr: String::from_utf8(done.stderr).unwrap(),
        took: Duration::ZERO,
    }
}

fn file(text: &str) -> (tempfile::NamedTempFile, String) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    (file, path)
}

fn objects(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn without_any_configuration_the_default_envelope_serves() {
    let outcome = derive(&[], &format!("{GOOD}\n"));
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(
        outcome.stdout,
        "events:repo:a/b\t{\"id\":\"7\",\"type\":\"push\",\"source_id\":\"a/b\"}\n"
    );
    let summary = &objects(&outcome.stderr)[0];
    assert_eq!(
        (&summary["records"], &summary["notifications"]),
        (&json!(1), &json!(1))
    );
}

#[test]
fn dead_letters_are_told_with_their_reason_and_end_with_65() {
    let outcome = derive(&["--file", "-"], &format!("{GOOD}\nnope\n\n{{\"id\":1}}\n[]"));
    assert_eq!(outcome.code, 65, "{outcome:?}");
    let lines: Vec<_> = outcome.stdout.lines().collect();
    assert_eq!(lines.len(), 4);
    for (line, reason) in lines[1..]
        .iter()
        .zip(["invalid_json", "missing_field", "not_an_object"])
    {
        assert!(line.starts_with(&format!("dead letter: {reason}: ")), "{line}");
    }
    let letters = &objects(&outcome.stderr)[0]["dead_letters"];
    assert_eq!(
        *letters,
        json!({"invalid_json":1,"missing_field":1,"not_an_object":1})
    );
    assert!(!outcome.stdout.contains('\u{1b}'), "no colour in a pipe");
}

#[test]
fn trace_context_of_the_headers_shows_in_the_notification() {
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let input = format!(
        r#"{{"value":{GOOD},"headers":{{"traceparent":"{parent}","tracestate":"a=1","correlation_id":"c"}}}}"#
    );
    let flags = ["--format", "json"];
    let outcome = derive(&flags, &input);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(
        outcome.stdout,
        format!(
            "events:repo:a/b\t{{\"id\":\"7\",\"type\":\"push\",\"source_id\":\"a/b\",\"traceparent\":\"{parent}\",\
             \"correlation_id\":\"c\",\"tracestate\":\"a=1\"}}\n"
        )
    );
    let (_config, config) = file("[trace]\npropagate = []");
    let outcome = derive(&["--format", "json", "-c", &config], &input);
    assert_eq!(
        outcome.stdout,
        "events:repo:a/b\t{\"id\":\"7\",\"type\":\"push\",\"source_id\":\"a/b\"}\n"
    );
}

#[test]
fn routes_get_keys_headers_and_several_channels_and_need_no_service() {
    let (_config, config) = file(ROUTES);
    let (_records, records) = file(concat!(
        r#"{"key":{"kind":"repo"},"headers":{"Delivery":"d1"},"value":{"repo":"a/b"},"partition":2,"offset":40}"#,
        "\n",
        r#"{"key":"{\"kind\":\"repo\"}","headers":{"Delivery":null},"value":"{\"repo\":\"a/b\"}"}"#,
        "\n",
        r#"{"value":null}"#,
        "\n",
        r#"{"topic":"elsewhere","value":{}}"#,
        "\n"
    ));
    let outcome = run_cli(
        &[
            "derive", "-c", &config, "-f", &records, "--format", "json", "--json",
        ],
        SECONDS,
    );
    assert_eq!(outcome.code, 65, "{outcome:?}");
    let shown = objects(&outcome.stdout);
    assert_eq!(
        shown[0],
        json!({
            "topic": "webhooks", "partition": 2, "offset": 40, "outcome": "ready",
            "channels": ["events:repo:a/b", "events:repo"],
            "notification": {"id": "d1", "type": "push", "source_id": "a/b"},
        })
    );
    assert_eq!(
        (&shown[1]["outcome"], &shown[1]["reason"]),
        (&json!("dead_letter"), &json!("missing_field"))
    );
    assert!(shown[1]["detail"].as_str().unwrap().contains("Delivery"));
    assert_eq!(
        (&shown[2]["outcome"], &shown[2]["reason"]),
        (&json!("skip"), &json!("tombstone"))
    );
    assert_eq!(
        (&shown[3]["outcome"], &shown[3]["reason"]),
        (&json!("skip"), &json!("no_route"))
    );
}

#[test]
fn as_topic_says_which_route_serves() {
    let routes = |expression: &str| {
        format!(
            "[kafka]\ntopics = [\"{expression}\"]\n[[routes]]\ntopics = [\"orders\"]\nid = \"coordinates\"\n"
        )
    };
    let (_config, config) = file(&routes("^ord"));
    let outcome = derive(&["-c", &config], GOOD);
    assert_eq!(outcome.code, 64, "{outcome:?}");
    assert!(outcome.stderr.contains("--as-topic"));
    let outcome = derive(&["-c", &config, "--as-topic", "orders"], GOOD);
    assert!(outcome.stdout.contains(r#"{"id":"orders-0-0""#), "{outcome:?}");
}

#[test]
fn a_line_that_is_no_record_is_named() {
    let (_records, records) = file("{\"value\":1}\n{\"vaule\":1}\n");
    let outcome = run_cli(&["derive", "--format", "json", "--file", &records], SECONDS);
    assert_eq!(outcome.code, 65);
    let place = format!("{records}:2: ");
    assert!(
        outcome.stderr.contains(&place) && outcome.stderr.contains("vaule"),
        "{outcome:?}"
    );
}

#[test]
fn wrong_input_and_wrong_configuration_are_told_apart() {
    let (_config, config) = file("[delivery]\nmode = \"never\"\n");
    for (flags, code, part) in [
        (&["--file", "/nowhere/records"][..], 64, "/nowhere/records"),
        (&["--file", "x", "--topic", "y"], 64, "--topic"),
        (&["--config", &config, "--file", "-"], 78, "delivery.mode"),
        (&["--topic", "orders"], 78, "kafka.bootstrap_servers"),
    ] {
        let outcome = run_cli(&[&["derive"], flags].concat(), SECONDS);
        assert_eq!(outcome.code, code, "{outcome:?}");
        assert!(outcome.stderr.contains(part), "{outcome:?}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let mut child = command()
        .arg("derive")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut input = child.stdin.take().unwrap();
    // Ends when derive closes its end.
    while input.write_all(format!("{GOOD}\n").as_bytes()).is_ok() {}
    assert_eq!(code(child.wait().unwrap()), 0);
}

#[test]
fn a_broker_out_of_reach_is_69() {
    let (_config, config) = file("[kafka]\nstartup_timeout = \"1s\"\n");
    let servers = format!("127.0.0.1:{}", free_port());
    let outcome = run_cli(
        &[
            "derive",
            "-c",
            &config,
            "--topic",
            "t",
            "--bootstrap-servers",
            &servers,
        ],
        SECONDS,
    );
    assert_eq!(outcome.code, 69, "{outcome:?}");
}

/// A topic with the ids 0 to 9 in partition 0 and 10 to 14 in partition 1, written a millisecond apart from `since`.
fn topic_of_fifteen(kafka: &Kafka, since: Timestamp) -> String {
    let topic = kafka.topic(2);
    let record = |id: i64| {
        let value = format!(r#"{{"id":{id},"type":"t","source_type":"user","source_id":"u"}}"#);
        NewRecord::of(value)
            .to(i32::from(id >= 10))
            .at(since.as_millisecond() + id)
    };
    kafka.produce(&topic, (0..15).map(record));
    topic
}

/// The ids that are derived with these flags, sorted.
#[track_caller]
fn ids(kafka: &Kafka, topic: &str, flags: &[&str]) -> Vec<i64> {
    let fixed = [
        "derive",
        "--bootstrap-servers",
        &kafka.bootstrap,
        "--topic",
        topic,
        "--json",
    ];
    let outcome = run_cli(&[&fixed, flags].concat(), SECONDS);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let id = |shown: &Value| shown["notification"]["id"].as_str().unwrap().parse().unwrap();
    let mut ids: Vec<i64> = objects(&outcome.stdout).iter().map(id).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn a_topic_is_read_to_its_end_from_wherever_it_is_asked_for() {
    let kafka = require_kafka!();
    // Within the broker's retention, which may delete at any time what is older.
    let since = Timestamp::now() - jiff::SignedDuration::from_mins(5);
    let topic = topic_of_fifteen(&kafka, since);
    let eighth = (since + jiff::SignedDuration::from_millis(8)).to_string();
    let ids = |flags: &[&str]| ids(&kafka, &topic, flags);
    assert_eq!(ids(&[]), (0..15).collect::<Vec<_>>());
    assert_eq!(ids(&["--partition", "1"]), [10, 11, 12, 13, 14]);
    assert_eq!(ids(&["--from", "4"]), [4, 5, 6, 7, 8, 9, 14]);
    assert_eq!(ids(&["--from", &eighth]), [8, 9, 10, 11, 12, 13, 14]);
    assert_eq!(ids(&["--from", "latest", "--limit", "4"]), [8, 9, 13, 14]);
    assert_eq!(ids(&["--from", "latest"]), [5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
    assert_eq!(ids(&["--limit", "3", "--partition", "0"]), [0, 1, 2]);
    assert!(kafka.committed("kafka-redis-bridge", &topic).is_empty());
}

#[test]
fn an_empty_topic_and_a_missing_one_differ() {
    let kafka = require_kafka!();
    assert!(ids(&kafka, &kafka.topic(3), &[]).is_empty());
    let missing = fresh("missing");
    let outcome = run_cli(
        &[
            "derive",
            "--bootstrap-servers",
            &kafka.bootstrap,
            "--topic",
            &missing,
        ],
        SECONDS,
    );
    assert_eq!(outcome.code, 78, "{outcome:?}");
    assert!(outcome.stderr.contains(&missing));
}
