//! The polling thread tells where it stands, and takes back what was found out about its partitions.

use super::pump::Pump;
use crate::observe::lag::{Finding, News, Oldest, Standing};
use crate::progress::{Position, Progress};
use crate::publish::batch::NO_TIMESTAMP;

/// Tells the records that retention took before they were read from other holes between offsets.
#[derive(Debug, Default)]
pub struct Retention {
    /// What lies before is counted.
    counted: Option<Position>,
    /// The widest hole that was passed lately, and for how many findings it is kept: the log start that explains it
    /// may be known only later.
    hole: Option<(Position, Position, u8)>,
    /// Where reading stood at the last finding.
    delivered: Option<Position>,
}

impl Retention {
    /// How many findings a hole is kept for: the first may be older than the hole.
    const KEPT_FOR: u8 = 2;

    /// Reading goes on behind a hole.
    pub fn jumped(&mut self, from: Position, to: Position) {
        let width = to.0 - from.0;
        if self
            .hole
            .is_none_or(|(from, to, _)| width > to.0.saturating_sub(from.0))
        {
            self.hole = Some((from, to, Self::KEPT_FOR));
        }
    }

    /// The log starts here now. Returns how many records are lost that were not counted before.
    pub fn found(&mut self, log_start: Position, delivered: Position, is_paused: bool) -> u64 {
        let mut lost = 0;
        if let Some((from, to, findings)) = self.hole.take() {
            lost += self.count(from, to.min(log_start));
            self.hole = (findings > 1).then_some((from, to, findings - 1));
        }
        // What was fetched before it was deleted is delivered still: only where reading stands is it sure.
        if is_paused || self.delivered == Some(delivered) {
            lost += self.count(delivered, log_start);
        }
        self.delivered = Some(delivered);
        lost
    }

    fn count(&mut self, from: Position, to: Position) -> u64 {
        let from = self.counted.map_or(from, |counted| counted.max(from));
        if to <= from {
            return 0;
        }
        self.counted = Some(to);
        u64::try_from(to.0 - from.0).unwrap_or(0)
    }
}

impl Pump {
    /// Tells where it stands, and takes what was found out.
    pub(super) fn share_lag(&mut self) {
        let standings = self.assignment.iter().map(|(slot, partition)| Standing {
            partition: (partition.topic.clone(), partition.number),
            slot,
            generation: partition.generation,
            committed: partition.committed,
            settled: partition.progress.position(),
            oldest: oldest(&partition.progress),
            is_read: partition.paused.is_empty(),
        });
        let findings = self.metrics.lag.share(&self.config.kafka.group_id, standings);
        for finding in findings {
            self.take_finding(finding);
        }
    }

    fn take_finding(&mut self, finding: Finding) {
        let Some(partition) = self.assignment.current(finding.slot, finding.generation) else {
            return;
        };
        match finding.news {
            // Whoever has read on since then knows better.
            News::NothingUpTo { from, end } if partition.progress.delivered() == from => {
                partition.progress.reached(end);
            }
            News::NothingUpTo { .. } => {}
            News::LogStart(log_start) => {
                let delivered = partition.progress.delivered();
                let is_paused = !partition.paused.is_empty();
                let lost = partition.state.retention.found(log_start, delivered, is_paused);
                if lost > 0 {
                    tracing::warn!(
                        topic = &*partition.topic,
                        partition = partition.number,
                        log_start = log_start.0,
                        records = lost,
                        "retention has deleted records before they were read"
                    );
                    let labels = [&*partition.topic, "retention"];
                    self.metrics.records_lost.with_label_values(&labels).inc_by(lost);
                }
            }
        }
    }
}

fn oldest(progress: &Progress) -> Oldest {
    match progress.oldest() {
        None => Oldest::Nothing,
        Some(span) if span.timestamp_ms == NO_TIMESTAMP => Oldest::Timeless,
        Some(span) => Oldest::At(span.timestamp_ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_that_the_log_start_explains_is_lost_once_whenever_that_is_known() {
        let mut retention = Retention::default();
        retention.jumped(Position(10), Position(50));
        // Asked before the records went.
        assert_eq!(retention.found(Position(0), Position(60), false), 0);
        assert_eq!(retention.found(Position(50), Position(70), false), 40);
        assert_eq!(retention.found(Position(50), Position(80), false), 0);
    }

    #[test]
    fn a_hole_of_transaction_markers_is_no_loss() {
        let mut retention = Retention::default();
        retention.jumped(Position(10), Position(12));
        for delivered in [60, 70, 80] {
            assert_eq!(retention.found(Position(10), Position(delivered), false), 0);
        }
        // Retention comes by long after it was read.
        assert_eq!(retention.found(Position(40), Position(90), false), 0);
    }

    #[test]
    fn what_goes_while_the_partition_waits_is_lost_at_once_and_not_again_when_reading_goes_on() {
        let mut retention = Retention::default();
        assert_eq!(retention.found(Position(30), Position(10), true), 20);
        assert_eq!(retention.found(Position(45), Position(10), true), 15);
        retention.jumped(Position(10), Position(50));
        assert_eq!(retention.found(Position(50), Position(55), false), 5);
        assert_eq!(retention.found(Position(50), Position(60), false), 0);
    }

    #[test]
    fn what_was_fetched_in_time_is_no_loss() {
        let mut retention = Retention::default();
        assert_eq!(retention.found(Position(30), Position(10), false), 0);
        assert_eq!(retention.found(Position(30), Position(30), false), 0);
    }
}
