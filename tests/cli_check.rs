//! `check`: what is said of a configuration and, with `--connect`, of what it names.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::time::Duration;

use support::cli::{Outcome, run_cli};
use support::config::Config;
use support::kafka::{Kafka, fresh};
use support::private_broker::PrivateBroker;
use support::redis::{RedisServer, free_port};

const SECONDS: Duration = Duration::from_secs(30);

fn check(config: &Config, flags: &[&str]) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bridge.toml");
    config.write(&path);
    let path = path.to_str().unwrap();
    run_cli(&[&["check", "--config", path], flags].concat(), SECONDS)
}

/// The outcome, with these parts in what is said for people, and no secret anywhere.
#[track_caller]
fn assert_says(outcome: &Outcome, code: i32, parts: &[&str]) {
    assert_eq!(outcome.code, code, "{outcome:?}");
    for part in parts {
        assert!(outcome.stderr.contains(part), "no {part:?} in {}", outcome.stderr);
    }
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(!said.contains("-secret"), "a secret was shown: {said}");
}

fn nobody() -> Kafka {
    Kafka::at(format!("127.0.0.1:{}", free_port()), &[])
}

#[test]
fn without_connect_nothing_is_asked() {
    let config = Config::new(&nobody(), "g", &["orders"], "redis://:url-secret@127.0.0.1:1");
    let outcome = check(&config, &[]);
    assert_says(
        &outcome,
        0,
        &["configuration ok", "orders", "redis://127.0.0.1:1", "g.dlq"],
    );
    assert!(outcome.stdout.is_empty(), "nothing for programs: {outcome:?}");
}

#[test]
fn what_print_shows_is_a_configuration_again() {
    let config = Config::new(&nobody(), "g", &["orders"], "redis://localhost");
    let printed = check(&config, &["--print"]).stdout;
    let again = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(again.path(), &printed).unwrap();
    let path = again.path().to_str().unwrap();
    let outcome = run_cli(&["check", "--config", path, "--print"], SECONDS);
    assert_eq!((outcome.code, outcome.stdout), (0, printed));
}

#[test]
fn services_out_of_reach_are_69_within_the_timeout() {
    let config =
        Config::new(&nobody(), "g", &["orders"], "redis://127.0.0.1:1").set("kafka.startup_timeout", "2s");
    let outcome = check(&config, &["--connect"]);
    assert_says(
        &outcome,
        69,
        &[
            "failed  kafka: kafka.bootstrap_servers",
            "failed  redis: redis.url: 127.0.0.1:1",
        ],
    );
    assert!(outcome.took < Duration::from_secs(10), "{:?}", outcome.took);
}

#[test]
fn a_redis_that_refuses_is_78_even_where_kafka_is_out_of_reach() {
    let redis = RedisServer::start_with_password("right-secret");
    redis.command(&[
        "ACL",
        "SETUSER",
        "reader",
        "on",
        ">reader-secret",
        "&*",
        "+subscribe",
    ]);
    redis.command(&[
        "ACL",
        "SETUSER",
        "narrow",
        "on",
        ">narrow-secret",
        "resetchannels",
        "&events:*",
        "+publish",
    ]);
    let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1 1"]);
    for (url, parts) in [
        (redis.url(), ["NOAUTH", "redis.password_file"]),
        (
            with(&redis, ":wrong-secret"),
            ["WRONGPASS", "redis.password_file"],
        ),
        (with(&redis, "reader:reader-secret"), ["publish", "ACL SETUSER"]),
        (
            with(&redis, "narrow:narrow-secret"),
            ["redis.probe_channel", "&kafka-redis-bridge:probe"],
        ),
        (replica.url(), ["is a replica", "must lead to the master"]),
    ] {
        let config = Config::new(&nobody(), "g", &["orders"], &url).set("kafka.startup_timeout", "1s");
        assert_says(&check(&config, &["--connect"]), 78, &parts);
    }
}

fn with(redis: &RedisServer, credentials: &str) -> String {
    redis
        .url()
        .replace("redis://", &format!("redis://{credentials}@"))
}

#[test]
fn a_probe_arrives_and_nothing_is_created_or_committed() {
    let kafka = require_kafka!();
    let redis = RedisServer::start();
    let (topic, group) = (kafka.topic(3), fresh("group"));
    let config = Config::new(&kafka, &group, &[&topic, "^no-such-topic-.*"], &redis.url())
        .set("redis.probe_channel", "ops:probe");
    let outcome = check(&config, &["--connect"]);
    let exists = format!("topic {topic}; partitions: 3");
    assert_says(
        &outcome,
        0,
        &[
            "a master",
            "published a probe to ops:probe: 0 receivers",
            &exists,
            "^no-such-topic-.* matches now: 0",
            "has no commits",
            "run will create it with 12 partitions",
        ],
    );
    assert_eq!(kafka.partitions(&format!("{group}.dlq")), 0);
    assert!(kafka.committed(&group, &topic).is_empty());
}

#[test]
fn a_missing_topic_is_78_and_the_others_are_still_looked_at() {
    let kafka = require_kafka!();
    let redis = RedisServer::start();
    let (there, missing) = (kafka.topic(1), fresh("missing"));
    let config = Config::new(&kafka, &fresh("group"), &[&missing, &there], &redis.url());
    let outcome = check(&config, &["--connect"]);
    let (missing_said, there_said) = (
        format!("kafka.topics: {missing} does not exist"),
        format!("topic {there}; partitions: 1"),
    );
    assert_says(&outcome, 78, &[&missing_said, &there_said]);
    assert_eq!(kafka.partitions(&missing), 0);
}

#[test]
fn a_matched_topic_without_a_route_is_told() {
    let kafka = require_kafka!();
    let redis = RedisServer::start();
    let topic = kafka.topic(1);
    let config = Config::new(&kafka, &fresh("group"), &[&format!("^{topic}$")], &redis.url())
        .route("topics = [\"something-else\"]");
    let expected = format!("topic {topic} has no route");
    assert_says(&check(&config, &["--connect"]), 0, &[&expected]);
}

#[test]
fn what_kafka_forbids_is_78_with_what_to_grant() {
    let Some(broker) = PrivateBroker::start_with_sasl("what_kafka_forbids_is_78_with_what_to_grant") else {
        return;
    };
    let redis = RedisServer::start();
    let topic = broker.kafka().topic(1);
    let user = "User:bridge";
    broker.acls(&[
        "--add",
        "--allow-principal",
        user,
        "--operation",
        "Describe",
        "--topic",
        &topic,
    ]);
    let kafka = broker.kafka_as("bridge");
    let config = Config::new(&kafka, "shop", &[&topic], &redis.url());
    let unreadable = format!("topic {topic} can't be read");
    let parts = [
        "group shop: ",
        "GroupAuthorizationFailed",
        "dlq.topic: shop.dlq",
        "allow this user to Create it",
    ];
    let outcome = check(&config, &["--connect"]);
    assert_says(&outcome, 78, &[&[unreadable.as_str()][..], &parts].concat());

    let wrong = config.property("sasl.password", "wrong-secret");
    let outcome = check(&wrong, &["--connect"]);
    assert_says(&outcome, 78, &["refuses this user", "sasl.password"]);
    assert!(outcome.took < Duration::from_secs(15), "{:?}", outcome.took);
}
