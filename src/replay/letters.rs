//! Replays dead letters: each unresolved one that was there at the start is derived with the present configuration
//! and published, and is resolved once a master has answered.
//!
//! [`group`] makes sure that nobody else does the same, [`engine`] reads and commits, [`intake`] takes one letter as
//! [`judge`] says, [`back`] writes what returns to Kafka, [`lane`] keeps what of a partition is resolved, [`tally`]
//! counts.

mod back;
mod decisions;
mod engine;
mod group;
mod intake;
pub mod judge;
mod lane;
mod outgoing;
pub mod tally;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::config::Config;
use crate::dlq::depth::{PartitionDepth, replay_group};
use crate::exit::Failure;
use crate::progress::Position;
use crate::source::range::Reader;
use judge::Choice;
use tally::Tally;

pub use engine::Replay;

/// What a replay is given.
pub struct Plan {
    /// Which letters, and where to.
    pub choice: Choice,
    /// How many a second.
    pub rate: Option<NonZeroU32>,
    /// Ends it early: what is under way arrives, and is committed.
    pub stop: Arc<AtomicBool>,
}

/// Told what has been done so far.
pub type OnProgress<'a> = &'a mut dyn FnMut(&Tally);

/// What is unresolved in each partition, by the topic and the group as they are now.
pub fn measure(
    config: &Config,
    reader: &Reader,
    count: i32,
) -> Result<BTreeMap<i32, PartitionDepth>, Failure> {
    let partitions: Vec<i32> = (0..count).collect();
    let commits = reader.committed(&partitions)?;
    let logs = reader.bounds(&partitions)?;
    if logs.len() < partitions.len() {
        return Err(Failure::unavailable(format!(
            "dlq.topic: {}: not all of its partitions answer",
            config.dlq.topic
        )));
    }
    let depth = |(number, log)| {
        let commit = commits
            .get(&number)
            .map(|(at, note): &(Position, String)| (*at, note.as_str()));
        (number, PartitionDepth::new(log, commit))
    };
    Ok(logs.into_iter().map(depth).collect())
}

/// A reader of the dead-letter topic that knows what the group of replays has committed.
pub fn reader(config: &Config) -> Result<Reader, Failure> {
    Reader::with_commits_of(
        &replay_group(&config.kafka.group_id),
        &config.kafka,
        &config.dlq.topic,
    )
}
