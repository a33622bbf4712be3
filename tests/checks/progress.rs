//! `Progress` against the obvious model: every record by itself. Steps come from proptest, or from a fuzzer.

use std::collections::{BTreeMap, BTreeSet};

use kafka_redis_bridge::progress::{Offset, Position, Progress, Span};

/// What to do, how many offsets to leave out before it, which span is meant, and bits for whatever else is to choose.
pub type Step = (u8, u8, u16, u64);

/// One partition: what delivered records there are, and which of them are unsettled.
struct Model {
    delivered: i64,
    /// Unsettled spans by their first record: offset and timestamp of each record.
    spans: BTreeMap<i64, Vec<(i64, i64)>>,
    /// Names of spans that are settled, so that they can be settled again.
    gone: BTreeSet<i64>,
}

/// Takes all steps on both and compares them after each.
pub fn agrees(start: i64, steps: impl IntoIterator<Item = Step>) {
    let mut progress = Progress::new(Position(start));
    let mut model = Model::new(start);
    for step in steps {
        let before = progress.position();
        model.take(&mut progress, step);
        model.compare(&progress);
        assert!(
            progress.position() >= before,
            "a position that was committed is never taken back"
        );
    }
}

impl Model {
    fn new(start: i64) -> Self {
        Self {
            delivered: start,
            spans: BTreeMap::new(),
            gone: BTreeSet::new(),
        }
    }

    fn take(&mut self, progress: &mut Progress, (kind, gap, pick, bits): Step) {
        let offset = self.delivered + i64::from(gap % 4);
        // Producers set timestamps: they may go backwards.
        let timestamp_ms = bits as i64;
        match kind % 8 {
            0 => {
                progress.settle_at_once(Offset(offset));
                self.delivered = offset + 1;
            }
            1 => {
                progress.hold(Offset(offset), timestamp_ms);
                self.deliver(offset, offset, timestamp_ms);
            }
            2 => self.join(progress, offset, timestamp_ms, pick),
            3 => self.settle(progress, pick, 0),
            4 => self.settle(progress, pick, bits),
            5 => self.settle_again(progress, pick),
            6 => {
                progress.reached(Position(offset));
                self.delivered = offset;
            }
            _ => self.seek(progress, pick),
        }
    }

    fn deliver(&mut self, first: i64, offset: i64, timestamp_ms: i64) {
        self.spans.entry(first).or_default().push((offset, timestamp_ms));
        self.gone.remove(&first);
        self.delivered = offset + 1;
    }

    fn nth(&self, pick: u16) -> Option<i64> {
        let index = usize::from(pick).checked_rem(self.spans.len())?;
        self.spans.keys().nth(index).copied()
    }

    /// The newest span can be joined and no other.
    fn join(&mut self, progress: &mut Progress, offset: i64, timestamp_ms: i64, pick: u16) {
        let newest = self.spans.keys().next_back().copied();
        let first = self.nth(pick).unwrap_or(offset);
        let joined = progress.join(Offset(first), Offset(offset));
        assert_eq!(joined, newest == Some(first), "span {first}");
        if joined {
            self.deliver(first, offset, timestamp_ms);
        }
    }

    /// Settles a span but for the records whose bit is set: each waits alone from now on, or, by the highest bit and
    /// as in a batch that is cut in two, all from the first of them on wait together.
    fn settle(&mut self, progress: &mut Progress, pick: u16, bits: u64) {
        let Some(first) = self.nth(pick) else { return };
        let records = self.spans.remove(&first).unwrap_or_default();
        let stays = |index: &usize| bits >> (index % 63) & 1 == 1;
        let kept: Vec<usize> = (0..records.len()).filter(stays).collect();
        let remains: Vec<&[(i64, i64)]> = match kept.first() {
            Some(&from) if bits >> 63 == 1 => vec![&records[from..]],
            _ => kept.iter().map(|&index| &records[index..=index]).collect(),
        };
        let spans: Vec<Span> = remains.iter().map(|records| span(records)).collect();
        let held: usize = remains.iter().map(|records| records.len()).sum();
        let settled = progress.settle(Offset(first), &spans);
        assert_eq!(settled as usize, records.len() - held, "span {first}");
        self.gone.insert(first);
        for rest in remains {
            self.gone.remove(&rest[0].0);
            self.spans.insert(rest[0].0, rest.to_vec());
        }
    }

    /// A late answer for what is settled counts for nothing.
    fn settle_again(&mut self, progress: &mut Progress, pick: u16) {
        let Some(index) = usize::from(pick).checked_rem(self.gone.len()) else {
            return;
        };
        let first = self.gone.iter().nth(index).copied().unwrap_or_default();
        assert_eq!(progress.settle(Offset(first), &[]), 0, "span {first}");
    }

    /// Reads a record again that waits alone: what was delivered behind it comes again, and nothing of that may
    /// move what is known. This is how a refused channel is retried.
    fn seek(&mut self, progress: &mut Progress, pick: u16) {
        let Some(first) = self.nth(pick) else { return };
        assert_eq!(
            progress.find_span(Offset(first)),
            self.spans.get(&first).map(|records| span(records))
        );
        for again in first..self.delivered.min(first + 8) {
            progress.settle_at_once(Offset(again));
            progress.reached(Position(again));
        }
    }

    fn compare(&self, progress: &Progress) {
        let oldest = self.spans.values().next();
        let held: usize = self.spans.values().map(Vec::len).sum();
        assert_eq!(progress.delivered(), Position(self.delivered));
        assert_eq!(progress.held(), held as u64);
        assert_eq!(progress.is_settled(), held == 0);
        assert_eq!(progress.oldest(), oldest.map(|records| span(records)));
        let lowest = self.spans.values().flatten().map(|&(offset, _)| offset).min();
        assert_eq!(progress.position(), Position(lowest.unwrap_or(self.delivered)));
        assert!(progress.position() <= progress.delivered());
        assert_eq!(progress.find_span(Offset(self.delivered)), None);
    }
}

fn span(records: &[(i64, i64)]) -> Span {
    Span {
        first: Offset(records[0].0),
        timestamp_ms: records[0].1,
        records: u32::try_from(records.len()).unwrap_or(u32::MAX),
    }
}
