//! A batch: finished protocol bytes, and for each command where it came from.
//!
//! Records enter in order and replies come in order, so a reply finds its record by counting. Batches circulate:
//! the writer hands them back with the verdict, and their buffers are filled again.

use super::resp;
use crate::derive::CommandSink;
use crate::progress::{Offset, Span};
use crate::trace::batch::BatchTrace;

/// Where the records of a span came from. A batch has one part for each run of records of a partition in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Which partition, as an index into the assignment.
    pub slot: u32,
    /// Which assignment of that slot: answers for an earlier one are ignored. Also the fencing token, should
    /// commands ever carry one.
    pub generation: u32,
    /// The span in the partition's progress.
    pub first: Offset,
    /// How many records of the span are in this batch.
    pub records: u32,
    /// When the span goes on in another batch: what is left of it there.
    pub rest: Option<Span>,
}

/// One record of a batch and its outstanding commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Index into [`Batch::parts`].
    pub part: u32,
    /// Which of the route's channels its commands go to, by index: one command for each bit, lowest first.
    pub channels: u16,
    /// The offset of the record.
    pub offset: Offset,
    /// Record timestamp in milliseconds since the epoch; [`NO_TIMESTAMP`] when there is none.
    pub timestamp_ms: i64,
}

/// Stands for a record without a timestamp.
pub const NO_TIMESTAMP: i64 = -1;

impl Entry {
    /// How many commands are outstanding.
    pub fn commands(&self) -> usize {
        self.channels.count_ones() as usize
    }
}

/// Commands on their way to one Redis node.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    /// For each command the index behind its last byte.
    ends: Vec<u32>,
    entries: Vec<Entry>,
    parts: Vec<Part>,
    /// What its span will tell, if spans are exported.
    pub trace: Option<Box<BatchTrace>>,
}

impl CommandSink for Batch {
    fn publish(&mut self, channel: &[u8], payload: &[u8]) {
        resp::encode_publish(&mut self.bytes, channel, payload);
        self.ends.push(index(self.bytes.len()));
    }
}

impl Batch {
    /// Adds the record whose commands have just been written to the batch to the part `part`.
    pub fn add(&mut self, part: u32, channels: u16, offset: Offset, timestamp_ms: i64) {
        self.parts[part as usize].records += 1;
        self.entries.push(Entry {
            part,
            channels,
            offset,
            timestamp_ms,
        });
    }

    /// Starts a part; records are added to it by the index that it returns.
    pub fn start_part(&mut self, slot: u32, generation: u32, first: Offset) -> u32 {
        self.parts.push(Part {
            slot,
            generation,
            first,
            records: 0,
            rest: None,
        });
        index(self.parts.len() - 1)
    }

    /// The parts, one for each run of records of a partition.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The records, in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// How many records it holds.
    pub fn records(&self) -> usize {
        self.entries.len()
    }

    /// How many commands it holds.
    pub fn commands(&self) -> usize {
        self.ends.len()
    }

    /// Whether it holds no record.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The protocol bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where command `command` starts in [`Batch::bytes`]; their length for the one behind the last.
    pub fn start_of(&self, command: usize) -> usize {
        match command {
            0 => 0,
            n => self.ends.get(n - 1).map_or(self.bytes.len(), |&end| end as usize),
        }
    }

    /// Forgets everything but keeps the memory, for the next filling.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.entries.clear();
        self.parts.clear();
        self.trace = None;
    }

    /// Splits off what is unanswered: `answered(command)` tells for each command. Returns the rest as a batch of
    /// its own, `None` when there is none; what stays is settled. Only faults come here, so it copies freely.
    pub fn split_unanswered(&mut self, mut answered: impl FnMut(usize) -> bool) -> Option<Batch> {
        let mut done = Batch::default();
        let mut rest = Batch::default();
        let mut part_in_done: Vec<Option<u32>> = vec![None; self.parts.len()];
        let mut part_in_rest: Vec<Option<u32>> = vec![None; self.parts.len()];
        let mut command = 0;
        for entry in &self.entries {
            let mut open = 0u16;
            for channel in channels_of(entry.channels) {
                if !answered(command) {
                    open |= 1 << channel;
                    rest.copy_command(self, command);
                }
                command += 1;
            }
            let (target, map) = match open {
                0 => (&mut done, &mut part_in_done),
                _ => (&mut rest, &mut part_in_rest),
            };
            let part = self.parts[entry.part as usize];
            let index = *map[entry.part as usize]
                .get_or_insert_with(|| target.start_part(part.slot, part.generation, entry.offset));
            let channels = if open == 0 { entry.channels } else { open };
            target.add(index, channels, entry.offset, entry.timestamp_ms);
        }
        for (old, part) in self.parts.iter().enumerate() {
            if let (Some(d), Some(r)) = (part_in_done[old], part_in_rest[old]) {
                done.parts[d as usize].rest = rest.span_of(r);
            }
            if let Some(d) = part_in_done[old] {
                done.parts[d as usize].first = part.first;
            }
        }
        // The span ends with the last piece.
        let last = if rest.is_empty() { &mut done } else { &mut rest };
        last.trace = self.trace.take();
        *self = done;
        (!rest.is_empty()).then_some(rest)
    }

    /// The records of a part as a span.
    fn span_of(&self, part: u32) -> Option<Span> {
        let first = self.entries.iter().find(|entry| entry.part == part)?;
        Some(Span {
            first: first.offset,
            timestamp_ms: first.timestamp_ms,
            records: self.parts[part as usize].records,
        })
    }

    fn copy_command(&mut self, from: &Batch, command: usize) {
        self.bytes
            .extend_from_slice(&from.bytes[from.start_of(command)..from.start_of(command + 1)]);
        self.ends.push(index(self.bytes.len()));
    }
}

/// The channel indexes in a set of outstanding channels, lowest first.
pub fn channels_of(set: u16) -> impl Iterator<Item = u32> {
    (0..u16::BITS).filter(move |bit| set >> bit & 1 == 1)
}

/// Indexes of a batch fit 32 bits: its bytes are limited far below that.
fn index(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
