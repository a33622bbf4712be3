//! What goes wrong on the command line: one clear line, the right exit code, within seconds, no secret.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::path::PathBuf;
use std::time::Duration;

use support::cli::{Outcome, run_cli, run_cli_with};
use support::config::Config;
use support::kafka::{Kafka, fresh};
use support::redis::{RedisServer, free_port};

const SECONDS: Duration = Duration::from_secs(15);

/// A configuration file in a folder of its own.
struct File {
    dir: tempfile::TempDir,
}

impl File {
    fn of(text: &str) -> Self {
        let file = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        std::fs::write(file.path(), text).unwrap();
        file
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("bridge.toml")
    }

    #[track_caller]
    fn run(&self, command: &[&str], deadline: Duration) -> Outcome {
        let path = self.path();
        let (name, rest) = command.split_first().unwrap();
        run_cli(
            &[&[*name, "--config", path.to_str().unwrap()], rest].concat(),
            deadline,
        )
    }
}

/// A broker that nobody runs.
fn nobody() -> Kafka {
    Kafka::at(format!("127.0.0.1:{}", free_port()), &[])
}

/// What is said for people is on stderr, without a backtrace or a Rust panic in it.
#[track_caller]
fn assert_says(outcome: &Outcome, code: i32, parts: &[&str]) {
    assert_eq!(outcome.code, code, "{outcome:?}");
    for part in parts {
        assert!(outcome.stderr.contains(part), "no {part:?} in {}", outcome.stderr);
    }
    assert!(
        !outcome.stderr.contains("panicked") && !outcome.stderr.contains("RUST_BACKTRACE"),
        "{outcome:?}"
    );
}

#[test]
fn a_wrong_flag_is_a_usage_error() {
    assert_says(
        &run_cli(&["run", "--no-such-flag"], SECONDS),
        64,
        &["--no-such-flag"],
    );
    assert_says(&run_cli(&["no-such-command"], SECONDS), 64, &["no-such-command"]);
}

#[test]
fn help_and_version_are_no_errors() {
    for command in ["run", "check", "derive", "tail"] {
        let help = run_cli(&[command, "--help"], SECONDS);
        assert_eq!(help.code, 0);
        assert!(
            help.stdout.contains("kafka-redis-bridge "),
            "an example in the help of {command}"
        );
    }
    let version = run_cli(&["--version"], SECONDS);
    assert_eq!(
        (version.code, version.stdout.contains(env!("CARGO_PKG_VERSION"))),
        (0, true)
    );
}

#[test]
fn a_file_that_is_not_there_is_a_configuration_error() {
    let outcome = run_cli(&["run", "--config", "/nowhere/bridge.toml"], SECONDS);
    assert_says(&outcome, 78, &["/nowhere/bridge.toml"]);
}

#[test]
fn an_unknown_key_is_named_with_file_and_line() {
    let text = "[kafka]\nbootstrap_servers = \"x:1\"\ntopics = [\"t\"]\nbootstrap_server = \"y:1\"\n[redis]\nurl = \"redis://x\"\n";
    let file = File::of(text);
    for command in ["run", "check"] {
        assert_says(
            &file.run(&[command], SECONDS),
            78,
            &["bridge.toml:4", "bootstrap_server"],
        );
    }
}

#[test]
fn a_property_that_would_undo_delivery_is_refused_with_the_key_that_serves() {
    let config =
        Config::new(&nobody(), "g", &["t"], "redis://localhost").property("enable.auto.commit", "true");
    assert_says(
        &File::of(&config.text()).run(&["check"], SECONDS),
        78,
        &["enable.auto.commit"],
    );
    let config =
        Config::new(&nobody(), "g", &["t"], "redis://localhost").property("auto.offset.reset", "latest");
    let outcome = File::of(&config.text()).run(&["check"], SECONDS);
    assert_says(&outcome, 78, &["auto.offset.reset", "kafka.start_from"]);
}

