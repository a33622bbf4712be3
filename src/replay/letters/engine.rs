//! The replay itself: reads what is unresolved, keeps a bounded part of it under way, commits what has arrived.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::back::Back;
use super::group::{Member, Polled};
use super::intake::{Kept, Letters, receive, resolve};
use super::judge::Judge;
use super::lane::Lane;
use super::outgoing::{Outgoing, Place};
use super::tally::{Fate, Tally};
use super::{OnProgress, Plan, measure, reader};
use crate::config::Config;
use crate::derive::{Reason, Rejection};
use crate::dlq::depth::{PartitionDepth, replay_group};
use crate::dlq::letter::Letter;
use crate::dlq::topic::DlqTopic;
use crate::exit::Failure;
use crate::publish::link::Target;
use crate::replay::outlet::{Answer, Outlet};
use crate::replay::pace::Pace;

/// How often what is resolved is committed: so much is replayed once more after a hard kill.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);
/// A group that takes no commit for so long is taken to be gone.
const COMMIT_PATIENCE: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_millis(20);

/// A replay under way.
pub struct Replay<'a> {
    config: &'a Config,
    member: Member,
    judge: Judge,
    outlet: Outlet,
    back: Back,
    lanes: BTreeMap<i32, Lane>,
    kept: Kept,
    pace: Pace,
    stop: Arc<AtomicBool>,
    tally: Tally,
    tried_to_commit: Instant,
    committed_at: Instant,
}

impl<'a> Replay<'a> {
    /// Joins the group and finds out what there is to do.
    pub fn new(
        config: &'a Config,
        plan: Plan,
        target: Target,
        topic: DlqTopic,
        tell: impl Fn(&str),
    ) -> Result<Self, Failure> {
        let judge = Judge::new(config, plan.choice)?;
        let mut member = Member::join(config, topic.partitions, tell)?;
        let depths = measure(config, &reader(config)?, topic.partitions)?;
        let lane = |(number, depth): (i32, PartitionDepth)| {
            let log = depth.log();
            (
                number,
                Lane::new(depth.resolved().clone(), log.start.0, log.end.0),
            )
        };
        let lanes: BTreeMap<i32, Lane> = depths.into_iter().map(lane).collect();
        member.read_from(positions(&lanes))?;
        Ok(Self {
            config,
            member,
            judge,
            outlet: Outlet::new(config, target)?,
            back: Back::new(config, topic.max_bytes)?,
            lanes,
            kept: Kept::default(),
            pace: Pace::new(plan.rate),
            stop: plan.stop,
            tally: Tally::default(),
            tried_to_commit: Instant::now(),
            committed_at: Instant::now(),
        })
    }

    /// How many letters are unresolved.
    pub fn unresolved(&self) -> u64 {
        self.lanes.values().map(Lane::unresolved).sum()
    }

    /// Replays to the end, or until it is told to stop; the tally holds also when it fails.
    pub fn run(mut self, on_progress: OnProgress<'_>) -> (Tally, Result<(), Failure>) {
        let ran = self.read(on_progress).and_then(|()| self.drain(on_progress));
        // What arrived is committed also when something else has failed.
        let committed = self.commit_last();
        on_progress(&self.tally);
        (self.tally, ran.and(committed))
    }

    fn read(&mut self, on_progress: OnProgress<'_>) -> Result<(), Failure> {
        while !self.stop.load(Ordering::Relaxed) && !self.lanes.values().all(Lane::is_read) {
            self.chores(Duration::ZERO)?;
            on_progress(&self.tally);
            let pause = self.pause();
            if !pause.is_zero() {
                self.outlet.flush();
                self.member.was_busy();
                self.chores(pause)?;
                continue;
            }
            // What is there is taken without waiting; only when nothing is, the batch goes before it is full.
            let polled = match self.member.poll(Duration::ZERO)? {
                Polled::Nothing => {
                    self.outlet.flush();
                    self.member.poll(STEP)?
                }
                polled => polled,
            };
            match polled {
                Polled::Record(message) => {
                    Letters {
                        config: self.config,
                        judge: &mut self.judge,
                        outlet: &mut self.outlet,
                        back: &mut self.back,
                        lanes: &mut self.lanes,
                        kept: &mut self.kept,
                        pace: &mut self.pace,
                        tally: &mut self.tally,
                    }
                    .take(&message)?;
                }
                Polled::EndOf(partition) => {
                    if let Some(lane) = self.lanes.get_mut(&partition) {
                        lane.finish();
                    }
                }
                Polled::Nothing => {}
                Polled::Revoked => self.begin_again(on_progress)?,
            }
        }
        Ok(())
    }

