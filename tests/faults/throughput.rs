//! What poison costs the good records: the same backlog, with and without, by turns.

use std::time::{Duration, Instant};

use super::setting::Setting;
use super::support::bridge::Bridge;
use super::support::config::Config;
use super::support::kafka::fresh;
use super::support::producer::NewRecord;
use super::support::redis::RedisServer;
use super::support::wait;

const PARTITIONS: i32 = 12;
const RECORDS: i64 = 2_400_000;
/// The clock starts when so many are settled: connecting, joining and the first dead letter are another matter.
const WARM: i64 = RECORDS / 4;
const ROUNDS: usize = 5;
const SOURCES: i64 = 10_000;
/// The part of a record that nobody asks for.
const DATA: &str = r#"{"action":"opened","number":4711,"title":"Fix the flaky test in module 2201, again","labels":["bug","ci"],"author":{"login":"user2201","id":88012201,"site_admin":false},"repository":{"full_name":"owner207/repo2201","private":false,"stars":12345},"commits":[{"sha":"9fceb02d0ae598e95dc970b74767f19372d61af8","message":"Wait for it"}],"score":0.75}"#;
const LEAST: f64 = 0.9;

/// Records a second, of the backlog with one poison record in a hundred against the backlog without.
pub fn with_poison(setting: &Setting) {
    let [plain, poisoned] = [0, 100].map(|every| backlog(setting, every));
    let redis = RedisServer::start();
    let (mut without, mut with) = (Vec::new(), Vec::new());
    // Once for nothing: the first run warms caches for the second.
    drain(setting, &redis, &plain);
    for _ in 0..ROUNDS {
        without.push(drain(setting, &redis, &plain));
        with.push(drain(setting, &redis, &poisoned));
    }
    let (without, with) = (median(without), median(with));
    let ratio = with / without;
    setting.remark(format!(
        "{:.0} % of the throughput: {with:.0} records/s with poison, {without:.0} without",
        ratio * 100.0
    ));
    setting.measure(|figures| figures.records = usize::try_from(RECORDS).unwrap() * (2 * ROUNDS + 1));
    assert!(ratio >= LEAST, "{ratio:.2} of the throughput");
}

fn backlog(setting: &Setting, poison_every: i64) -> String {
    let topic = setting.kafka.topic(PARTITIONS);
    let partitions = i64::from(PARTITIONS);
    let record = |number: i64| {
        let (partition, sequence) = (number % partitions, number / partitions);
        let to = i32::try_from(partition).unwrap();
        let mut value = value(partition, sequence);
        // In every partition as many; what they lack is their end.
        if poison_every > 0 && (sequence + partition) % poison_every == 0 {
            value.pop();
        }
        NewRecord::of(value).to(to)
    };
    setting.kafka.produce(&topic, (0..RECORDS).map(record));
    topic
}

/// A record of 450 bytes, as the benchmark has them.
fn value(partition: i64, sequence: i64) -> String {
    format!(
        r#"{{"id":"{partition}-{sequence}","type":"PushEvent","source_type":"repo","source_id":"owner/{}","data":{DATA}}}"#,
        sequence % SOURCES
    )
}

/// Records a second, once warm, until all are settled. Nobody listens: subscribers cost as well.
fn drain(setting: &Setting, redis: &RedisServer, topic: &str) -> f64 {
    let config = Config::new(&setting.kafka, &fresh("group"), &[topic], &redis.url())
        .earliest()
        .set("delivery.mode", setting.mode.as_str())
        .set("dlq.partitions", 12);
    let mut bridge = Bridge::spawn(&config);
    let settled = || bridge.last_metrics().count("records_settled_total", &[]);
    let warm = || Some(settled()).filter(|count| *count >= WARM.unsigned_abs());
    let before = wait::until("warm", Duration::from_secs(60), warm);
    let began = Instant::now();
    wait::until_true("all records", Duration::from_secs(120), || {
        settled() == RECORDS.unsigned_abs()
    });
    #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
    let speed = (RECORDS.unsigned_abs() - before) as f64 / began.elapsed().as_secs_f64();
    bridge.stop_cleanly();
    speed
}

fn median(mut speeds: Vec<f64>) -> f64 {
    speeds.sort_by(f64::total_cmp);
    speeds[speeds.len() / 2]
}
