//! The bridge under load while something breaks.

use std::collections::BTreeSet;
use std::time::Duration;

use super::flow::Moment;
use super::setting::Setting;
use super::support::bridge::{Bridge, READY};
use super::support::commits::CommitWatch;
use super::support::config::Config;
use super::support::load::{Load, Make};
use super::support::metrics::Scrape;
use super::support::oracle::{Disturbance, Kill, Produced};
use super::support::scenario::Scenario;
use super::support::timeline::Timeline;
use super::support::wait;

/// How many partitions the topic of a trial has.
pub const PARTITIONS: i32 = 6;
/// How many records a second are produced.
pub const RATE: u64 = 1_200;
/// Small batches: they bound what can be sent and unanswered when a connection is given up.
pub const BATCH: i64 = 100;
/// How soon a fault must show.
pub const SOON: Duration = Duration::from_secs(10);
/// `session.timeout.ms` + `delivery.drain_timeout` + 5 s, as the suite configures them: another copy has taken over by then.
pub const TAKEN_OVER: Duration = Duration::from_secs(6 + 5 + 5);
/// A partition that stands still for longer than this was held up.
pub const UNAFFECTED: Duration = Duration::from_secs(1);
/// How long anything may take that has no limit of its own.
pub const LONG: Duration = Duration::from_secs(60);

/// Copies on a topic of their own, and what is known about the run so far.
pub struct Trial<'a> {
    pub setting: &'a Setting,
    pub scenario: Scenario,
    pub config: Config,
    /// The copies that run.
    pub copies: Vec<Bridge>,
    /// Those that have ended.
    pub(super) ended: Vec<Bridge>,
    /// What was produced beside the load.
    pub written: Vec<Produced>,
    /// What the oracle isn't asked about.
    pub aside: BTreeSet<String>,
    pub(super) load: Option<Load>,
    pub(super) commits: Option<CommitWatch>,
    pub(super) kills: Vec<Kill>,
    pub(super) disturbances: Vec<Disturbance>,
    pub(super) timeline: Timeline,
    /// How many notifications are entered in the timeline.
    pub(super) place: usize,
    pub(super) fault_over: Moment,
}

impl<'a> Trial<'a> {
    /// A fresh topic and group on the shared broker.
    pub fn new(setting: &'a Setting) -> Self {
        Self::on(setting, Scenario::new(setting.kafka.clone(), PARTITIONS))
    }

    /// The same on a scenario that is there already.
    pub fn on(setting: &'a Setting, scenario: Scenario) -> Self {
        Self {
            setting,
            config: setting.config(&scenario),
            commits: Some(CommitWatch::start(&scenario)),
            scenario,
            copies: Vec::new(),
            ended: Vec::new(),
            written: Vec::new(),
            aside: BTreeSet::new(),
            load: None,
            kills: Vec::new(),
            disturbances: Vec::new(),
            timeline: Timeline::default(),
            place: 0,
            fault_over: Moment::default(),
        }
    }

    /// So many copies under load, everything flowing.
    #[track_caller]
    pub fn under_load(setting: &'a Setting, copies: usize) -> Self {
        let mut trial = Self::new(setting);
        trial.begin(copies);
        trial
    }

    /// Starts copies and load, and waits until everything flows.
    #[track_caller]
    pub fn begin(&mut self, copies: usize) {
        for _ in 0..copies {
            self.spawn();
        }
        self.shared();
        self.load(RATE);
        self.flows();
    }

    /// Starts the load.
    pub fn load(&mut self, rate: u64) {
        self.load = Some(self.scenario.load(u64::MAX, rate));
    }

    /// Starts a load of another make.
    pub fn load_of(&mut self, rate: u64, make: Make) {
        let (kafka, topic) = (&self.scenario.kafka, &self.scenario.topic);
        let partitions = self.scenario.partitions;
        self.load = Some(Load::of(kafka, topic, partitions, u64::MAX, rate, make));
    }