    /// How long to wait before the next letter is taken.
    fn pause(&self) -> Duration {
        if !self.outlet.has_room() || !self.back.has_room() || !self.kept.has_room() {
            return STEP;
        }
        self.pace.wait(Instant::now()).unwrap_or(Duration::ZERO)
    }

    /// Takes answers, waiting at most so long for one, and commits when it is time.
    fn chores(&mut self, wait: Duration) -> Result<(), Failure> {
        let mut answers = Vec::new();
        // Whatever is under way, something of it is waited for; with nothing under way the wait is the pace's.
        match (self.outlet.is_idle(), self.back.is_idle()) {
            (true, true) => std::thread::sleep(wait),
            (true, false) => self.take_receipts(wait)?,
            (false, _) => self.outlet.take_answers(wait, |answer| answers.push(answer))?,
        }
        for answer in answers {
            self.settle(answer)?;
        }
        self.take_receipts(Duration::ZERO)?;
        if self.tried_to_commit.elapsed() >= COMMIT_INTERVAL {
            self.commit()?;
        }
        Ok(())
    }

    /// Waits until everything under way has arrived.
    fn drain(&mut self, on_progress: OnProgress<'_>) -> Result<(), Failure> {
        while !self.outlet.is_idle() || !self.back.is_idle() {
            self.outlet.flush();
            self.chores(STEP)?;
            on_progress(&self.tally);
        }
        Ok(())
    }

    /// Somebody else has joined: what is under way arrives and is committed, then the group decides anew.
    fn begin_again(&mut self, on_progress: OnProgress<'_>) -> Result<(), Failure> {
        self.drain(on_progress)?;
        self.commit()?;
        let partitions = self.lanes.keys().next_back().map_or(0, |last| last + 1);
        self.member.give_up(partitions)?;
        self.member.read_from(positions(&self.lanes))
    }

    /// Redis has answered for one letter.
    fn settle(&mut self, answer: Answer) -> Result<(), Failure> {
        let partition = i32::try_from(answer.slot).unwrap_or(i32::MAX);
        let place = Place {
            partition,
            offset: answer.offset,
        };
        let Some((letter, original_headers)) = self.kept.remove(place) else {
            return Ok(());
        };
        if answer.published {
            resolve(&mut self.lanes, &mut self.tally, place, Fate::Replayed);
            return Ok(());
        }
        let rejection = Rejection::new(
            Reason::ChannelDenied,
            "Redis refuses this user a channel of the record",
        );
        let group = &self.config.kafka.group_id;
        let letter = Letter::again(letter, original_headers, group, &rejection);
        let sent = self
            .back
            .send(Outgoing::again(place, &self.config.dlq.topic, letter))?;
        sent.into_iter()
            .for_each(|receipt| receive(&mut self.lanes, &mut self.tally, receipt));
        Ok(())
    }

    fn take_receipts(&mut self, wait: Duration) -> Result<(), Failure> {
        let Self {
            back, lanes, tally, ..
        } = self;
        back.take_receipts(wait, |receipt| receive(lanes, tally, receipt))
    }

    fn commit(&mut self) -> Result<(), Failure> {
        self.tried_to_commit = Instant::now();
        let changed: Vec<_> = self
            .lanes
            .iter()
            .filter_map(|(number, lane)| Some((*number, lane.uncommitted()?.clone())))
            .collect();
        let lanes = changed.iter().map(|(number, resolved)| (*number, resolved));
        if changed.is_empty() || self.member.commit(lanes)? {
            self.committed_at = Instant::now();
            for (number, resolved) in changed {
                if let Some(lane) = self.lanes.get_mut(&number) {
                    lane.committed(resolved);
                }
            }
        }
        match self.committed_at.elapsed() > COMMIT_PATIENCE {
            true => Err(Failure::unavailable(format!(
                "{} takes no commits",
                replay_group(&self.config.kafka.group_id)
            ))),
            false => Ok(()),
        }
    }

    fn commit_last(&mut self) -> Result<(), Failure> {
        loop {
            self.commit()?;
            if self.lanes.values().all(|lane| lane.uncommitted().is_none()) {
                return Ok(());
            }
            std::thread::sleep(STEP);
        }
    }
}

fn positions(lanes: &BTreeMap<i32, Lane>) -> impl Iterator<Item = (i32, i64)> {
    let open = lanes.iter().filter(|(_, lane)| !lane.is_read());
    open.map(|(number, lane)| (*number, lane.next()))
}
