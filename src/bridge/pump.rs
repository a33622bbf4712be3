//! The polling thread: one turn after another until it is told to end.
//!
//! It owns everything that a record touches between Kafka and the writer, so nothing on the way needs a lock. A
//! turn takes what came back, handles one step of a rebalance, does what is due, and reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use tokio::sync::mpsc;

use super::denied::DeniedChannels;
use super::lane::Lane;
use super::rebalance::Rebalance;
use crate::config::{Config, Mode};
use crate::derive::{Deriver, Limits, Router};
use crate::dlq::producer::Producer;
use crate::exit::Exit;
use crate::observe::books::Ledger;
use crate::observe::health::{Health, Phase};
use crate::observe::metrics::{Metrics, now_ms};
use crate::observe::status::SharedStatus;
use crate::publish::batch::Batch;
use crate::publish::verdict::Returned;
use crate::publish::writer::WINDOW;
use crate::source::assignment::{Assignment, Partition, PauseReason};
use crate::source::client::Consumer;
use crate::source::context::Event;
use crate::source::offsets::TopicPartition;
use crate::source::records::{MAX_TAKEN, Records};
use crate::source::resolved::Resolved;
use crate::trace::spans::Spans;

/// How long a turn waits for records at most: everything that is due happens that late at worst.
const IDLE_WAIT: Duration = Duration::from_millis(50);
/// How often records are taken in one turn before anything else gets its chance, [`MAX_TAKEN`] at most each time.
const TAKES_PER_TURN: usize = 4;
/// How many events of librdkafka's are served in one turn at most: rebalances, answers to commits, errors, log lines.
const EVENTS_PER_TURN: usize = 64;
/// How often partitions are looked over for what is due.
const REVIEW_INTERVAL: Duration = Duration::from_millis(10);
/// How often the status is told.
const STATUS_INTERVAL: Duration = Duration::from_millis(500);

/// The way to the writer and back.
pub struct WriterHandle {
    /// Batches to send.
    pub batches: mpsc::Sender<Batch>,
    /// Batches that came back.
    pub returned: Receiver<Returned>,
}

/// The way to whoever finds out start positions, and back.
pub struct StartsHandle {
    /// Partitions that were assigned.
    pub requests: Sender<Vec<TopicPartition>>,
    /// Where they start.
    pub answers: Receiver<Vec<Resolved>>,
}

/// What a pump is made of.
pub struct Parts {
    pub config: Arc<Config>,
    pub router: Router,
    pub consumer: Arc<Consumer>,
    pub records: Records,
    pub events: Receiver<Event>,
    pub starts: StartsHandle,
    pub writer: WriterHandle,
    pub letters: Producer,
    pub ledger: Ledger,
    pub metrics: Metrics,
    pub health: Arc<Health>,
    pub status: SharedStatus,
    /// Where batches end as spans, if they are exported.
    pub spans: Option<Spans>,
    pub stop: Arc<AtomicBool>,
    /// No topic matches yet: librdkafka joins the group only when one does.
    pub nothing_to_join: bool,
}

/// The polling thread's state.
pub struct Pump {
    pub(super) config: Arc<Config>,
    pub(super) router: Router,
    pub(super) consumer: Arc<Consumer>,
    pub(super) records: Records,
    pub(super) events: Receiver<Event>,
    pub(super) starts: StartsHandle,
    pub(super) writer: WriterHandle,
    pub(super) letters: Producer,
    pub(super) ledger: Ledger,
    pub(super) metrics: Metrics,
    pub(super) health: Arc<Health>,
    pub(super) status: SharedStatus,
    pub(super) spans: Option<Spans>,
    stop: Arc<AtomicBool>,
    pub(super) deriver: Deriver,
    pub(super) assignment: Assignment<Lane>,
    pub(super) rebalance: Rebalance,
    /// The batch that is being filled, and its number.
    pub(super) open: Batch,
    pub(super) open_number: u64,
    /// Emptied batches, to be filled again.
    spare: Vec<Batch>,
    /// Some partition has records that were taken from librdkafka and wait here.
    pub(super) any_parked: bool,
    /// Some partition may have dead letters under way, or records that were refused.
    pub(super) any_waiting: bool,
    /// Batches handed over and not back.
    pub(super) outstanding: usize,
    /// Since when nothing could be read because Redis takes nothing.
    pub(super) stalled_since: Option<Instant>,
    pub(super) backpressure: bool,
    pub(super) denied: DeniedChannels,
    pub(super) last_published: Option<Instant>,
    pub(super) last_commit: Instant,
    /// When the commit that is on its way was sent.
    pub(super) commit_sent: Option<Instant>,
    /// After a failure: no commit before then.
    pub(super) commit_not_before: Option<Instant>,
    /// The last commit failed; told once.
    pub(super) commits_failing: bool,
    last_status: Instant,
    last_review: Instant,
    /// A failure that no waiting mends.
    pub(super) fatal: Option<Exit>,
}

