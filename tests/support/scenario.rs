//! The setting of most tests: one topic, one group, one rig, and what is known about the run at its end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::bridge::Bridge;
use super::config::Config;
use super::kafka::{Kafka, ReadRecord, fresh};
use super::load::Load;
use super::oracle::{Kill, Produced, Run, first_places};
use super::rig::Rig;
use super::wait;

/// A fresh topic and group, and a Redis of its own.
pub struct Scenario {
    pub kafka: Kafka,
    pub rig: Arc<Rig>,
    pub topic: String,
    pub group: String,
    pub partitions: i32,
}

impl Scenario {
    /// A topic with that many partitions and a running Redis.
    pub fn new(kafka: Kafka, partitions: i32) -> Self {
        Self::with_rig(kafka, partitions, Rig::start())
    }

    /// The same with a rig that is there already.
    pub fn with_rig(kafka: Kafka, partitions: i32, rig: Rig) -> Self {
        let topic = kafka.topic(partitions);
        Self {
            kafka,
            rig: Arc::new(rig),
            topic,
            group: fresh("group"),
            partitions,
        }
    }

    /// The bridge on the topic from its beginning, `at_least_once`, through the proxy.
    pub fn config(&self) -> Config {
        self.best_effort().at_least_once()
    }

    /// The same in the default mode.
    pub fn best_effort(&self) -> Config {
        self.latest().earliest()
    }

    /// The default mode with the default start.
    pub fn latest(&self) -> Config {
        Config::new(&self.kafka, &self.group, &[&self.topic], &self.rig.proxy.url())
    }

    /// The default mode from the topic's beginning, with the rights of this user.
    pub fn config_as(&self, user: &Kafka) -> Config {
        Config::new(user, &self.group, &[&self.topic], &self.rig.proxy.url()).earliest()
    }

    /// Numbered records in the background.
    pub fn load(&self, total: u64, rate: u64) -> Load {
        Load::start(&self.kafka, &self.topic, self.partitions, total, rate)
    }

    /// The dead-letter topic's name.
    pub fn dlq(&self) -> String {
        format!("{}.dlq", self.group)
    }

    /// The dead letters so far; none when there is no such topic.
    pub fn dead_letters(&self) -> Vec<ReadRecord> {
        self.kafka.read(&self.dlq())
    }

    /// Waits until there are that many dead letters, and returns them by the id of their source record.
    #[track_caller]
    pub fn wait_dead_letters(&self, count: i64, deadline: Duration) -> BTreeMap<String, ReadRecord> {
        let mut seen = 0;
        let enough = wait::poll(deadline, || {
            seen = self.kafka.ends(&self.dlq()).values().sum();
            (seen >= count).then_some(())
        });
        assert!(
            enough.is_some(),
            "{seen} dead letters instead of {count} within {deadline:?}"
        );
        let letters = self.dead_letters();
        assert_eq!(
            i64::try_from(letters.len()).unwrap(),
            count,
            "dead letters: {letters:?}"
        );
        letters
            .into_iter()
            .map(|letter| (source_id(&letter), letter))
            .collect()
    }

    /// The committed positions.
    pub fn committed(&self) -> BTreeMap<i32, i64> {
        self.kafka.committed(&self.group, &self.topic)
    }

    /// Waits until everything in the topic is committed.
    #[track_caller]
    pub fn wait_committed_to_end(&self, deadline: Duration) {
        wait::until_true("committed to the end", deadline, || self.uncommitted() == 0);
    }

    /// How many records of the topic are not committed.
    pub fn uncommitted(&self) -> i64 {
        let committed = self.committed();
        let ends = self.kafka.ends(&self.topic);
        ends.iter()
            .map(|(partition, end)| end - committed.get(partition).copied().unwrap_or(0))
            .sum()
    }

    /// Whether no more is committed than one copy, which did it all, has settled.
    pub fn commits_only_what_is_settled(&self, bridge: &Bridge) -> bool {
        let committed: i64 = self.committed().values().sum();
        let settled = bridge.metrics().count("records_settled_total", &[]);
        u64::try_from(committed).unwrap() <= settled
    }

    /// Kills a copy, and says what was committed then and what had been heard.
    pub fn kill(&self, bridge: &mut Bridge) -> Kill {
        bridge.kill();
        let heard = self.rig.recorder.barrier(&self.rig.redis);
        Kill {
            committed: self.committed(),
            heard,
        }
    }

    /// Waits for the rest and gathers what the oracle wants to know.
    #[track_caller]
    pub fn gather(&self, produced: Vec<Produced>, deadline: Duration) -> Run {
        self.rig.recorder.wait_distinct(produced.len(), deadline);
        self.gather_now(produced)
    }

    /// What the oracle wants to know, as it is now.
    pub fn gather_now(&self, produced: Vec<Produced>) -> Run {
        self.rig.recorder.barrier(&self.rig.redis);
        let heard = self
            .rig
            .recorder
            .notes()
            .iter()
            .map(super::recorder::Note::id)
            .collect();
        let place = |letter: &ReadRecord| (source_id(letter), (letter.partition, letter.offset));
        let letters = first_places(self.dead_letters().iter().map(place));
        Run {
            produced,
            heard,
            settled_otherwise: letters.keys().cloned().collect(),
            letters,
            ..Run::default()
        }
    }

    /// Nothing was dead-lettered and nothing dropped.
    #[track_caller]
    pub fn assert_nothing_given_up(&self, bridge: &Bridge) {
        let letters = self.dead_letters();
        assert!(letters.is_empty(), "dead letters: {:?}", letters.first());
        let scrape = bridge.last_metrics();
        assert_eq!(
            (scrape.settled("dead_lettered"), scrape.settled("dropped")),
            (0, 0)
        );
    }
}

/// The id that the oracle knows a dead letter's source record by.
pub fn source_id(letter: &ReadRecord) -> String {
    let part = |name| letter.header(name).unwrap_or_default();
    format!(
        "{}-{}",
        part("__dlq.errors.partition"),
        part("__dlq.errors.offset")
    )
}
