//! Redis is there and says nothing, or connections break.

use std::time::Duration;

use super::outages::{is_down, is_up};
use super::setting::Setting;
use super::support::proxy::Mode;
use super::trial::{SOON, Trial};
use super::verdict::Rule;

/// The bridge gives up on a silent connection after two seconds: longer than that, twice.
const SILENCE: Duration = Duration::from_secs(5);
const RECONNECTS: Duration = Duration::from_secs(10);

/// SIGSTOP.
pub fn frozen(setting: &Setting) {
    silent(setting, |trial| {
        trial.scenario.rig.redis.stop();
        trial.shows("redis_up is 0", is_down, &["Redis fails"]);
        trial.endures(SILENCE);
        trial.scenario.rig.redis.cont();
    });
}

/// `CLIENT PAUSE`: of everything, and of what publishes.
pub fn paused(setting: &Setting) {
    silent(setting, |trial| {
        let what = ["ALL", "WRITE"][usize::try_from(setting.random(2)).unwrap()];
        let milliseconds = SILENCE.as_millis().to_string();
        trial
            .scenario
            .rig
            .redis
            .command(&["CLIENT", "PAUSE", &milliseconds, what]);
        trial.shows("redis_up is 0", is_down, &["Redis fails"]);
        trial.endures(SILENCE);
    });
}

/// The connection is dead and nobody says so; what connects anew gets through.
pub fn swallowed(setting: &Setting) {
    silent(setting, |trial| {
        trial.scenario.rig.proxy.set(Mode::Swallow);
        trial.copies[0].wait_metrics("something is unanswered", SOON, |m| {
            m.sum("records_in_flight", &[]) > 0.0
        });
        trial.scenario.rig.proxy.set(Mode::Pass);
    });
}

/// Twice silent, in the group all the while.
fn silent(setting: &Setting, fall_silent: impl Fn(&mut Trial<'_>)) {
    let mut trial = Trial::under_load(setting, 1);
    let rebalances = trial.rebalances();
    for _ in 0..2 {
        trial.goes_on();
        trial.fault("silence");
        fall_silent(&mut trial);
        trial.over("the silence ends");
        trial.recovers_within(RECONNECTS);
        trial.shows("redis_up is 1", is_up, &["Redis is well again"]);
    }
    assert!(
        trial.copies[0]
            .metrics()
            .count("redis_errors_total", &[("class", "timeout")])
            >= 2
    );
    assert_eq!(trial.rebalances(), rebalances, "rebalanced");
    trial.finish(Rule::GivenUp(4));
}

/// Connections are reset again and again.
pub fn cut(setting: &Setting) {
    const TIMES: u64 = 6;
    let mut trial = Trial::under_load(setting, 1);
    for _ in 0..TIMES {
        trial.goes_on();
        trial.fault("the connection is cut");
        trial.scenario.rig.proxy.cut();
        trial.over("it may connect");
        trial.recovers_within(Duration::from_secs(5));
    }
    trial.shows(
        "counted",
        |m| m.count("redis_errors_total", &[("class", "io")]) >= TIMES,
        &["Redis fails"],
    );
    trial.shows("redis_up is 1", is_up, &["Redis is well again"]);
    trial.finish(Rule::GivenUp(TIMES));
}
