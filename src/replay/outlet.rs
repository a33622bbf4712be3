//! The way to Redis of a command that publishes and ends: the service's writer, `at_least_once`, in batches.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use tokio::sync::mpsc;

use crate::config::{self, Config};
use crate::exit::Failure;
use crate::observe::metrics::Metrics;
use crate::progress::Offset;
use crate::publish::batch::{Batch, NO_TIMESTAMP};
use crate::publish::health::NodeHealth;
use crate::publish::link::Target;
use crate::publish::verdict::{Policy, Returned, Verdict};
use crate::publish::writer::{Settings, WINDOW, Writer};

/// A Redis that answers nothing for so long is taken to be gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// What became of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The partition, by the number that the caller gave it.
    pub slot: u32,
    /// The record.
    pub offset: i64,
    /// A master has answered all of its commands; otherwise it has refused a channel.
    pub published: bool,
}

/// Records go in, answers come out.
pub struct Outlet {
    batches: mpsc::Sender<Batch>,
    /// Until there is something to send.
    idle_writer: Option<Writer>,
    returned: Receiver<Returned>,
    health: Arc<NodeHealth>,
    limits: config::Batch,
    open: Batch,
    /// The slot of the last record in the open batch, and its part there.
    open_part: Option<(u32, u32)>,
    under_way: usize,
    spare: Vec<Batch>,
    last_answer: Instant,
    /// Something was published: channels that are refused from now on are those records' trouble.
    has_published: bool,
}

impl Outlet {
    /// Connects when there is something to send.
    pub fn new(config: &Config, target: Target) -> Result<Self, Failure> {
        let (metrics, _) = Metrics::new().map_err(|error| Failure::software(format!("metrics: {error}")))?;
        let node = target.node();
        let health = Arc::new(NodeHealth::new(&node, metrics.node(&node)));
        let settings = Settings {
            target,
            policy: Policy::AtLeastOnce {
                retry_for: config.delivery.retry_for,
            },
            gap_channel: None,
        };
        let (batches, incoming) = mpsc::channel(WINDOW);
        let (sender, returned) = crossbeam_channel::unbounded();
        let writer = Writer::new(settings, incoming, sender, Arc::clone(&health), metrics.publish());
        Ok(Self {
            batches,
            idle_writer: Some(writer),
            returned,
            health,
            limits: config.batch.clone(),
            open: Batch::default(),
            open_part: None,
            under_way: 0,
            spare: Vec::new(),
            last_answer: Instant::now(),
            has_published: false,
        })
    }

    /// Where the commands of a record go, before it is [`Outlet::enter`]ed.
    pub fn sink(&mut self) -> &mut Batch {
        &mut self.open
    }

    /// The record whose commands have just gone to the sink.
    pub fn enter(&mut self, slot: u32, offset: i64, commands: u16) {
        let part = match self.open_part {
            Some((open, part)) if open == slot => part,
            _ => self.open.start_part(slot, 0, Offset(offset)),
        };
        self.open_part = Some((slot, part));
        // Sixteen channels at most, so the shift doesn't overflow thirty-two bits.
        let channels = u16::try_from((1u32 << commands) - 1).unwrap_or(u16::MAX);
        self.open.add(part, channels, Offset(offset), NO_TIMESTAMP);
        if self.open.records() >= self.limits.max_records || self.open.bytes().len() >= self.limits.max_bytes
        {
            self.flush();
        }
    }

    fn start(writer: Writer) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::software(format!("no runtime for redis: {error}")))?;
        std::thread::Builder::new()
            .name("redis".to_owned())
            .spawn(move || runtime.block_on(writer.run()))
            .map(drop)
            .map_err(|error| Failure::software(format!("no thread for redis: {error}")))
    }

    /// Whether another record can be taken.
    pub fn has_room(&self) -> bool {
        self.under_way <= WINDOW
    }

    /// Sends what there is.
    pub fn flush(&mut self) {
        if self.open.is_empty() || !self.has_room() {
            return;
        }
        let batch = std::mem::replace(&mut self.open, self.spare.pop().unwrap_or_default());
        self.open_part = None;
        if self.under_way == 0 {
            self.last_answer = Instant::now();
        }
        match self.batches.try_send(batch) {
            Ok(()) => self.under_way += 1,
            // The writer has ended, or its channel is full, which `has_room` rules out: kept for another try.
            Err(mpsc::error::TrySendError::Full(batch) | mpsc::error::TrySendError::Closed(batch)) => {
                self.open = batch;
            }
        }
    }

    /// Whether nothing is open or under way.
    pub fn is_idle(&self) -> bool {
        self.open.is_empty() && self.under_way == 0
    }

    /// Waits for answers, at most so long, and hands each to `take`. Fails when Redis has been silent for too long,
    /// or refuses everything.
    pub fn take_answers(&mut self, wait: Duration, mut take: impl FnMut(Answer)) -> Result<(), Failure> {
        if self.under_way > 0
            && let Some(writer) = self.idle_writer.take()
        {
            Self::start(writer)?;
        }
        let mut next = match wait.is_zero() || self.under_way == 0 {
            true => self.returned.try_recv().ok(),
            false => self.returned.recv_timeout(wait).ok(),
        };
        while let Some(returned) = next {
            self.last_answer = Instant::now();
            self.settle(returned, &mut take)?;
            next = self.returned.try_recv().ok();
        }
        match self.under_way > 0 && self.last_answer.elapsed() > PATIENCE {
            true => Err(self.silence()),
            false => Ok(()),
        }
    }

    fn settle(&mut self, returned: Returned, take: &mut impl FnMut(Answer)) -> Result<(), Failure> {
        let Returned {
            mut batch,
            verdict,
            last,
        } = returned;
        let refused = match verdict {
            Verdict::Published { refused } => refused,
            // Nothing is ever dropped in `at_least_once`.
            Verdict::Dropped(_) => Vec::new(),
        };
        self.has_published |= refused.len() < batch.records();
        if !self.has_published {
            return Err(Failure::config(format!(
                "redis.url: {} refuses every channel that was tried; grant the Redis user the channels: ACL SETUSER \
                 <user> &events:*",
                self.health.status().node
            )));
        }
        let mut refused = refused.iter().peekable();
        for entry in batch.entries() {
            let is_refused = refused
                .next_if(|r| r.part == entry.part && r.offset == entry.offset)
                .is_some();
            take(Answer {
                slot: batch.parts()[entry.part as usize].slot,
                offset: entry.offset.0,
                published: !is_refused,
            });
        }
        if last {
            self.under_way = self.under_way.saturating_sub(1);
        }
        batch.clear();
        self.spare.push(batch);
        Ok(())
    }

    fn silence(&self) -> Failure {
        let status = self.health.status();
        let reason = status.fault.unwrap_or_else(|| "no answer".to_owned());
        Failure::unavailable(format!(
            "redis.url: {}: nothing could be published for {} s: {reason}",
            status.node,
            PATIENCE.as_secs()
        ))
    }
}
