//! Dead letters can't be written.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;

use super::poison::Odd;
use super::setting::Setting;
use super::support::config::Config;
use super::support::kafka::block_on;
use super::support::private_broker::PrivateBroker;
use super::support::scenario::Scenario;
use super::support::wait;
use super::trial::{LONG, PARTITIONS, RATE, Trial};
use super::verdict::Rule;

/// Somebody deletes the topic, and somebody makes it again.
pub fn missing(setting: &Setting) {
    let trial = Trial::new(setting);
    unwritable(
        trial,
        |scenario| scenario.kafka.delete_topic(&scenario.dlq()),
        |scenario| scenario.kafka.create_topic(&scenario.dlq(), 3, &[]),
    );
}

/// The right to write is taken away, and given back.
pub fn unauthorised(setting: &Setting) {
    let broker = PrivateBroker::start_with_sasl("dlq-unauthorised").expect("a broker with an authorizer");
    let scenario = Scenario::new(broker.kafka(), PARTITIONS);
    let dlq = scenario.dlq();
    scenario.kafka.create_topic(&dlq, 3, &[]);
    let to = |operations: &[&str]| {
        operations
            .iter()
            .flat_map(|o| ["--operation", *o])
            .map(str::to_owned)
            .collect()
    };
    let allow = |what: &[&str], operations: &[&str]| {
        let operations: Vec<String> = to(operations);
        let operations: Vec<&str> = operations.iter().map(String::as_str).collect();
        broker.acls(&[&["--add", "--allow-principal", "User:bridge"], what, &operations].concat());
    };
    allow(&["--topic", &scenario.topic], &["Read", "Describe"]);
    allow(&["--group", &scenario.group], &["Read"]);
    allow(&["--topic", &dlq], &["Write", "Describe", "Read"]);
    allow(&["--cluster"], &["IdempotentWrite"]);
    let user = broker.kafka_as("bridge");
    let url = scenario.rig.proxy.url();
    let config = Config::new(&user, &scenario.group, &[&scenario.topic], &url).earliest();
    let mut trial = Trial::on(setting, scenario);
    trial.config = setting.tuned(config);
    unwritable(
        trial,
        |_| broker.let_write(&dlq, false),
        |_| broker.let_write(&dlq, true),
    );
}

/// The topic is on one broker of three, and that one is killed and started again. It has nothing else: not the records,
/// and not the group, which is on the broker that leads the only partition of the groups' own topic.
pub fn unavailable(setting: &Setting) {
    const BROKERS: i32 = 3;
    let options = ["--brokers", "3", "--property", "offsets.topic.num.partitions=1"];
    let cluster = PrivateBroker::start_with("dlq-unavailable", &options).expect("three brokers");
    let kafka = cluster.kafka();
    let mut scenario = Scenario::new(kafka.clone(), PARTITIONS);
    scenario.topic = super::support::kafka::fresh("elsewhere");
    let admin: AdminClient<DefaultClientContext> = kafka.client().create().unwrap();
    let place = |name: &str, partitions: usize, broker: i32| {
        let replicas = vec![[broker]; partitions];
        let replicas: Vec<&[i32]> = replicas.iter().map(<[i32; 1]>::as_slice).collect();
        let topic = NewTopic::new(
            name,
            i32::try_from(partitions).unwrap(),
            TopicReplication::Variable(&replicas),
        );
        let created = block_on(admin.create_topics([&topic], &AdminOptions::new())).unwrap();
        created[0].as_ref().unwrap();
        wait::until_true("the topic is there", LONG, || {
            kafka.try_ends(name).is_ok_and(|ends| ends.len() == partitions)
        });
    };
    scenario.committed();
    let coordinator = kafka.leader("__consumer_offsets", 0);
    let keeper = coordinator % BROKERS + 1;
    place(&scenario.topic, PARTITIONS as usize, coordinator);
    place(&scenario.dlq(), 3, keeper);
    let trial = Trial::on(setting, scenario);
    unwritable(
        trial,
        |_| cluster.control_node("kill", keeper),
        |_| cluster.control_node("restart", keeper),
    );
}

/// While letters can't be written, a partition with one waits and says so, and the others go on.
fn unwritable(mut trial: Trial<'_>, close: impl Fn(&Scenario), open: impl Fn(&Scenario)) {
    let poison = Odd::poison(Some(0), 20);
    trial.spawn();
    trial.shared();
    trial.load_of(RATE, poison.make());
    trial.flows();
    trial.goes_on();
    trial.fault("letters can't be written");
    close(&trial.scenario);
    poison.begin();
    let counted = |m: &super::support::metrics::Scrape| {
        m.count("dlq_produce_failures_total", &[]) > 0
            && m.count("paused_partitions", &[("reason", "dlq")]) == 1
    };
    for copy in &trial.copies {
        copy.wait_metrics("counted and paused", LONG, counted);
    }
    trial.shows("counted and paused", counted, &["a dead letter can't be written"]);
    let others = usize::try_from(trial.scenario.partitions).unwrap() - 1;
    trial.flows_in(others);
    trial.stays_in_the_group(Duration::from_secs(3));
    trial.told_at_most(2, &["a dead letter can't be written"]);
    open(&trial.scenario);
    trial.over("letters can be written");
    trial.recovers_within(LONG);
    trial.shows(
        "nothing is paused",
        |m| m.sum("paused_partitions", &[]) == 0.0,
        &["dead letters can be written again"],
    );
    poison.end();
    trial.flows();
    trial.finish_with(Rule::Uncommitted, &poison.ids());
}
