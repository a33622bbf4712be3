//! The partitions assigned to this process, by slot.
//!
//! A slot is a small number that travels with every record instead of its topic and partition. Slots are used
//! again; the generation, which never is, tells an answer for an earlier assignment from one for this.

use std::collections::HashMap;
use std::sync::Arc;

use crate::derive::Route;
use crate::observe::books::TopicId;
use crate::progress::{Position, Progress};

/// Why a partition is paused. It is read only while there is no reason at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum PauseReason {
    /// Redis takes no more: everything waits.
    Backpressure = 1,
    /// Its dead letters can't be written.
    Dlq = 2,
    /// Too many dead letters: the guard admits only a few.
    Guard = 4,
    /// Redis refuses a channel of one of its records.
    ChannelDenied = 8,
    /// It is about to be given away.
    Revoking = 16,
    /// Its start could not be committed; another assignment follows.
    Fenced = 32,
}

impl PauseReason {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Backpressure,
        Self::Dlq,
        Self::Guard,
        Self::ChannelDenied,
        Self::Revoking,
        Self::Fenced,
    ];

    /// The value of the label `reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Backpressure => "backpressure",
            Self::Dlq => "dlq",
            Self::Guard => "guard",
            Self::ChannelDenied => "channel_denied",
            Self::Revoking => "revoking",
            Self::Fenced => "fenced",
        }
    }
}

/// A set of [`PauseReason`]s.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PauseReasons(u8);

impl PauseReasons {
    /// Whether there is no reason.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `reason` is one.
    pub fn contains(self, reason: PauseReason) -> bool {
        self.0 & reason as u8 != 0
    }

    /// With or without `reason`.
    pub fn with(self, reason: PauseReason, on: bool) -> Self {
        if on {
            Self(self.0 | reason as u8)
        } else {
            Self(self.0 & !(reason as u8))
        }
    }
}

/// A partition assigned to this process, with what the stage `S` behind keeps for it.
#[derive(Debug)]
pub struct Partition<S> {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its number.
    pub number: i32,
    /// Its topic in the books.
    pub topic_id: TopicId,
    /// Which assignment this is.
    pub generation: u32,
    /// How its records are derived; `None` when no route serves its topic.
    pub route: Option<Arc<Route>>,
    /// What is settled.
    pub progress: Progress,
    /// The last position that Kafka has acknowledged.
    pub committed: Position,
    /// The metadata of its commits.
    pub note: Arc<str>,
    /// Why it is paused.
    pub paused: PauseReasons,
    /// What the stages behind keep for it.
    pub state: S,
}

/// The table of slots.
#[derive(Debug)]
pub struct Assignment<S> {
    slots: Vec<Option<Partition<S>>>,
    by_name: HashMap<Arc<str>, HashMap<i32, u32>>,
    /// The partition of the last lookup: records come in runs.
    last: Option<(Arc<str>, i32, u32)>,
    next_generation: u32,
}

impl<S> Default for Assignment<S> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            by_name: HashMap::new(),
            last: None,
            next_generation: 1,
        }
    }
}

impl<S> Assignment<S> {
    /// A generation that was never used.
    pub fn next_generation(&mut self) -> u32 {
        self.next_generation += 1;
        self.next_generation
    }

    /// Enters a partition. One of the same name that is there still is replaced and returned.
    pub fn insert(&mut self, partition: Partition<S>) -> (u32, Option<Partition<S>>) {
        let earlier = self.remove(&partition.topic, partition.number);
        let free = self.slots.iter().position(Option::is_none);
        let index = free.unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        let slot = u32::try_from(index).unwrap_or(u32::MAX);
        self.by_name
            .entry(Arc::clone(&partition.topic))
            .or_default()
            .insert(partition.number, slot);
        self.slots[index] = Some(partition);
        (slot, earlier)
    }

    /// Takes a partition out.
    pub fn remove(&mut self, topic: &str, number: i32) -> Option<Partition<S>> {
        self.last = None;
        let partitions = self.by_name.get_mut(topic)?;
        let slot = partitions.remove(&number)?;
        if partitions.is_empty() {
            self.by_name.remove(topic);
        }
        self.slots[slot as usize].take()
    }

    /// The slot of a partition.
    pub fn find(&mut self, topic: &str, number: i32) -> Option<u32> {
        if let Some((last_topic, last_number, slot)) = &self.last
            && *last_number == number
            && **last_topic == *topic
        {
            return Some(*slot);
        }
        let (name, partitions) = self.by_name.get_key_value(topic)?;
        let slot = *partitions.get(&number)?;
        self.last = Some((Arc::clone(name), number, slot));
        Some(slot)
    }

    /// The partition in a slot.
    pub fn get(&self, slot: u32) -> Option<&Partition<S>> {
        self.slots.get(slot as usize)?.as_ref()
    }

    /// The partition in a slot.
    pub fn get_mut(&mut self, slot: u32) -> Option<&mut Partition<S>> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    /// The partition in a slot, if it is still this assignment of it.
    pub fn current(&mut self, slot: u32, generation: u32) -> Option<&mut Partition<S>> {
        self.get_mut(slot)
            .filter(|partition| partition.generation == generation)
    }

    /// All partitions with their slots.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Partition<S>)> {
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(slot, partition)| Some((u32::try_from(slot).ok()?, partition.as_ref()?)))
    }

    /// All partitions.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Partition<S>> {
        self.slots.iter_mut().flatten()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Records that are held: read and not settled.
    pub fn held(&self) -> u64 {
        self.iter().map(|(_, partition)| partition.progress.held()).sum()
    }
}
