//! `[batch]`: how much goes to Redis at once.

use serde::{Deserialize, Serialize};

use super::problem::Problems;

/// The `[batch]` section. A batch is sent when either bound is reached, or as soon as Redis is idle.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Batch {
    /// At most this many records.
    pub max_records: usize,
    /// At most this many bytes of commands.
    pub max_bytes: usize,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            max_records: 1024,
            max_bytes: 262_144,
        }
    }
}

impl Batch {
    pub(super) fn check(&self, max_notification_bytes: usize, problems: &mut Problems) {
        if !(1..=65_536).contains(&self.max_records) {
            problems.add(
                "batch.max_records",
                format!("{} is out of range; 1 to 65536", self.max_records),
            );
        }
        if self.max_bytes < max_notification_bytes && !problems.is_broken("delivery.max_notification_bytes") {
            let message = format!(
                "{} is less than delivery.max_notification_bytes ({max_notification_bytes}), so that not every \
                 notification would fit; raise it to that at least",
                self.max_bytes
            );
            problems.add("batch.max_bytes", message);
        }
    }
}
