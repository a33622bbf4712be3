//! `[delivery]`: what is promised, and how long it is tried.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duration;
use super::problem::Problems;
use super::properties::Properties;

/// The `[delivery]` section.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Delivery {
    /// What happens to records that Redis doesn't take.
    pub mode: Mode,
    /// How long a batch is tried in `best_effort`; zero tries it once.
    #[serde(with = "duration")]
    pub retry_for: Duration,
    /// Records older than this are skipped; without it none are.
    #[serde(with = "duration::optional")]
    pub max_age: Option<Duration>,
    /// Offsets are committed this often: a hard kill repeats at most what was settled meanwhile.
    #[serde(with = "duration")]
    pub commit_interval: Duration,
    /// How long a revoked partition, or the whole bridge at its end, may take to settle what it holds.
    #[serde(with = "duration")]
    pub drain_timeout: Duration,
    /// The size cap of a notification, in bytes.
    pub max_notification_bytes: usize,
}

/// What happens to records that Redis doesn't take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// They are dropped and counted: Redis never stalls consumption.
    BestEffort,
    /// The bridge holds its place until a Redis master has answered.
    AtLeastOnce,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            mode: Mode::BestEffort,
            retry_for: Duration::from_secs(1),
            max_age: None,
            commit_interval: Duration::from_secs(1),
            drain_timeout: Duration::from_secs(10),
            max_notification_bytes: 1024,
        }
    }
}

impl Delivery {
    pub(super) fn check(&self, properties: &Properties, problems: &mut Problems) {
        if self.max_age.is_some_and(|age| age.is_zero()) {
            problems.add(
                "delivery.max_age",
                "zero would skip every record; write a duration, or leave it out",
            );
        }
        if self.commit_interval.is_zero() {
            problems.add("delivery.commit_interval", "must be more than zero");
        }
        if !(64..=1_048_576).contains(&self.max_notification_bytes) {
            let message = format!("{} is out of range; 64 to 1048576", self.max_notification_bytes);
            problems.add("delivery.max_notification_bytes", message);
            problems.mark_broken("delivery.max_notification_bytes");
        }
        self.check_drain_timeout(properties, problems);
    }

    fn check_drain_timeout(&self, properties: &Properties, problems: &mut Problems) {
        if self.drain_timeout.is_zero() {
            problems.add("delivery.drain_timeout", "must be more than zero");
        } else if let Some(interval) = properties.max_poll_interval()
            && self.drain_timeout >= interval
        {
            let message = format!(
                "{} isn't below max.poll.interval.ms ({}): the group would expel the bridge while it drains; lower \
                 it, or raise that in kafka.properties",
                duration::format(self.drain_timeout),
                duration::format(interval),
            );
            problems.add("delivery.drain_timeout", message);
        }
    }
}
