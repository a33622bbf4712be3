//! Redis is killed, or isn't there yet.

use std::time::Duration;

use super::setting::Setting;
use super::support::bridge::READY;
use super::support::metrics::Scrape;
use super::support::redis::RedisServer;
use super::support::rig::Rig;
use super::support::scenario::Scenario;
use super::support::wait;
use super::trial::{PARTITIONS, RATE, SOON, Trial};
use super::verdict::Rule;

const RESUMES: Duration = Duration::from_secs(5);

pub fn is_down(scrape: &Scrape) -> bool {
    scrape.has("redis_up", &[]) && scrape.sum("redis_up", &[]) == 0.0
}

pub fn is_up(scrape: &Scrape) -> bool {
    scrape.sum("redis_up", &[]) >= 1.0 && scrape.sum("redis_circuit_open", &[]) == 0.0
}

/// Killed and started three times, away for a while each time.
pub fn restarted(setting: &Setting) {
    let mut trial = Trial::under_load(setting, 1);
    for round in 1..=3 {
        trial.goes_on();
        trial.fault("Redis is killed");
        trial.scenario.rig.kill_redis();
        trial.shows("redis_up is 0", is_down, &["Redis fails"]);
        trial.endures(Duration::from_secs(2 + setting.random(4)));
        trial.scenario.rig.restore_redis();
        trial.over("Redis is back");
        trial.recovers_within(RESUMES);
        trial.shows("redis_up is 1", is_up, &["Redis is well again"]);
        trial.told_at_most(round, &["Redis is well again"]);
    }
    trial.finish(Rule::GivenUp(3));
}

/// Not there when the bridge starts.
pub fn late(setting: &Setting) {
    let rig = Rig::before(RedisServer::absent());
    let scenario = Scenario::with_rig(setting.kafka.clone(), PARTITIONS, rig);
    let mut trial = Trial::on(setting, scenario);
    trial.spawn();
    wait::until_true("it has joined", READY, || {
        trial.copies[0].readyz() == 503 && trial.copies[0].assigned() == PARTITIONS as u64
    });
    trial.load(RATE);
    trial.shows("redis_up is 0", is_down, &["Redis fails"]);
    wait::holds("alive and not ready", Duration::from_secs(4), || {
        trial.copies[0].readyz() == 503 && trial.copies[0].livez() == 200
    });
    trial.scenario.rig.restore_redis();
    trial.over("Redis is there");
    trial.recovers_within(RESUMES);
    trial.copies[0].wait_ready(SOON);
    trial.shows("redis_up is 1", is_up, &["connected to Redis"]);
    trial.finish(Rule::GivenUp(1));
}
