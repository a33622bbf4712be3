//! A new group must miss nothing from its first moment on.

use super::setting::Setting;
use super::support::load::numbered;
use super::support::wait;
use super::trial::{LONG, PARTITIONS, TAKEN_OVER, Trial};
use super::verdict::Rule;

/// A new group at `latest` on a topic with a history, which is none of its business.
fn at_latest(setting: &Setting) -> Trial<'_> {
    let mut trial = Trial::new(setting);
    trial.config = trial.config.clone().set("kafka.start_from", "latest");
    let history = (0..PARTITIONS).flat_map(|p| (0..HISTORY).map(move |s| numbered(p, s).1));
    trial.scenario.kafka.produce(&trial.scenario.topic, history);
    trial
}

const HISTORY: i64 = 50;

/// Writes so many records to every partition, behind what is there.
fn write(trial: &mut Trial<'_>, from: i64, count: i64) {
    let new = (0..PARTITIONS).flat_map(|p| (from..from + count).map(move |s| numbered(p, s)));
    let (produced, records): (Vec<_>, Vec<_>) = new.unzip();
    trial.scenario.kafka.produce(&trial.scenario.topic, records);
    trial.written.extend(produced);
}

/// The only copy ends before its partitions have seen a record, once asked and once killed; records arrive meanwhile.
pub fn quiet(setting: &Setting) {
    let mut trial = at_latest(setting);
    trial.spawn();
    trial.shared();
    trial.stop(0);
    trial.setting.tell("no copy runs; records arrive");
    write(&mut trial, HISTORY, 20);
    trial.spawn();
    trial.shared();
    trial.scenario.rig.wait_distinct(trial.written.len(), LONG);
    wait::until_true("committed", LONG, || trial.scenario.uncommitted() == 0);
    trial.setting.tell("SIGKILL");
    trial.kill(0);
    write(&mut trial, HISTORY + 20, 20);
    trial.over("a copy starts");
    trial.spawn();
    trial.recovers_within(TAKEN_OVER);
    trial.shared();
    trial.finish(Rule::Perfect);
}

/// Three copies of a new group join in the same moment, and none of them misses or repeats the first records.
pub fn at_once(setting: &Setting) {
    let mut trial = at_latest(setting);
    for _ in 0..3 {
        trial.spawn();
    }
    trial.shared();
    for round in 0..10 {
        write(&mut trial, HISTORY + round * 20, 20);
    }
    trial.finish(Rule::Perfect);
}
