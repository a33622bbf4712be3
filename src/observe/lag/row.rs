//! What is known of one assignment of one partition. Pure.

use super::{Figures, Lagging, News, Oldest, Standing};
use crate::progress::Position;
use crate::source::extent::Extent;
use crate::source::offsets::TopicPartition;
use crate::source::peek::First;

/// One partition.
#[derive(Debug)]
pub struct Row {
    standing: Standing,
    extent: Option<Extent>,
    /// The timestamp of the oldest unsettled record; of an earlier one while records pass faster than can be looked.
    oldest_ms: Option<i64>,
    /// When it was last looked at in the log.
    pub looked_at: u64,
}

impl Row {
    /// A partition of which only the position is known.
    pub fn new(standing: Standing) -> Self {
        Self {
            standing,
            extent: None,
            oldest_ms: None,
            looked_at: 0,
        }
    }

    /// Which it is.
    pub fn partition(&self) -> &TopicPartition {
        &self.standing.partition
    }

    /// A later position, and what was found out before it was told. Returns what the polling thread should know.
    pub fn update(
        &mut self,
        standing: Standing,
        extent: Option<Extent>,
        first: Option<(Position, First)>,
    ) -> [Option<News>; 2] {
        self.standing = standing;
        self.extent = extent.or(self.extent);
        match self.standing.oldest {
            Oldest::At(timestamp) => self.oldest_ms = Some(timestamp),
            Oldest::Timeless => self.oldest_ms = None,
            Oldest::Nothing if self.is_caught_up() => self.oldest_ms = None,
            Oldest::Nothing => {}
        }
        let log_start = extent.map(|extent| News::LogStart(extent.log_start));
        [log_start, first.and_then(|(from, first)| self.note(from, first))]
    }

    /// What the log has at `from`, if that is still where reading goes on.
    fn note(&mut self, from: Position, first: First) -> Option<News> {
        if self.standing.settled != from || self.standing.oldest != Oldest::Nothing {
            return None;
        }
        match first {
            First::Record { timestamp_ms, .. } => {
                self.oldest_ms = timestamp_ms;
                None
            }
            First::End(end) => Some(News::NothingUpTo { from, end }),
        }
    }

    /// Whether nothing unsettled lies before the end.
    fn is_caught_up(&self) -> bool {
        self.extent
            .is_some_and(|extent| extent.behind(self.standing.settled) == 0)
    }

    /// Whether it is read and nothing is left to do, as far as is known.
    pub fn is_quiet(&self) -> bool {
        let Standing {
            committed,
            settled,
            oldest,
            is_read,
            ..
        } = self.standing;
        let at_end = self.extent.is_some_and(|extent| extent.end == settled);
        is_read && at_end && committed == settled && oldest == Oldest::Nothing
    }

    /// Whether the log has records that were not read.
    pub fn is_lagging(&self) -> bool {
        self.standing.oldest == Oldest::Nothing && self.extent.is_some() && !self.is_caught_up()
    }

    /// Where to look for the oldest of them.
    pub fn look(&mut self, now: u64) -> Lagging {
        self.looked_at = now;
        Lagging {
            generation: self.standing.generation,
            partition: self.standing.partition.clone(),
            position: self.standing.settled,
        }
    }

    /// How far behind it is.
    pub fn figures(&self, now_ms: i64) -> Figures {
        let records = self.extent.map(|extent| extent.behind(self.standing.committed));
        let seconds = match records {
            None => None,
            Some(0) => Some(0.0),
            // What is settled waits for nothing but its commit.
            Some(_) if self.is_caught_up() => Some(0.0),
            Some(_) => self.oldest_ms.map(|oldest| age(oldest, now_ms)),
        };
        Figures {
            end: self.extent.map(|extent| extent.end.0),
            records,
            seconds,
        }
    }
}

/// In seconds. Clocks that disagree can't make it negative.
#[allow(
    clippy::cast_precision_loss,
    reason = "an age in milliseconds is far below 2^52"
)]
pub fn age(timestamp_ms: i64, now_ms: i64) -> f64 {
    now_ms.saturating_sub(timestamp_ms).max(0) as f64 / 1000.0
}
