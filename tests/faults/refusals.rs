//! Redis answers, and refuses.

use std::time::Duration;

use super::outages::is_up;
use super::setting::Setting;
use super::support::redis::RedisServer;
use super::support::wait;
use super::trial::{PARTITIONS, SOON, Trial};
use super::verdict::Rule;

/// How long Redis refuses.
const REFUSAL: Duration = Duration::from_secs(4);
const RECOVERS: Duration = Duration::from_secs(10);

/// A password is asked for that the bridge doesn't have, for a while.
pub fn password(setting: &Setting) {
    let mut trial = Trial::under_load(setting, 1);
    trial.goes_on();
    trial.fault("Redis asks for a password");
    trial.scenario.rig.redis.change_password("a-secret");
    refuses_configuration(
        &mut trial,
        "noauth",
        &["Redis refuses the configuration", "redis.password_file"],
    );
    trial.scenario.rig.redis.change_password("");
    accepts_again(&mut trial);
    let said = trial.copies[0].log().join("\n");
    assert!(!said.contains("a-secret"), "a secret was shown");
    trial.finish(Rule::GivenUp(1));
}

/// The user loses the permission to publish, for a while.
pub fn permission(setting: &Setting) {
    let mut trial = Trial::new(setting);
    let url = trial.scenario.rig.url_of_publisher("*");
    trial.config = trial.config.clone().set("redis.url", url);
    trial.begin(1);
    trial.goes_on();
    trial.fault("-publish");
    trial
        .scenario
        .rig
        .redis
        .command(&["ACL", "SETUSER", "bridge", "-publish"]);
    refuses_configuration(
        &mut trial,
        "noperm",
        &["Redis refuses the configuration", "+publish"],
    );
    trial
        .scenario
        .rig
        .redis
        .command(&["ACL", "SETUSER", "bridge", "+publish"]);
    accepts_again(&mut trial);
    trial.finish(Rule::GivenUp(1));
}

/// Counted by its class, not ready, told by name; in the group.
fn refuses_configuration(trial: &mut Trial<'_>, class: &str, line: &[&str]) {
    trial.shows(
        class,
        |m| m.count("redis_errors_total", &[("class", class)]) > 0,
        line,
    );
    wait::until_true("not ready", SOON, || trial.copies[0].readyz() == 503);
    trial.endures(REFUSAL);
    trial.told_at_most(1, line);
}

fn accepts_again(trial: &mut Trial<'_>) {
    trial.over("allowed again");
    trial.recovers_within(RECOVERS);
    trial.shows("redis_up is 1", is_up, &["Redis is well again"]);
    wait::until_true("ready again", SOON, || trial.copies[0].readyz() == 200);
}

/// Redis becomes a replica and a master again.
pub fn replica(setting: &Setting) {
    let master = RedisServer::start();
    let mut trial = Trial::under_load(setting, 1);
    trial.goes_on();
    trial.fault("REPLICAOF");
    let port = master.port().to_string();
    trial
        .scenario
        .rig
        .redis
        .command(&["REPLICAOF", "127.0.0.1", &port]);
    let class =
        |m: &super::support::metrics::Scrape| m.count("redis_errors_total", &[("class", "not_master")]) > 0;
    trial.shows("not_master", class, &["Redis fails", "must lead to the master"]);
    trial.copies[0].wait_metrics("redis_up is 0", SOON, super::outages::is_down);
    let published = || trial.copies[0].metrics().settled("published");
    let before = published();
    wait::holds("nothing counts as published", REFUSAL, || published() == before);
    trial.endures(Duration::ZERO);
    trial.scenario.rig.redis.command(&["REPLICAOF", "NO", "ONE"]);
    trial.over("REPLICAOF NO ONE");
    trial.recovers_within(RECOVERS);
    trial.shows("redis_up is 1", is_up, &["Redis is well again"]);
    trial.finish(Rule::GivenUp(1));
}

pub fn oom(setting: &Setting) {
    answered(
        setting,
        "oom",
        "OOM command not allowed when used memory > 'maxmemory'.",
    );
}

pub fn loading(setting: &Setting) {
    answered(
        setting,
        "loading",
        "LOADING Redis is loading the dataset in memory",
    );
}

pub fn readonly(setting: &Setting) {
    answered(
        setting,
        "readonly",
        "READONLY You can't write against a read only replica.",
    );
}

pub fn masterdown(setting: &Setting) {
    let error = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";
    answered(setting, "masterdown", error);
}

/// Every publish is answered with this error for a while: nothing of it comes twice, since nothing was unanswered.
fn answered(setting: &Setting, class: &str, error: &str) {
    let mut trial = Trial::under_load(setting, 1);
    trial.goes_on();
    trial.fault(error);
    trial.scenario.rig.proxy.inject(error);
    let code = error.split(' ').next().unwrap();
    trial.shows(
        class,
        |m| m.count("redis_errors_total", &[("class", class)]) > 0,
        &["Redis fails", code],
    );
    trial.endures(REFUSAL);
    assert_eq!(trial.copies[0].assigned(), PARTITIONS as u64);
    trial.scenario.rig.proxy.inject_nothing();
    trial.over("no error any more");
    trial.recovers_within(RECOVERS);
    trial.shows("redis_up is 1", is_up, &["Redis is well again"]);
    trial.finish(Rule::GivenUp(0));
}
