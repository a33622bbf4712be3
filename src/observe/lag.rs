//! How far behind each partition of this process is, in records and in seconds.
//!
//! The polling thread knows where it stands, the brokers know where the logs end, and neither waits for the other:
//! the [`refresh`] thread leaves what it has found out with the [`Lag`]; the polling thread, when it comes by to tell
//! where it stands, takes it from there. So an end is never compared with a position that is older than it, and
//! what belongs to an assignment that is gone, by its generation, falls by the wayside.

pub mod refresh;
mod row;
mod series;

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::progress::Position;
use crate::source::extent::Extent;
use crate::source::offsets::TopicPartition;
use crate::source::peek::First;
use row::Row;
pub(super) use series::Series;

/// A partition that is read to its end is asked for once in so many rounds: what is new there reaches the polling thread
/// sooner than an answer would. librdkafka's work for a question grows with the square of the partitions in it.
const QUIET_ROUNDS: u32 = 5;

/// Where the polling thread stands in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Which.
    pub partition: TopicPartition,
    /// Its place in the assignment.
    pub slot: u32,
    /// Which assignment of it.
    pub generation: u32,
    /// What Kafka has acknowledged.
    pub committed: Position,
    /// The first unsettled record, or where reading goes on.
    pub settled: Position,
    /// The oldest unsettled record.
    pub oldest: Oldest,
    /// It is read, not paused.
    pub is_read: bool,
}

/// The oldest unsettled record of a partition, as far as the polling thread has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oldest {
    /// All that was read is settled.
    Nothing,
    /// It is in flight and has this timestamp, in milliseconds.
    At(i64),
    /// It is in flight and has no timestamp.
    Timeless,
}

/// What was found out about a partition, for the polling thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// Its place in the assignment.
    pub slot: u32,
    /// Which assignment of it: the finding is void in any other.
    pub generation: u32,
    /// What.
    pub news: News,
}

/// What it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// Where its log starts now.
    LogStart(Position),
    /// From the one position up to the other there is nothing that could be read.
    NothingUpTo {
        /// From here.
        from: Position,
        /// The end.
        end: Position,
    },
}

/// The lag of a partition at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Figures {
    /// The last stable offset.
    pub end: Option<i64>,
    /// In records.
    pub records: Option<u64>,
    /// In seconds.
    pub seconds: Option<f64>,
}

/// A partition that is behind with nothing in flight: only the log can tell how old its next record is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Lagging {
    generation: u32,
    partition: TopicPartition,
    position: Position,
}

/// Where the two threads meet, and what a scrape reads.
#[derive(Debug, Clone, Default)]
pub struct Lag(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    board: Mutex<Board>,
    /// The polling thread has come by.
    shared: Condvar,
}

#[derive(Debug, Default)]
struct Board {
    group: String,
    /// By generation, which no two assignments share.
    rows: HashMap<u32, Row>,
    /// What the refresher has left since the polling thread came by.
    extents: HashMap<u32, Extent>,
    firsts: HashMap<u32, (Position, First)>,
    /// How often the polling thread has come by.
    shares: u64,
    /// How often the brokers were asked.
    rounds: u32,
}

impl Lag {
    /// The polling thread tells where it stands in all partitions that it has, and takes what was found out. What
    /// it doesn't name isn't shown any more.
    pub fn share(&self, group: &str, standings: impl Iterator<Item = Standing>) -> Vec<Finding> {
        let mut board = self.board();
        let board = &mut *board;
        if board.group != group {
            group.clone_into(&mut board.group);
        }
        let mut before = std::mem::take(&mut board.rows);
        board.rows.reserve(before.len());
        let mut findings = Vec::new();
        for standing in standings {
            let (slot, generation) = (standing.slot, standing.generation);
            let mut row = before
                .remove(&generation)
                .unwrap_or_else(|| Row::new(standing.clone()));
            let extent = board.extents.remove(&generation);
            let first = board.firsts.remove(&generation);
            let news = row.update(standing, extent, first);
            findings.extend(news.into_iter().flatten().map(|news| Finding {
                slot,
                generation,
                news,
            }));
            board.rows.insert(generation, row);
        }
        board.extents.clear();
        board.firsts.clear();
        board.shares += 1;
        self.0.shared.notify_all();
        findings
    }

    /// The lag of every partition, by the generation of its assignment.
    pub fn figures(&self, now_ms: i64) -> HashMap<u32, Figures> {
        let board = self.board();
        let figures = |(generation, row): (&u32, &Row)| (*generation, row.figures(now_ms));
        board.rows.iter().map(figures).collect()
    }

    /// The same with the group and the names, for a scrape.
    fn shown(&self, now_ms: i64) -> (String, Vec<(TopicPartition, Figures)>) {
        let board = self.board();
        let rows = board.rows.values();
        let shown = rows.map(|row| (row.partition().clone(), row.figures(now_ms)));
        (board.group.clone(), shown.collect())
    }

    /// The partitions to ask the brokers about this time: of those that are read to their end a few, by turns.
    fn to_ask(&self) -> Vec<(u32, TopicPartition)> {
        let mut board = self.board();
        board.rounds = board.rounds.wrapping_add(1);
        let turn = board.rounds % QUIET_ROUNDS;
        let due = |(generation, row): &(&u32, &Row)| !row.is_quiet() || **generation % QUIET_ROUNDS == turn;
        let named = |(generation, row): (&u32, &Row)| (*generation, row.partition().clone());
        board.rows.iter().filter(due).map(named).collect()
    }

    /// Partitions that only the log can tell more about, so many at most, those first that were looked at longest ago.
    fn lagging(&self, at_most: usize) -> Vec<Lagging> {
        let mut board = self.board();
        let shares = board.shares;
        let mut rows: Vec<&mut Row> = board.rows.values_mut().filter(|row| row.is_lagging()).collect();
        rows.sort_unstable_by_key(|row| row.looked_at);
        rows.truncate(at_most);
        rows.into_iter().map(|row| row.look(shares)).collect()
    }

    /// What the brokers have answered; it is shown when the polling thread comes by.
    pub fn leave_extents(&self, extents: impl Iterator<Item = (u32, Extent)>) {
        self.board().extents.extend(extents);
    }

    /// What was found in the log at these positions.
    fn leave_firsts(&self, firsts: impl Iterator<Item = (u32, (Position, First))>) {
        self.board().firsts.extend(firsts);
    }

    /// Waits until the polling thread has come by, but not for long.
    fn wait_for_share(&self, patience: Duration) {
        let board = self.board();
        let before = board.shares;
        // Whether it has come by or not, there is something to go on with.
        drop(
            self.0
                .shared
                .wait_timeout_while(board, patience, |board| board.shares == before),
        );
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.0.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
