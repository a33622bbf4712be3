//! Subscribers are none of the publisher's trouble.

use std::io::Write;
use std::net::TcpStream;
use std::time::Instant;

use super::setting::Setting;
use super::support::bridge::Bridge;
use super::support::load::{Load, numbered};
use super::support::producer::NewRecord;
use super::support::redis::RedisServer;
use super::support::resp;
use super::support::wait;
use super::trial::{LONG, PARTITIONS, RATE, Trial, UNAFFECTED};
use super::verdict::Rule;

/// Three subscribers to everything that read nothing, on one Redis with the recorder.
pub fn slow(setting: &Setting) {
    let mut trial = Trial::under_load(setting, 1);
    trial.goes_on();
    trial.over("three subscribers that read nothing");
    let port = trial.scenario.rig.redis.port();
    let deaf = || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(&resp::command(&["PSUBSCRIBE", "*"])).unwrap();
        stream
    };
    let _deaf: Vec<TcpStream> = (0..3).map(|_| deaf()).collect();
    for _ in 0..6 {
        trial.goes_on();
    }
    trial.flows();
    let waiting: String = trial
        .scenario
        .rig
        .redis
        .query(&["CLIENT", "LIST", "TYPE", "pubsub"]);
    assert_eq!(waiting.lines().count(), 4, "subscribers: {waiting}");
    trial.unaffected(0);
    trial.finish(Rule::Perfect);
}

/// Nobody listens: the oracle hears nothing, so the books and Redis' own count have to do.
pub fn none(setting: &Setting) {
    let redis = RedisServer::start();
    let topic = setting.kafka.topic(PARTITIONS);
    let group = super::support::kafka::fresh("group");
    let config = super::support::config::Config::new(&setting.kafka, &group, &[&topic], &redis.url());
    let mut bridge = Bridge::start(&setting.tuned(config.earliest()));
    let load = Load::start(&setting.kafka, &topic, PARTITIONS, 10 * RATE, RATE);
    load.wait_written(usize::try_from(10 * RATE).unwrap(), LONG);
    let written = load.finish().len();
    let all = |m: &super::support::metrics::Scrape| {
        [
            m.settled("published"),
            m.count("notifications_without_receivers_total", &[]),
        ]
        .iter()
        .all(|count| *count == written as u64)
    };
    let began = Instant::now();
    bridge.wait_metrics("published, and nobody received it", LONG, all);
    assert!(began.elapsed() < UNAFFECTED, "took {:?}", began.elapsed());
    let stats: String = redis.query(&["INFO", "commandstats"]);
    let published = format!("cmdstat_publish:calls={written},");
    assert!(stats.contains(&published), "{published} {stats}");
    wait::until_true("committed", LONG, || {
        setting.kafka.committed(&group, &topic).values().sum::<i64>() == written as i64
    });
    bridge.stop_cleanly();
    setting.measure(|figures| figures.records = written);
}

/// Ten thousand channels, each with a subscriber of its own besides the recorder.
pub fn many_channels(setting: &Setting) {
    const CHANNELS: i64 = 10_000;
    let mut trial = Trial::new(setting);
    let port = trial.scenario.rig.redis.port();
    let names: Vec<String> = (0..CHANNELS).map(|n| format!("events:key:c{n}")).collect();
    let mut words = vec!["SUBSCRIBE"];
    words.extend(names.iter().map(String::as_str));
    let mut subscriber = TcpStream::connect(("127.0.0.1", port)).unwrap();
    subscriber.write_all(&resp::command(&words)).unwrap();
    let drained = subscriber.try_clone().unwrap();
    let drain = std::thread::spawn(move || std::io::copy(&mut { drained }, &mut std::io::sink()));
    trial.spawn();
    trial.shared();
    let per_partition = CHANNELS / i64::from(PARTITIONS) + 1;
    trial.load_of(
        RATE * 2,
        Box::new(move |partition, sequence| {
            let (mut produced, _) = numbered(partition, sequence);
            let channel = i64::from(partition) * per_partition + sequence % per_partition;
            produced.key = format!("c{channel}");
            let id = produced.id();
            let value = format!(r#"{{"id":"{id}","type":"t","source_type":"key","source_id":"c{channel}"}}"#);
            (produced, NewRecord::of(value).to(partition))
        }),
    );
    trial.flows();
    let records = usize::try_from(2 * CHANNELS).unwrap();
    trial.scenario.rig.wait_distinct(records, LONG);
    trial.flows();
    trial.unaffected(0);
    trial.finish(Rule::Perfect);
    let _ = subscriber.shutdown(std::net::Shutdown::Both);
    let heard = drain.join().unwrap().unwrap_or_default();
    assert!(
        heard > 100 * u64::try_from(records).unwrap(),
        "the subscriber heard {heard} bytes"
    );
}
