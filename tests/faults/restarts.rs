//! Copies end, die, come and stand still.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::setting::Setting;
use super::support::bridge::{Bridge, READY};
use super::support::proxy::Mode;
use super::support::wait;
use super::trial::{PARTITIONS, TAKEN_OVER, Trial};
use super::verdict::Rule;

/// One of two copies is stopped and started again, three times.
pub fn sigterm(setting: &Setting) {
    let mut trial = Trial::under_load(setting, 2);
    for _ in 0..3 {
        restart(&mut trial);
    }
    trial.finish(Rule::Perfect);
}

/// Each of three copies in turn, five times.
pub fn rolling(setting: &Setting) {
    let mut trial = Trial::under_load(setting, 3);
    for _ in 0..5 * 3 {
        restart(&mut trial);
    }
    trial.finish(Rule::Perfect);
}

/// The copy that has run longest is stopped; another takes its place once the rest has taken over.
fn restart(trial: &mut Trial<'_>) {
    trial.goes_on();
    trial.over("SIGTERM");
    trial.stop(0);
    trial.recovers_within(TAKEN_OVER);
    trial.spawn();
    trial.shared();
    trial.flows();
}

/// One of three copies, whichever, is killed and replaced, four times. Redis is slow and commits come often, so that
/// there are always records on their way and a commit just before the kill.
pub fn killed(setting: &Setting) {
    let mut trial = Trial::new(setting);
    trial.config = trial.config.clone().set("delivery.commit_interval", "200ms");
    trial
        .scenario
        .rig
        .proxy
        .set(Mode::Delay(Duration::from_millis(200)));
    trial.begin(3);
    for _ in 0..4 {
        trial.goes_on();
        let which = usize::try_from(setting.random(3)).unwrap();
        trial.over("SIGKILL");
        trial.kill(which);
        trial.recovers_within(TAKEN_OVER);
        trial.spawn();
        trial.shared();
        trial.flows();
    }
    trial.finish(Rule::Uncommitted);
}

/// Two copies join one after the other, and leave.
pub fn scaled(setting: &Setting) {
    let mut trial = Trial::under_load(setting, 1);
    for _ in 0..2 {
        trial.goes_on();
        setting.tell("one more copy");
        trial.spawn();
        trial.shared();
        trial.flows();
    }
    each_partition_has_one_owner(&trial.copies);
    for _ in 0..2 {
        trial.goes_on();
        trial.over("one copy less");
        trial.stop(1);
        trial.recovers_within(TAKEN_OVER);
        trial.assigned();
    }
    each_partition_has_one_owner(&trial.copies);
    trial.finish(Rule::Perfect);
}

/// Series of a partition are with its owner alone.
fn each_partition_has_one_owner(copies: &[Bridge]) {
    for name in ["committed_offset", "end_offset", "consumer_lag_records"] {
        let series = |copy: &Bridge| copy.metrics().names().filter(|have| *have == name).count();
        wait::until_true(name, READY, || {
            copies.iter().map(series).sum::<usize>() == PARTITIONS as usize
        });
    }
}

/// One of two copies stands still until the group has given it up.
pub fn stopped(setting: &Setting) {
    let mut trial = Trial::new(setting);
    trial.config = trial.config.clone().property("max.poll.interval.ms", "6000");
    trial.begin(2);
    trial.goes_on();
    let frozen = trial.copies.remove(0);
    trial.fault("SIGSTOP");
    frozen.signal(Signal::SIGSTOP);
    let began = Instant::now();
    trial.over("waiting for the other copy");
    trial.recovers_within(TAKEN_OVER);
    trial.assigned();
    wait::holds("beyond max.poll.interval.ms", Duration::from_secs(8), || {
        began.elapsed().as_secs() < 60
    });
    let before = trial.scenario.committed();
    setting.tell("SIGCONT");
    frozen.signal(Signal::SIGCONT);
    trial.copies.push(frozen);
    trial.assigned();
    trial.flows();
    // What it had sent when it was stopped has arrived by now.
    trial.calm();
    for (partition, position) in &trial.scenario.committed() {
        assert!(
            *position >= before[partition],
            "the commit of partition {partition} went back"
        );
    }
    trial.copies[1].wait_metrics("it is counted", READY, |m| {
        m.count("rebalances_total", &[("kind", "lost")]) > 0
    });
    trial.copies[1].wait_log(&["partitions revoked", "lost=true"], READY);
    trial.finish(Rule::Uncommitted);
}
