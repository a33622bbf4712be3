//! What the polling thread tells of itself: its books, and the status of its partitions.

use std::sync::Arc;

use super::pump::Pump;
use crate::observe::metrics::now_ms;
use crate::observe::status::{PartitionStatus, PipelineStatus};
use crate::source::assignment::PauseReason;

impl Pump {
    /// Shows the books as they stand.
    pub(super) fn publish_books(&mut self) {
        if self.ledger.is_changed() {
            self.metrics.fields_omitted.inc_by(self.deriver.fields_omitted());
            self.ledger.publish(self.assignment.held());
        }
    }

    pub(super) fn tell_status(&mut self) {
        self.share_lag();
        let lag = self.metrics.lag.figures(now_ms());
        let partitions: Vec<PartitionStatus> = self
            .assignment
            .iter()
            .map(|(_, partition)| PartitionStatus {
                topic: Arc::clone(&partition.topic),
                partition: partition.number,
                committed: Some(partition.committed.0),
                position: partition.progress.delivered().0,
                in_flight: partition.progress.held(),
                lag: lag.get(&partition.generation).copied().unwrap_or_default().into(),
                paused: PauseReason::ALL
                    .into_iter()
                    .filter(|reason| partition.paused.contains(*reason))
                    .map(PauseReason::as_str)
                    .collect(),
            })
            .collect();
        self.status.set(PipelineStatus {
            records_in_flight: partitions.iter().map(|p| p.in_flight).sum(),
            dead_letters_in_flight: self
                .assignment
                .iter()
                .map(|(_, partition)| partition.state.letters.len() as u64)
                .sum(),
            partitions,
        });
    }
}
