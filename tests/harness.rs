//! The harness itself: the servers that the other tests rely on do what they say.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::time::Duration;

use support::load::numbered;
use support::metrics::Scrape;
use support::private_broker::PrivateBroker;
use support::proxy::Mode;
use support::rig::Rig;
use support::scenario::Scenario;
use support::wait;

const SOON: Duration = Duration::from_secs(5);

/// A client through the proxy that doesn't wait for ever.
fn client(rig: &Rig) -> redis::Connection {
    let client = redis::Client::open(rig.proxy.url()).unwrap();
    let connection = client.get_connection_with_timeout(SOON).unwrap();
    connection
        .set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    connection
}

fn publish(connection: &mut redis::Connection, channel: &str, id: &str) -> redis::RedisResult<i64> {
    let payload = format!(r#"{{"id":"{id}"}}"#);
    redis::cmd("PUBLISH").arg(channel).arg(payload).query(connection)
}

#[test]
fn what_passes_the_proxy_is_heard_in_order() {
    let rig = Rig::start();
    let mut connection = client(&rig);
    let ids: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
    for id in &ids {
        assert_eq!(publish(&mut connection, "events:a:b", id).unwrap(), 1);
    }
    rig.wait_distinct(1000, SOON);
    let notes = rig.recorder.notes();
    assert!(notes.iter().map(support::recorder::Note::id).eq(ids));
    assert_eq!(
        (notes[0].channel.as_str(), rig.proxy.accepted()),
        ("events:a:b", 1)
    );
}

#[test]
fn a_refusing_proxy_cuts_and_opens_again() {
    let rig = Rig::start();
    let mut connection = client(&rig);
    rig.proxy.set(Mode::Refuse);
    rig.proxy.cut();
    assert!(publish(&mut connection, "c", "1").is_err());
    let again = redis::Client::open(rig.proxy.url()).unwrap();
    assert!(again.get_connection_with_timeout(SOON).is_err());
    rig.proxy.set(Mode::Pass);
    assert_eq!(publish(&mut client(&rig), "c", "2").unwrap(), 1);
}

#[test]
fn a_swallowed_connection_never_answers_again_but_a_new_one_does() {
    let rig = Rig::start();
    let mut connection = client(&rig);
    rig.proxy.set(Mode::Swallow);
    assert!(publish(&mut connection, "c", "1").unwrap_err().is_timeout());
    rig.proxy.set(Mode::Pass);
    assert!(publish(&mut connection, "c", "2").is_err());
    assert_eq!(publish(&mut client(&rig), "c", "3").unwrap(), 1);
    rig.wait_distinct(1, SOON);
    assert_eq!(rig.recorder.notes()[0].id(), "3");
}

#[test]
fn a_delaying_proxy_is_slow_and_complete() {
    let rig = Rig::start();
    let mut connection = client(&rig);
    rig.proxy.set(Mode::Delay(Duration::from_millis(100)));
    let before = std::time::Instant::now();
    assert_eq!(publish(&mut connection, "c", "1").unwrap(), 1);
    assert!(before.elapsed() >= Duration::from_millis(100));
}

#[test]
fn injected_errors_answer_publishes_in_their_place_and_nothing_else() {
    let rig = Rig::start();
    let mut connection = client(&rig);
    rig.proxy.inject_on("OOM command not allowed", &["bad"]);
    let mut pipeline = redis::pipe();
    pipeline.ignore_errors();
    for n in 0..300 {
        let channel = if n % 3 == 0 { "bad" } else { "good" };
        pipeline
            .cmd("PUBLISH")
            .arg(channel)
            .arg(format!(r#"{{"id":"{n}"}}"#));
        pipeline.cmd("ECHO").arg(n);
    }
    let answers: Vec<redis::RedisResult<redis::Value>> = pipeline.query(&mut connection).unwrap();
    assert_eq!(answers.len(), 600);
    for (n, pair) in answers.chunks(2).enumerate() {
        assert_eq!(pair[0].is_err(), n % 3 == 0, "{n}");
        let echo: usize = redis::from_redis_value(pair[1].clone().unwrap()).unwrap();
        assert_eq!(echo, n);
    }
    assert_eq!(rig.proxy.injected(), 100);
    rig.wait_distinct(200, SOON);
    rig.proxy.inject_nothing();
    assert_eq!(publish(&mut connection, "bad", "after").unwrap(), 1);
}

#[test]
fn after_a_kill_the_way_opens_when_the_recorder_listens_again() {
    let rig = Rig::start();
    publish(&mut client(&rig), "c", "before").unwrap();
    rig.kill_redis();
    let gone = redis::Client::open(rig.proxy.url()).unwrap();
    assert!(gone.get_connection_with_timeout(SOON).is_err());
    rig.restore_redis();
    assert_eq!(publish(&mut client(&rig), "c", "after").unwrap(), 1);
    rig.recorder.wait_ids(&["before", "after"], SOON);
}

#[test]
fn a_frozen_redis_goes_on_where_it_was() {
    let rig = Rig::start();
    let mut connection = client(&rig);
    rig.redis.stop();
    assert!(publish(&mut connection, "c", "1").unwrap_err().is_timeout());
    rig.redis.cont();
    rig.recorder.wait_ids(&["1"], SOON);
}

#[test]
fn a_changed_password_shuts_out_old_clients_but_not_the_recorder() {
    let rig = Rig::start();
    let mut connection = client(&rig);
    rig.redis.change_password("new");
    assert!(publish(&mut connection, "c", "1").is_err());
    rig.redis.command(&["PUBLISH", "c", r#"{"id":"2"}"#]);
    rig.recorder.wait_ids(&["2"], SOON);
}

#[test]
fn a_scrape_is_read_with_its_labels_and_its_books() {
    let text = "# HELP x y\n\
        kafka_redis_bridge_records_consumed_total{topic=\"a,b\"} 5\n\
        kafka_redis_bridge_records_settled_total{outcome=\"published\",reason=\"\",topic=\"a,b\"} 3\n\
        kafka_redis_bridge_records_settled_total{outcome=\"skipped\",reason=\"tombstone\",topic=\"a,b\"} 1\n\
        kafka_redis_bridge_records_in_flight 1\n";
    let scrape = Scrape::parse(text);
    assert_eq!(scrape.count("records_consumed_total", &[("topic", "a,b")]), 5);
    assert_eq!(
        (
            scrape.settled("published"),
            scrape.settled_for("skipped", "tombstone")
        ),
        (3, 1)
    );
    assert_eq!(scrape.imbalance(), None);
    let wrong = text.replace("in_flight 1", "in_flight 2");
    assert!(Scrape::parse(&wrong).imbalance().is_some());
}

#[test]
fn kafka_gives_back_what_was_written() {
    let kafka = require_kafka!();
    let topic = kafka.topic(3);
    let records = (0..3).flat_map(|p| (0..100).map(move |s| numbered(p, s).1));
    kafka.produce(&topic, records);
    let odd = support::producer::NewRecord::tombstone()
        .key(b"\xff\x00".as_slice())
        .to(1);
    kafka.produce(&topic, [odd.header("empty", None).header("full", Some(b"x"))]);
    let read = kafka.read(&topic);
    assert_eq!(read.len(), 301);
    let odd = read.iter().find(|r| r.value.is_none()).unwrap();
    assert_eq!(
        (odd.partition, odd.offset, odd.key.as_deref()),
        (1, 100, Some(b"\xff\x00".as_slice()))
    );
    assert_eq!(
        odd.headers,
        [("empty".into(), None), ("full".into(), Some(b"x".to_vec()))]
    );
    kafka.grow_topic(&topic, 5);
    assert_eq!(
        kafka.ends(&topic).values().collect::<Vec<_>>(),
        [&100, &101, &100, &0, &0]
    );
    assert!(kafka.committed("nobody", &topic).is_empty());
    kafka.delete_topic(&topic);
    wait::until_true("gone", SOON, || kafka.read(&topic).is_empty());
}

#[test]
fn a_run_is_gathered_for_the_oracle() {
    let scenario = Scenario::new(require_kafka!(), 3);
    let produced = scenario.load(3_000, 100_000).finish();
    assert_eq!(produced.len(), 3_000);
    let mut connection = client(&scenario.rig);
    for record in scenario.kafka.read(&scenario.topic) {
        let value: serde_json::Value = serde_json::from_slice(&record.value.unwrap()).unwrap();
        assert_eq!(
            value["id"],
            format!("{}-{}", record.partition, record.offset),
            "a sequence is an offset"
        );
        publish(&mut connection, "c", value["id"].as_str().unwrap()).unwrap();
    }
    scenario.gather(produced.clone(), SOON).judge().assert_perfect();
    assert!(scenario.dead_letters().is_empty());
    assert_eq!(scenario.uncommitted(), 3_000);

    publish(&mut connection, "c", "0-7").unwrap();
    assert_eq!(scenario.gather(produced, SOON).judge().duplicates, ["0-7"]);
}

#[test]
fn a_private_broker_refuses_what_no_acl_allows() {
    let _kafka = require_kafka!();
    let Some(broker) = PrivateBroker::start_with_sasl("the private broker") else {
        return;
    };
    let topic = broker.kafka().topic(1);
    let user = broker.kafka_as("bridge");
    assert_eq!(user.partitions(&topic), 0, "not even seen");
    broker.acls(&[
        "--add",
        "--allow-principal",
        "User:bridge",
        "--topic",
        &topic,
        "--operation",
        "All",
    ]);
    user.produce(&topic, [numbered(0, 0).1]);
    broker.control("kill");
    broker.control("restart");
    assert_eq!(broker.kafka().read(&topic).len(), 1);
}
