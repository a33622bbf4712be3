//! A batch comes back: what it says is entered in the progress of each partition and in the books.

use std::time::Instant;

use super::pump::Pump;
use crate::observe::books::{DropReason, Outcome};
use crate::progress::Span;
use crate::publish::batch::{Batch, Entry, Part};
use crate::publish::verdict::{Dropped, Refused, Returned, Verdict};

impl Pump {
    /// Takes all batches that are back.
    pub(super) fn take_returned(&mut self) {
        while let Ok(returned) = self.writer.returned.try_recv() {
            self.settle_returned(returned);
        }
    }

    /// Takes one.
    pub(super) fn settle_returned(&mut self, mut returned: Returned) {
        if returned.last {
            self.outstanding = self.outstanding.saturating_sub(1);
            if let Some(trace) = returned.batch.trace.take() {
                self.end_span(trace, &returned.verdict);
            }
        }
        match returned.verdict {
            Verdict::Published { refused } => {
                if refused.len() < returned.batch.records() {
                    self.last_published = Some(Instant::now());
                }
                self.settle_batch(&returned.batch, Outcome::Published, &refused);
            }
            Verdict::Dropped(why) => {
                let reason = match why {
                    Dropped::RedisDown => DropReason::RedisDown,
                    Dropped::RetryExhausted => DropReason::RetryExhausted,
                };
                self.settle_batch(&returned.batch, Outcome::Dropped(reason), &[]);
            }
        }
        self.recycle(returned.batch);
    }

    fn settle_batch(&mut self, batch: &Batch, outcome: Outcome, refused: &[Refused]) {
        for (index, part) in (0u32..).zip(batch.parts()) {
            let Some(partition) = self.assignment.current(part.slot, part.generation) else {
                continue;
            };
            let mine = refused.iter().filter(|refused| refused.part == index);
            let settled = if refused.is_empty() && part.rest.is_none() {
                partition.progress.settle(part.first, &[])
            } else {
                partition.progress.settle(
                    part.first,
                    &remains(part, mine.clone().filter_map(|refused| alone(batch, refused))),
                )
            };
            self.ledger
                .settled(partition.topic_id, outcome, u64::from(settled));
            if !partition.state.refusals.records.is_empty() {
                self.settle_refusals(batch, index, part.slot);
            }
            for refused in mine {
                self.note_refusal(part.slot, refused.offset, refused.channels);
            }
        }
    }

    /// Records that were on their way again have arrived; those that are refused once more are noted afterwards.
    fn settle_refusals(&mut self, batch: &Batch, part: u32, slot: u32) {
        for entry in batch.entries().iter().filter(|entry| entry.part == part) {
            if let Some(partition) = self.assignment.get_mut(slot)
                && partition.progress.find_span(entry.offset).is_none()
            {
                partition.state.refusals.records.remove(&entry.offset);
            }
        }
        self.review_refusals(slot);
    }
}

/// What of a part stays unsettled, as spans in ascending order: what was refused, and what goes on in another batch.
fn remains(part: &Part, refused: impl Iterator<Item = Span>) -> Vec<Span> {
    let mut spans: Vec<Span> = refused.chain(part.rest).collect();
    spans.sort_unstable_by_key(|span| span.first);
    spans
}

/// A refused record as a span of its own.
fn alone(batch: &Batch, refused: &Refused) -> Option<Span> {
    let is_it = |entry: &&Entry| entry.part == refused.part && entry.offset == refused.offset;
    let entry = batch.entries().iter().find(is_it)?;
    Some(Span {
        first: entry.offset,
        timestamp_ms: entry.timestamp_ms,
        records: 1,
    })
}
