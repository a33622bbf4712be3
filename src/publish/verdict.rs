//! What becomes of a batch, and what the delivery mode allows to become of it.

use std::time::Duration;

use super::batch::Batch;
use crate::progress::Offset;

/// What becomes of records while Redis fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// They are tried for `retry_for` and then dropped; while Redis is known to be down they drop at once.
    BestEffort {
        /// `delivery.retry_for`.
        retry_for: Duration,
    },
    /// They wait.
    AtLeastOnce {
        /// `delivery.retry_for`: when Redis counts as known to be down.
        retry_for: Duration,
    },
}

impl Policy {
    /// Whether records are ever given up.
    pub(super) fn drops(self) -> bool {
        matches!(self, Self::BestEffort { .. })
    }
}

/// Why records were dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// Redis was known to be down.
    RedisDown,
    /// They were tried for `retry_for`.
    RetryExhausted,
}

/// A record of which some channels were refused while others succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// Index into the parts of the batch.
    pub part: u32,
    /// The record.
    pub offset: Offset,
    /// Which of its route's channels were refused, by index.
    pub channels: u16,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Every record is published, but for those with a refused channel.
    Published {
        /// In the order of the batch.
        refused: Vec<Refused>,
    },
    /// Every record is given up.
    Dropped(Dropped),
}

/// A batch comes back.
#[derive(Debug)]
pub struct Returned {
    /// The batch; its buffers can be filled again.
    pub batch: Batch,
    /// What became of its records.
    pub verdict: Verdict,
    /// Whether it is a whole batch as it was handed over, or the last piece of one.
    pub last: bool,
}