    /// Starts a copy; it need not be ready yet.
    pub fn spawn(&mut self) {
        self.copies.push(Bridge::spawn(&self.config));
    }

    /// Waits until all copies are ready and share the partitions.
    #[track_caller]
    pub fn shared(&mut self) {
        for copy in &mut self.copies {
            copy.wait_ready(READY);
        }
        self.assigned();
    }

    /// Waits until all partitions are assigned, and to every copy some.
    #[track_caller]
    pub fn assigned(&self) {
        let partitions = u64::try_from(self.scenario.partitions).unwrap();
        wait::until_true("the copies share the partitions", READY, || {
            let held: Vec<u64> = self.copies.iter().map(Bridge::assigned).collect();
            held.iter().all(|count| *count > 0) && held.iter().sum::<u64>() == partitions
        });
    }

    /// SIGTERM to a copy; it ends with 0.
    #[track_caller]
    pub fn stop(&mut self, which: usize) {
        let mut copy = self.copies.remove(which);
        copy.stop_cleanly();
        self.ended.push(copy);
    }

    /// SIGKILL to a copy.
    pub fn kill(&mut self, which: usize) {
        let mut copy = self.copies.remove(which);
        let kill = self.scenario.kill(&mut copy);
        // What it had sent may still be on its way to Redis.
        self.disturbances.push(Disturbance {
            committed: kill.committed.clone(),
            from: kill.heard,
            until: usize::MAX,
        });
        self.kills.push(kill);
        self.ended.push(copy);
    }

    /// The fault shows in a metric of every copy, and each has told it in a line.
    #[track_caller]
    pub fn shows(&self, metric: &str, shown: impl Fn(&Scrape) -> bool, line: &[&str]) {
        for copy in &self.copies {
            copy.wait_metrics(metric, SOON, &shown);
            copy.wait_log(line, SOON);
        }
    }

    /// No copy has told this more than so many times.
    #[track_caller]
    pub fn told_at_most(&self, times: usize, line: &[&str]) {
        for copy in &self.copies {
            let log = copy.log();
            let told: Vec<_> = log
                .iter()
                .filter(|l| line.iter().all(|part| l.contains(part)))
                .collect();
            assert!(
                told.len() <= times,
                "told {} times instead of {times}: {told:#?}",
                told.len()
            );
        }
    }

    /// While a fault lasts: alive, and in the group with everything that it had.
    #[track_caller]
    pub fn stays_in_the_group(&self, duration: Duration) {
        let partitions = u64::try_from(self.scenario.partitions).unwrap();
        wait::holds("alive and in the group", duration, || {
            let held = self.copies.iter().map(Bridge::assigned).sum::<u64>();
            held == partitions && self.copies.iter().all(|copy| copy.livez() == 200)
        });
    }

    /// While a fault of Redis lasts: in the group, and in `best_effort` the lag stays flat.
    #[track_caller]
    pub fn endures(&self, duration: Duration) {
        self.stays_in_the_group(Duration::ZERO);
        let flat = i64::try_from(RATE * 4).unwrap();
        wait::holds("lag stays flat", duration, || {
            self.setting.loses_nothing() || self.scenario.uncommitted() < flat
        });
        self.stays_in_the_group(Duration::ZERO);
    }

    /// How often partitions were assigned or revoked so far, over all copies.
    pub fn rebalances(&self) -> u64 {
        let count = |copy: &Bridge| copy.metrics().count("rebalances_total", &[]);
        self.copies.iter().map(count).sum()
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        if std::fs::create_dir_all(&self.setting.logs).is_err() {
            return;
        }
        for (number, copy) in self.ended.iter().chain(&self.copies).enumerate() {
            let file = self.setting.logs.join(format!("copy-{}.log", number + 1));
            let _ = std::fs::write(file, copy.log().join("\n"));
        }
    }
}
