//! Topics grow, appear, are made anew, and forget.

use std::time::Duration;

use super::setting::Setting;
use super::support::kafka::fresh;
use super::support::load::numbered;
use super::support::oracle::Produced;
use super::support::producer::NewRecord;
use super::support::scenario::Scenario;
use super::support::wait;
use super::trial::{LONG, PARTITIONS, SOON, Trial};
use super::verdict::Rule;

const ADDED: i32 = 3;

/// Records of partition `to` that call themselves another partition's, so that the oracle can tell topics apart.
fn records(name: i32, to: i32, count: i64) -> Vec<(Produced, NewRecord)> {
    let renamed = |sequence| {
        let (produced, record) = numbered(name, sequence);
        (produced, record.to(to))
    };
    (0..count).map(renamed).collect()
}

fn write(trial: &mut Trial<'_>, topic: &str, records: impl IntoIterator<Item = (Produced, NewRecord)>) {
    let (produced, records): (Vec<_>, Vec<_>) = records.into_iter().unzip();
    trial.scenario.kafka.produce(topic, records);
    trial.written.extend(produced);
}

/// One copy has committed so many records of every partition. Returns the topic.
fn settled(trial: &mut Trial<'_>, each: i64) -> String {
    trial.spawn();
    trial.shared();
    let topic = trial.scenario.topic.clone();
    write(trial, &topic, (0..PARTITIONS).flat_map(|p| records(p, p, each)));
    wait::until_true("committed to the end", LONG, || trial.scenario.uncommitted() == 0);
    topic
}

/// Partitions are added under load, with records in them before anybody looks, at `latest`.
pub fn grows(setting: &Setting) {
    let mut trial = Trial::new(setting);
    trial.config = trial.config.clone().set("kafka.start_from", "latest");
    trial.begin(2);
    trial.goes_on();
    trial.over("three partitions more");
    let (topic, partitions) = (trial.scenario.topic.clone(), PARTITIONS + ADDED);
    trial.scenario.kafka.grow_topic(&topic, partitions as usize);
    write(
        &mut trial,
        &topic,
        (PARTITIONS..partitions).flat_map(|p| records(p, p, 500)),
    );
    trial.scenario.partitions = partitions;
    trial.recovers_within(LONG);
    trial.assigned();
    trial.goes_on();
    trial.finish(Rule::Perfect);
}

/// A topic that the expression matches appears under load.
pub fn appears(setting: &Setting) {
    const OTHER: i32 = 100;
    let prefix = fresh("matching");
    let mut scenario = Scenario::new(setting.kafka.clone(), PARTITIONS);
    (scenario.topic, scenario.group) = (format!("{prefix}-old"), prefix.clone());
    scenario.kafka.create_topic(&scenario.topic, PARTITIONS, &[]);
    let mut trial = Trial::on(setting, scenario);
    let expression = vec![toml::Value::from(format!("^{prefix}-.*"))];
    trial.config = trial
        .config
        .clone()
        .set("kafka.topics", expression)
        .set("kafka.start_from", "latest");
    trial.begin(1);
    trial.goes_on();
    trial.over("another topic");
    let new = format!("{prefix}-new");
    trial.scenario.kafka.create_topic(&new, 2, &[]);
    write(&mut trial, &new, (0..2).flat_map(|p| records(OTHER + p, p, 500)));
    wait::until_true("the new topic is committed to its end", LONG, || {
        trial
            .scenario
            .kafka
            .committed(&prefix, &new)
            .values()
            .sum::<i64>()
            == 1_000
    });
    assert_eq!(trial.copies[0].assigned(), PARTITIONS as u64 + 2);
    trial.goes_on();
    trial.finish(Rule::Perfect);
}

/// The topic is deleted and made again: read from its beginning, under the same name.
pub fn remade(setting: &Setting) {
    const AGAIN: i32 = 100;
    let mut trial = Trial::new(setting);
    // Commits start over with the topic: that they go back is right here.
    trial.commits = None;
    let topic = settled(&mut trial, 500);
    trial.setting.tell("the topic is deleted");
    trial.scenario.kafka.delete_topic(&topic);
    let copy = &trial.copies[0];
    copy.wait_metrics("series are gone", LONG, |m| {
        !m.has("committed_offset", &[])
            && !m.has("consumer_lag_records", &[])
            && m.sum("assigned_partitions", &[]) == 0.0
    });
    wait::holds("alive", Duration::from_secs(2), || copy.livez() == 200);
    trial.scenario.kafka.create_topic(&topic, PARTITIONS, &[]);
    trial.over("the topic is there again");
    write(
        &mut trial,
        &topic,
        (0..PARTITIONS).flat_map(|p| records(AGAIN + p, p, 300)),
    );
    trial.scenario.rig.wait_distinct(PARTITIONS as usize * 800, LONG);
    trial.assigned();
    trial.finish(Rule::Perfect);
}

/// Records are deleted before they were read, while no copy runs.
pub fn retention(setting: &Setting) {
    const GONE: i64 = 400;
    let mut trial = Trial::new(setting);
    let topic = settled(&mut trial, 100);
    trial.stop(0);
    let unread = (100..100 + GONE).map(|sequence| numbered(0, sequence).1);
    trial.scenario.kafka.produce(&topic, unread);
    trial.scenario.kafka.delete_records(&topic, &[(0, 100 + GONE)]);
    trial.setting.tell("the log start has passed the commit");
    let later = (100 + GONE..700).map(|sequence| numbered(0, sequence));
    write(&mut trial, &topic, later);
    trial.spawn();
    trial.shared();
    let counted = |m: &super::support::metrics::Scrape| {
        m.count("records_lost_total", &[("topic", &topic), ("cause", "retention")]) == GONE.unsigned_abs()
    };
    trial.shows(
        "counted",
        counted,
        &["retention has overtaken the committed offset", "log_start=500"],
    );
    wait::until_true("it goes on", SOON, || trial.scenario.uncommitted() == 0);
    trial.finish(Rule::Perfect);
}
