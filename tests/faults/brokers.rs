//! Kafka goes away, for everybody or for one copy.

use std::time::Duration;

use super::setting::Setting;
use super::support::bridge::Bridge;
use super::support::gateway::{Gateway, Way};
use super::support::kafka::Kafka;
use super::support::private_broker::PrivateBroker;
use super::support::scenario::Scenario;
use super::support::wait;
use super::trial::{LONG, PARTITIONS, SOON, TAKEN_OVER, Trial};
use super::verdict::Rule;

/// Killed and started again, twice.
pub fn restarted(setting: &Setting) {
    let broker = PrivateBroker::start("broker-restart").expect("a broker");
    let scenario = Scenario::new(broker.kafka(), PARTITIONS);
    let mut trial = Trial::on(setting, scenario);
    trial.begin(2);
    for _ in 0..2 {
        trial.goes_on();
        trial.fault("the broker is killed");
        broker.control("kill");
        trial.shows(
            "no broker",
            |m| m.sum("kafka_brokers_up", &[]) == 0.0,
            &["Kafka: "],
        );
        wait::holds("alive", Duration::from_secs(2), || {
            trial.copies.iter().all(|copy| copy.livez() == 200)
        });
        broker.control("restart");
        trial.over("the broker is back");
        trial.recovers_within(LONG);
        for copy in &trial.copies {
            copy.wait_metrics("the broker is up", SOON, |m| {
                m.sum("kafka_brokers_up", &[]) >= 1.0
            });
        }
    }
    trial.finish(Rule::Uncommitted);
}

/// One copy of two can't reach the broker for longer than its session: the other one takes over.
pub fn unreachable(setting: &Setting) {
    let gateway = Gateway::start();
    let broker = PrivateBroker::start_behind("broker-unreachable", gateway.address()).expect("a broker");
    gateway.lead_to(broker.behind_gateway());
    let scenario = Scenario::new(broker.kafka(), PARTITIONS);
    let behind = Kafka::at(gateway.address().to_string(), &[]);
    let mut trial = Trial::on(setting, scenario);
    let direct = trial.config.clone();
    trial.config = direct
        .clone()
        .set("kafka.bootstrap_servers", behind.bootstrap.as_str());
    trial.spawn();
    trial.config = direct;
    trial.begin(1);
    trial.goes_on();
    trial.fault("the first copy's way to Kafka goes silent");
    gateway.set(Way::Silent);
    trial.over("waiting for the other copy");
    trial.recovers_within(TAKEN_OVER);
    let cut_off: &Bridge = &trial.copies[0];
    cut_off.wait_log(&["session timed out"], SOON);
    cut_off.wait_metrics("its partitions are lost", SOON, |m| {
        m.count("rebalances_total", &[("kind", "lost")]) > 0 && m.count("assigned_partitions", &[]) == 0
    });
    wait::holds("alive", Duration::from_secs(2), || cut_off.livez() == 200);
    setting.tell("the way is open");
    gateway.set(Way::Open);
    trial.assigned();
    trial.flows();
    trial.calm();
    trial.finish(Rule::Uncommitted);
}