#[test]
fn a_channel_for_each_event_is_refused() {
    let route = |channel: &str| {
        format!(
            r#"
            topics = ["t"]
            id = "/id"
            type = "/type"
            source_type = "literal:a"
            source_id = "/s"
            channels = ["{channel}"]
            "#
        )
    };
    for channel in ["events:{id}", "events:{offset}"] {
        let config = Config::new(&nobody(), "g", &["t"], "redis://localhost").route(&route(channel));
        let file = File::of(&config.text());
        for command in ["check", "run"] {
            assert_says(&file.run(&[command], SECONDS), 78, &["bridge.toml:", "channel"]);
        }
    }
}

#[test]
fn an_unreachable_broker_ends_the_start_within_its_timeout() {
    let config =
        Config::new(&nobody(), "g", &["t"], "redis://127.0.0.1:1").set("kafka.startup_timeout", "2s");
    let outcome = File::of(&config.text()).run(&["run"], SECONDS);
    assert_says(&outcome, 69, &["127.0.0.1"]);
    assert!(
        outcome.took >= Duration::from_millis(1500),
        "it tried: {:?}",
        outcome.took
    );
}

#[test]
fn a_named_topic_that_is_not_there_is_a_configuration_error() {
    let kafka = require_kafka!();
    let redis = RedisServer::start();
    let topic = fresh("missing");
    let config = Config::new(&kafka, &fresh("group"), &[&topic], &redis.url());
    assert_says(
        &File::of(&config.text()).run(&["run"], Duration::from_secs(45)),
        78,
        &[&topic],
    );
    assert_eq!(kafka.partitions(&topic), 0, "it wasn't made either");
}

#[test]
fn check_connect_passes_where_everything_is_there() {
    let kafka = require_kafka!();
    let redis = RedisServer::start_with_password("right-secret");
    let topic = kafka.topic(1);
    let url = redis.url().replace("redis://", "redis://:right-secret@");
    let config = Config::new(&kafka, &fresh("group"), &[&topic], &url);
    let outcome = File::of(&config.text()).run(&["check", "--connect"], Duration::from_secs(30));
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(said.contains(&topic), "says what it looked at: {said}");
    assert_no_secret(&outcome);
}

#[test]
fn check_connect_says_that_redis_wants_another_password() {
    let kafka = require_kafka!();
    let redis = RedisServer::start_with_password("right-secret");
    let topic = kafka.topic(1);
    for url in [
        redis.url(),
        redis.url().replace("redis://", "redis://:wrong-secret@"),
    ] {
        let config = Config::new(&kafka, &fresh("group"), &[&topic], &url);
        let outcome = File::of(&config.text()).run(&["check", "--connect"], Duration::from_secs(30));
        assert_eq!(outcome.code, 78, "{outcome:?}");
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(
            said.contains("redis.url") || said.contains("redis.password_file"),
            "{said}"
        );
        assert_no_secret(&outcome);
    }
}

#[test]
fn check_connect_says_that_redis_is_not_there() {
    let kafka = require_kafka!();
    let topic = kafka.topic(1);
    let url = format!("redis://127.0.0.1:{}", free_port());
    let config = Config::new(&kafka, &fresh("group"), &[&topic], &url);
    let outcome = File::of(&config.text()).run(&["check", "--connect"], Duration::from_secs(30));
    assert_eq!(outcome.code, 69, "{outcome:?}");
}

#[test]
fn check_print_masks_secrets() {
    let config = Config::new(&nobody(), "g", &["t"], "redis://:url-secret@localhost")
        .property("sasl.password", "sasl-secret")
        .property("security.protocol", "SASL_PLAINTEXT");
    let outcome = File::of(&config.text()).run(&["check", "--print"], SECONDS);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(outcome.stdout.contains("bootstrap_servers"));
    assert_no_secret(&outcome);
}

#[test]
fn flags_alone_attach_it_to_a_topic_and_the_environment_sets_the_rest() {
    let flags = [
        "run",
        "--bootstrap-servers",
        "127.0.0.1:1",
        "--topic",
        "orders",
        "--redis-url",
        "redis://localhost",
    ];
    let env = [("KAFKA_REDIS_BRIDGE__KAFKA__STARTUP_TIMEOUT", "1s")];
    let outcome = run_cli_with(&flags, &env, SECONDS);
    assert_says(&outcome, 69, &["127.0.0.1:1"]);
}

#[track_caller]
fn assert_no_secret(outcome: &Outcome) {
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(!said.contains("-secret"), "a secret was shown: {said}");
}