impl Pump {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Self {
        if parts.nothing_to_join {
            tracing::info!("no topic matches kafka.topics yet: waiting for one to appear");
            parts.health.enter(Phase::Joined);
        }
        let limits = Limits {
            max_notification_bytes: parts.config.delivery.max_notification_bytes,
        };
        let pass_on = parts.config.trace.pass_on();
        let now = Instant::now();
        Self {
            config: parts.config,
            router: parts.router,
            consumer: parts.consumer,
            records: parts.records,
            events: parts.events,
            starts: parts.starts,
            writer: parts.writer,
            letters: parts.letters,
            ledger: parts.ledger,
            metrics: parts.metrics,
            health: parts.health,
            status: parts.status,
            spans: parts.spans,
            stop: parts.stop,
            deriver: Deriver::new(limits).passing_on(pass_on),
            assignment: Assignment::default(),
            rebalance: Rebalance::default(),
            open: Batch::default(),
            open_number: 0,
            spare: Vec::with_capacity(WINDOW + 1),
            any_parked: false,
            any_waiting: false,
            outstanding: 0,
            stalled_since: None,
            backpressure: false,
            denied: DeniedChannels::default(),
            last_published: None,
            last_commit: now,
            commit_sent: None,
            commit_not_before: None,
            commits_failing: false,
            last_review: now,
            last_status: now,
            fatal: None,
        }
    }

    /// Joins the group and works until told to end, then drains and leaves.
    pub fn run(mut self) -> Exit {
        let topics: Vec<&str> = self.config.kafka.topics.iter().map(String::as_str).collect();
        if let Err(error) = self.consumer.subscribe(&topics) {
            tracing::error!(%error, "kafka.topics: the subscription is refused");
            return Exit::Config;
        }
        while !self.stop.load(Ordering::Relaxed) && self.fatal.is_none() {
            self.turn();
        }
        self.finish()
    }

    /// One turn.
    pub(super) fn turn(&mut self) {
        self.chores();
        if self.has_room() {
            self.end_stall();
            self.read(IDLE_WAIT);
        } else {
            self.stall();
        }
    }

    /// Everything but reading.
    pub(super) fn chores(&mut self) {
        let now = Instant::now();
        self.health.turned();
        self.serve_waiting();
        self.metrics.last_poll.set(now_ms() as f64 / 1000.0);
        self.take_returned();
        self.take_receipts();
        self.take_events();
        self.step_rebalance();
        if now.duration_since(self.last_review) >= REVIEW_INTERVAL {
            self.last_review = now;
            self.review(now);
        }
        self.commit_if_due(now);
        self.publish_books();
        if now.duration_since(self.last_status) >= STATUS_INTERVAL {
            self.last_status = now;
            self.tell_status();
        }
    }

    /// Does what is due where something waits; mostly nothing does, and then partitions aren't looked at.
    fn review(&mut self, now: Instant) {
        self.denied.expire(now);
        if !self.any_waiting {
            return;
        }
        self.retry_letters(now);
        self.retry_refused(now);
        self.review_pauses(now);
        let waits = |(_, partition): (u32, &Partition<Lane>)| {
            partition.state.is_waiting() || partition.paused.contains(PauseReason::Dlq)
        };
        self.any_waiting = self.assignment.iter().any(waits);
    }

