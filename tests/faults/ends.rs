//! SIGTERM while something is down.

use std::time::{Duration, Instant};

use super::setting::Setting;
use super::support::private_broker::PrivateBroker;
use super::support::scenario::Scenario;
use super::trial::{LONG, PARTITIONS, SOON, Trial};
use super::verdict::Rule;

/// `delivery.drain_timeout`, as the suite configures it, and the five seconds in which the group is left.
const DEADLINE: Duration = Duration::from_secs(5 + 5);

/// Told to end while Redis is down: what can't be delivered is left to the next copy, or dropped.
pub fn without_redis(setting: &Setting) {
    let mut trial = Trial::under_load(setting, 1);
    trial.goes_on();
    trial.fault("Redis is killed");
    trial.scenario.rig.kill_redis();
    trial.shows("redis_up is 0", super::outages::is_down, &["Redis fails"]);
    trial.copies[0].wait_metrics("records are held or dropped", SOON, |m| {
        m.sum("records_in_flight", &[]) > 0.0 || m.settled("dropped") > 0
    });
    let code = terminate(&mut trial);
    let expected = if setting.loses_nothing() { 75 } else { 0 };
    assert_eq!(code, expected, "exit code");
    trial.scenario.rig.restore_redis();
    trial.spawn();
    trial.shared();
    trial.over("Redis is back, another copy runs");
    trial.recovers_within(LONG);
    trial.finish(Rule::GivenUp(1));
}

/// Told to end while Kafka is down: what was published and can't be committed may come again.
pub fn without_kafka(setting: &Setting) {
    let broker = PrivateBroker::start("sigterm-without-kafka").expect("a broker");
    let mut trial = Trial::on(setting, Scenario::new(broker.kafka(), PARTITIONS));
    trial.begin(1);
    trial.goes_on();
    trial.fault("the broker is killed");
    broker.control("kill");
    trial.copies[0].wait_metrics("no broker", SOON, |m| m.sum("kafka_brokers_up", &[]) == 0.0);
    let code = terminate(&mut trial);
    assert!([0, 75].contains(&code), "exit code {code}");
    broker.control("restart");
    trial.spawn();
    trial.shared();
    trial.over("Kafka is back, another copy runs");
    trial.recovers_within(LONG);
    trial.finish(Rule::Uncommitted);
}

/// SIGTERM; ends within the deadline.
fn terminate(trial: &mut Trial<'_>) -> i32 {
    trial.setting.tell("SIGTERM");
    let asked = Instant::now();
    let mut copy = trial.copies.remove(0);
    let code = copy.terminate(DEADLINE + SOON);
    let took = asked.elapsed();
    assert!(took <= DEADLINE, "took {took:?}");
    trial
        .setting
        .remark(format!("ended with {code} after {:.1} s", took.as_secs_f64()));
    trial.ended.push(copy);
    code
}
