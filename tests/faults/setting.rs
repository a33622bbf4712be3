//! What a case is given, and where it leaves its figures.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::support::config::Config;
use super::support::kafka::Kafka;
use super::support::scenario::Scenario;
use super::support::timeline::Stall;

/// A silence of this length is worth a look at what happened then.
const LONG_STALL: Duration = Duration::from_secs(30);

/// `delivery.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    AtLeastOnce,
    BestEffort,
}

impl Mode {
    /// As it is configured.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AtLeastOnce => "at_least_once",
            Self::BestEffort => "best_effort",
        }
    }
}

/// What was measured.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Figures {
    /// Records produced.
    pub records: usize,
    /// Neither heard, dead-lettered, skipped nor counted as dropped.
    pub lost: usize,
    /// Counted as dropped.
    pub dropped: u64,
    /// Heard again, once for each time.
    pub duplicates: usize,
    /// Heard behind a later record of the same key, or not asked for, or committed before they came out.
    pub disorder: usize,
    /// Dead letters.
    pub letters: usize,
    /// The longest silence of a partition, in seconds.
    pub worst_stall: Option<f64>,
    /// The longest time from the end of a fault until every partition delivered again, in seconds.
    pub recovery: Option<f64>,
    /// How often the committed positions were looked at.
    pub samples: usize,
    /// What else is worth telling.
    pub remarks: Vec<String>,
}

/// What one case is given.
pub struct Setting {
    pub name: String,
    pub kafka: Kafka,
    pub mode: Mode,
    /// How long the memory is watched.
    pub memory_for: Duration,
    /// Where logs go.
    pub logs: PathBuf,
    started: Instant,
    figures: Mutex<Figures>,
    events: Mutex<Vec<String>>,
    rng: Mutex<fastrand::Rng>,
}

impl Setting {
    /// A setting whose random choices follow from the seed and the name.
    pub fn new(name: String, kafka: Kafka, mode: Mode, seed: u64, memory_for: Duration, out: &Path) -> Self {
        let own = name
            .bytes()
            .fold(seed, |hash, byte| hash.wrapping_mul(31) ^ u64::from(byte));
        Self {
            logs: out.join("logs").join(name.replace('/', "-")),
            name,
            kafka,
            mode,
            memory_for,
            started: Instant::now(),
            figures: Mutex::default(),
            events: Mutex::default(),
            rng: Mutex::new(fastrand::Rng::with_seed(own)),
        }
    }

    /// Writes down what happens, with the time since the case began.
    pub fn tell(&self, what: &str) {
        let at = self.started.elapsed().as_secs_f64();
        self.events.lock().unwrap().push(format!("{at:7.2} s  {what}"));
    }

    /// What was written down.
    pub fn events(&self) -> Vec<String> {
        self.events.lock().unwrap().clone()
    }

    /// Enters figures.
    pub fn measure(&self, enter: impl FnOnce(&mut Figures)) {
        enter(&mut self.figures.lock().unwrap());
    }

    /// The figures so far.
    pub fn figures(&self) -> Figures {
        self.figures.lock().unwrap().clone()
    }

    /// Something worth telling in the report.
    pub fn remark(&self, what: String) {
        self.measure(|figures| figures.remarks.push(what));
    }

    /// The longest silence of a partition; where it was is told when it is long enough to ask why.
    pub fn stalled(&self, worst: Option<Stall>) {
        let lasted = worst.map(|stall| stall.lasted).unwrap_or_default();
        self.measure(|figures| figures.worst_stall = Some(lasted.as_secs_f64()));
        if let Some(stall) = worst.filter(|stall| stall.lasted >= LONG_STALL) {
            let from = stall.since.duration_since(self.started).as_secs_f64();
            let (partition, to) = (stall.partition, from + lasted.as_secs_f64());
            self.remark(format!(
                "nothing of partition {partition} from {from:.1} s to {to:.1} s"
            ));
        }
    }

    /// How long it took every partition to deliver again; the longest counts.
    pub fn recovered(&self, took: Duration) {
        let took = took.as_secs_f64();
        self.measure(|figures| figures.recovery = Some(figures.recovery.unwrap_or(0.0).max(took)));
    }

    /// A random number below `end`.
    pub fn random(&self, end: u64) -> u64 {
        self.rng.lock().unwrap().u64(..end)
    }

    /// Whether the mode is `at_least_once`.
    pub fn loses_nothing(&self) -> bool {
        self.mode == Mode::AtLeastOnce
    }

    /// The bridge on a scenario in this mode, with what the suite's time limits are about.
    pub fn config(&self, scenario: &Scenario) -> Config {
        self.tuned(scenario.best_effort())
    }

    /// The same for a configuration that is there already.
    pub fn tuned(&self, config: Config) -> Config {
        config
            .short_session()
            .set("delivery.mode", self.mode.as_str())
            .set("delivery.drain_timeout", "5s")
            .set("batch.max_records", super::trial::BATCH)
            .set("dlq.partitions", 3)
    }
}
