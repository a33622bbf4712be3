//! Dead letters in number, a configuration that is right by now, and `dlq replay`.

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::time::Duration;

use kafka_redis_bridge::dlq::resolved::Resolved;
use serde_json::Value;

use super::bridge::Bridge;
use super::cli::{Outcome, command, run_cli};
use super::config::Config;
use super::kafka::ReadRecord;
use super::producer::NewRecord;
use super::scenario::Scenario;

const SOON: Duration = Duration::from_secs(30);

/// Dead letters on a topic of their own, and a configuration that is right now.
pub struct Letters {
    pub scenario: Scenario,
    pub fixed: Config,
    _dir: tempfile::TempDir,
    pub file: String,
}

/// A record that lacks its `source_type`; its id says which it is.
pub fn poison(number: usize) -> NewRecord {
    NewRecord::of(format!(
        r#"{{"id":"n{number}","type":"t","source_id":"s{}"}}"#,
        number % 7
    ))
    .key(format!("k{}", number % 3))
    .header("mine", Some(b"\xff\x00"))
}

impl Letters {
    /// So many of them, in a topic with that many partitions.
    pub fn new(scenario: Scenario, count: usize, partitions: i32) -> Self {
        let broken = scenario
            .config()
            .set("dlq.partitions", partitions)
            .set("dlq.guard.burst", 1_000_000);
        let mut bridge = Bridge::start(&broken);
        scenario.kafka.produce(&scenario.topic, (0..count).map(poison));
        scenario.wait_committed_to_end(SOON);
        bridge.stop_cleanly();
        let fixed = broken.clone().route(&format!(
            "topics = ['{}']\nid = '/id'\ntype = '/type'\nsource_type = 'literal:s'\nsource_id = '/source_id'",
            scenario.topic
        ));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bridge.toml");
        fixed.write(&path);
        let letters = Self {
            scenario,
            fixed,
            file: path.to_str().unwrap().to_owned(),
            _dir: dir,
        };
        assert_eq!(letters.depth(), count as u64);
        letters
    }

    /// Replays go by this configuration from now on.
    pub fn configure(&self, config: &Config) {
        config.write(self.file.as_ref());
    }

    /// Replays to the end.
    #[track_caller]
    pub fn replay(&self, flags: &[&str]) -> (Outcome, Value) {
        let outcome = run_cli(&self.arguments(flags), SOON);
        let text = if flags.contains(&"--dry-run") {
            &outcome.stderr
        } else {
            &outcome.stdout
        };
        let last = text.lines().last().unwrap_or_default();
        let summary: Value = serde_json::from_str(last).unwrap_or_else(|_| panic!("no summary: {outcome:?}"));
        assert_adds_up(&summary);
        (outcome, summary)
    }

    /// The command line.
    pub fn arguments<'a>(&'a self, flags: &[&'a str]) -> Vec<&'a str> {
        [&["dlq", "replay", "--config", &self.file], flags].concat()
    }

    /// A replay in the background.
    pub fn spawn(&self, flags: &[&str]) -> Child {
        let mut command = command();
        command.args(self.arguments(flags)).stdout(Stdio::piped());
        command.spawn().unwrap()
    }

    /// What the commits of the group of replays say of each partition.
    pub fn resolved(&self) -> BTreeMap<i32, Resolved> {
        let group = format!("{}.dlq-replay", self.scenario.group);
        let commits = self.scenario.kafka.commits(&group, &self.scenario.dlq());
        commits
            .into_iter()
            .map(|(partition, (offset, note))| (partition, Resolved::parse(&note, offset)))
            .collect()
    }

    /// Dead letters that nobody has resolved, by offsets and commits alone.
    pub fn depth(&self) -> u64 {
        let resolved = self.resolved();
        let ends = self.scenario.kafka.ends(&self.scenario.dlq());
        let open = |(partition, end): (&i32, &i64)| {
            let done = resolved.get(partition).map_or(0, |r| r.count_within(0, *end));
            end.unsigned_abs() - done
        };
        ends.iter().map(open).sum()
    }

    /// The ids that were heard, in order of arrival.
    pub fn heard(&self) -> Vec<String> {
        self.scenario.rig.recorder.barrier(&self.scenario.rig.redis);
        self.scenario
            .rig
            .recorder
            .notes()
            .iter()
            .map(|note| note.id())
            .collect()
    }

    /// All that is on the topic.
    pub fn letters(&self) -> Vec<ReadRecord> {
        self.scenario.dead_letters()
    }
}

/// What was read is the sum of what became of it.
#[track_caller]
pub fn assert_adds_up(summary: &Value) {
    let count = |name: &str| {
        summary[name]
            .as_u64()
            .unwrap_or_else(|| panic!("{name}: {summary}"))
    };
    let parts = [
        "replayed",
        "skipped",
        "failed_again",
        "filtered",
        "parked",
        "no_route",
        "value_gone",
        "unreadable",
        "not_accepted",
        "unfinished",
    ];
    assert_eq!(
        count("read"),
        parts.into_iter().map(count).sum::<u64>(),
        "{summary}"
    );
    assert_eq!(
        count("unresolved"),
        count("read") - count("replayed") - count("skipped")
    );
}