    /// Whether another record can enter the open batch.
    fn has_room(&self) -> bool {
        !self.is_full() || self.outstanding < WINDOW
    }

    fn is_full(&self) -> bool {
        self.open.records() >= self.config.batch.max_records
            || self.open.bytes().len() >= self.config.batch.max_bytes
    }

    /// Reads what is there. Waits for records only when nothing waits to be sent.
    fn read(&mut self, patience: Duration) {
        if !self.make_room() || !self.take_parked() {
            return;
        }
        for _ in 0..TAKES_PER_TURN {
            let wait = if self.open.is_empty() {
                patience
            } else {
                Duration::ZERO
            };
            let room = self.config.batch.max_records.saturating_sub(self.open.records());
            if !self.records.take(room.min(MAX_TAKEN), wait) {
                return self.send_or_wait();
            }
            while let Some(fetched) = self.records.pop() {
                self.receive(fetched);
                if !self.make_room() {
                    return self.park_rest();
                }
            }
        }
    }

    /// Sends the open batch when it is full. Returns whether another record can enter it.
    pub(super) fn make_room(&mut self) -> bool {
        !self.is_full() || (self.send() && !self.is_full())
    }

    /// Serves what waits on the consumer's own queue, a bounded number of events a turn; one call of rdkafka's serves one.
    fn serve_waiting(&mut self) {
        self.serve_events(Duration::ZERO);
        let waiting = self.records.events_waiting().min(EVENTS_PER_TURN);
        for _ in 0..waiting {
            self.serve_events(Duration::ZERO);
        }
    }

    /// Lets rdkafka serve what isn't records: rebalances, errors, answers to commits.
    pub(super) fn serve_events(&mut self, patience: Duration) {
        match Arc::clone(&self.consumer).poll(patience) {
            // Only a partition whose queue librdkafka didn't forward sends its records this way, and then all of them.
            Some(Ok(message)) => {
                if let Some(slot) = self.assignment.find(message.topic(), message.partition()) {
                    self.take(slot, (&message).into());
                }
            }
            Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                tracing::error!(%code, "Kafka refuses this member for good");
                self.fatal = Some(Exit::Software);
            }
            // Others are counted and logged by the context's error callback; librdkafka goes on by itself.
            Some(Err(_)) | None => {}
        }
    }

    /// Nothing more to read right now: what is there leaves at once, unless the writer has its hands full.
    fn send_or_wait(&mut self) {
        self.publish_books();
        if self.open.is_empty() || self.send() {
            return;
        }
        self.wait_for_return();
    }

    /// Hands the open batch over if the writer takes it.
    pub(super) fn send(&mut self) -> bool {
        if self.open.is_empty() || self.outstanding >= WINDOW {
            return false;
        }
        #[allow(clippy::cast_precision_loss, reason = "a batch is far below 2^52 records")]
        self.metrics.batch_size.observe(self.open.records() as f64);
        let next = self.spare.pop().unwrap_or_default();
        let batch = std::mem::replace(&mut self.open, next);
        self.open_number += 1;
        match self.writer.batches.try_send(batch) {
            Ok(()) => {
                self.outstanding += 1;
                true
            }
            Err(error) => {
                // The channel is as long as the window, so only a writer that has died takes nothing.
                tracing::error!("the Redis writer has ended");
                self.open = error.into_inner();
                self.fatal = Some(Exit::Software);
                false
            }
        }
    }

    /// Keeps an emptied batch for later.
    pub(super) fn recycle(&mut self, mut batch: Batch) {
        if self.spare.len() <= WINDOW {
            batch.clear();
            self.spare.push(batch);
        }
    }

    pub(super) fn is_at_least_once(&self) -> bool {
        self.config.delivery.mode == Mode::AtLeastOnce
    }

    /// This process is a member of the group.
    pub(super) fn joined(&self) {
        if self.health.phase() == Phase::Joining {
            self.health.enter(Phase::Joined);
        }
    }
}
