//! Sends batches to one Redis node, in order, a few at a time, and decides what a failure does to them.
//!
//! A connection is used by [`Writer::pump`] until a [`Fault`] ends it. What was answered is settled, what was not
//! is sent again over the next connection, in the same order. After any failure the first outstanding command
//! goes alone: only when it succeeds does the rest follow, so that nothing overtakes a command that failed.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use backon::BackoffBuilder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::batch::Batch;
use super::error::{ErrorClass, Fault};
use super::flight::{Answered, Flight, confirm_master};
use super::gap::Gap;
use super::health::NodeHealth;
use super::link::{Link, Target, closed};
use super::resp;
use crate::observe::metrics::PublishMetrics;
use crate::progress::Offset;

/// Batches under way at once: one is answered while the next is written.
pub const WINDOW: usize = 2;
/// Without any answer for this long the connection is given up.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How often an idle connection is asked for its role, and a busy one in `best_effort`.
const ROLE_CHECK_INTERVAL: Duration = Duration::from_secs(1);
const MIN_BACKOFF: Duration = Duration::from_millis(50);
const MAX_BACKOFF: Duration = Duration::from_secs(1);

/// What becomes of records while Redis fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// They are tried for `retry_for` and then dropped; while Redis is known to be down they drop at once.
    BestEffort {
        /// `delivery.retry_for`.
        retry_for: Duration,
    },
    /// They wait.
    AtLeastOnce {
        /// `delivery.retry_for`: when Redis counts as known to be down.
        retry_for: Duration,
    },
}

impl Policy {
    /// Whether records are ever given up.
    fn drops(self) -> bool {
        matches!(self, Self::BestEffort { .. })
    }
}

/// Why records were dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// Redis was known to be down.
    RedisDown,
    /// They were tried for `retry_for`.
    RetryExhausted,
}

/// A record of which some channels were refused while others succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// Index into the parts of the batch.
    pub part: u32,
    /// The record.
    pub offset: Offset,
    /// Which of its route's channels were refused, by index.
    pub channels: u16,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Every record is published, but for those with a refused channel.
    Published {
        /// In the order of the batch.
        refused: Vec<Refused>,
    },
    /// Every record is given up.
    Dropped(Dropped),
}

/// A batch comes back.
#[derive(Debug)]
pub struct Returned {
    /// The batch; its buffers can be filled again.
    pub batch: Batch,
    /// What became of its records.
    pub verdict: Verdict,
    /// Whether it is a whole batch as it was handed over, or the last piece of one.
    pub last: bool,
}

/// What a writer needs to know.
pub struct Settings {
    /// Where Redis is.
    pub target: Target,
    /// What becomes of records while it fails.
    pub policy: Policy,
    /// Where subscribers are told that notifications were dropped.
    pub gap_channel: Option<String>,
}

/// The sender of batches to one node.
pub struct Writer {
    target: Arc<Target>,
    policy: Policy,
    incoming: mpsc::Receiver<Batch>,
    returned: crossbeam_channel::Sender<Returned>,
    health: Arc<NodeHealth>,
    metrics: PublishMetrics,
    flights: VecDeque<Flight>,
    /// After a failure the first command goes alone.
    probing: bool,
    circuit_open: bool,
    /// In `best_effort` after an outage: the next failure opens the circuit again.
    on_trial: bool,
    gap: Gap,
    backoff: Box<dyn Iterator<Item = Duration> + Send>,
    last_answer: Instant,
    role_checked: Instant,
    role_check_due: bool,
    closed: bool,
}

enum Event {
    Read(usize),
    Wrote { flight: usize, bytes: usize },
    Batch(Option<Batch>),
    Silent,
    Expired,
    CheckRole,
}

impl Writer {
    /// Takes batches from `incoming` until its sender is gone and gives each back through `returned`.
    pub fn new(
        settings: Settings,
        incoming: mpsc::Receiver<Batch>,
        returned: crossbeam_channel::Sender<Returned>,
        health: Arc<NodeHealth>,
        metrics: PublishMetrics,
    ) -> Self {
        let now = Instant::now();
        Self {
            target: Arc::new(settings.target),
            policy: settings.policy,
            incoming,
            returned,
            health,
            metrics,
            flights: VecDeque::with_capacity(WINDOW + 1),
            probing: false,
            circuit_open: false,
            on_trial: false,
            gap: Gap::new(settings.gap_channel),
            backoff: backoff(),
            last_answer: now,
            role_checked: now,
            role_check_due: false,
            closed: false,
        }
    }

    /// Works until the sender of batches is gone.
    pub async fn run(mut self) {
        while !self.closed {
            let Some(mut link) = self.connect().await else {
                return;
            };
            if let Err(fault) = self.pump(&mut link).await {
                self.lost(&fault);
            }
        }
    }

    async fn connect(&mut self) -> Option<Link> {
        while !self.closed {
            let target = Arc::clone(&self.target);
            match self
                .serve_while(async move { Link::connect(&target).await })
                .await
            {
                Ok(link) => {
                    self.connected(&link.version);
                    return Some(link);
                }
                Err(fault) => self.failed(&fault, 1),
            }
            self.pause().await;
        }
        None
    }

    fn connected(&mut self, version: &str) {
        self.health.connected(version);
        self.role_check_due = false;
        self.last_answer = Instant::now();
        self.role_checked = Instant::now();
        if self.circuit_open {
            self.begin_trial();
        }
        if let Some(batch) = self.gap.take_message() {
            self.flights.push_front(Flight::control(batch, self.deadline()));
        }
    }

    /// Redis gets another chance. In `best_effort` the next failure opens the circuit again at once.
    fn begin_trial(&mut self) {
        self.set_circuit(false);
        self.on_trial = self.policy.drops();
    }

    /// The connection stands but publishes fail: drops what comes, and after a while gives Redis another chance.
    async fn wait_for_trial(&mut self) {
        self.drop_all(Dropped::RedisDown);
        self.pause().await;
        self.begin_trial();
        if let Some(batch) = self.gap.take_message() {
            self.flights.push_front(Flight::control(batch, self.deadline()));
        }
    }

    /// Waits before the next attempt.
    async fn pause(&mut self) {
        let delay = self.backoff.next().unwrap_or(MAX_BACKOFF);
        self.serve_while(sleep(delay)).await;
    }

    /// Waits for `future` while batches are accepted, dropped or expire as the policy says.
    async fn serve_while<F: Future>(&mut self, future: F) -> F::Output {
        tokio::pin!(future);
        loop {
            let expiry = self.expiry();
            tokio::select! {
                biased;
                output = &mut future => return output,
                batch = self.incoming.recv(), if !self.closed => self.accept(batch),
                () = sleep_until(expiry.unwrap_or_else(Instant::now)), if expiry.is_some() => self.expire(),
            }
        }
    }

    /// Uses the connection until it fails or nobody sends batches any more.
    async fn pump(&mut self, link: &mut Link) -> Result<(), Fault> {
        while !self.closed {
            if !self.is_awaiting() && self.circuit_open && self.policy.drops() {
                self.wait_for_trial().await;
                continue;
            }
            if !self.is_awaiting() && self.flights.iter().any(Flight::has_failed) {
                self.retry().await;
                continue;
            }
            match self.next_event(link).await? {
                Event::Read(0) => return Err(closed()),
                Event::Read(_) => self.take_answers(link)?,
                Event::Wrote { bytes: 0, .. } => return Err(closed()),
                Event::Wrote { flight, bytes } => self.wrote(link, flight, bytes).await?,
                Event::Batch(batch) => self.accept(batch),
                Event::Silent => return Err(silence()),
                Event::Expired if self.is_awaiting() => {
                    return Err(Fault::new(
                        ErrorClass::Timeout,
                        "no answer within delivery.retry_for",
                    ));
                }
                Event::Expired => self.expire(),
                Event::CheckRole => {
                    link.writer.write_all(resp::HELLO).await?;
                    link.writer.flush().await?;
                    self.role_check_due = true;
                    self.last_answer = Instant::now();
                }
            }
        }
        Ok(())
    }

    async fn next_event(&mut self, link: &mut Link) -> Result<Event, Fault> {
        let awaiting = self.is_awaiting() || self.role_check_due;
        let idle = self.flights.is_empty() && !self.role_check_due;
        let room = self.flights.len() < WINDOW;
        let expiry = self.expiry();
        let (flight, unsent) = unsent(&self.flights, self.probing, self.role_check_due);
        let sending = !unsent.is_empty();
        tokio::select! {
            biased;
            read = link.reader.read_buf(&mut link.buffer) => Ok(Event::Read(read?)),
            wrote = link.writer.write(unsent), if sending => {
                Ok(Event::Wrote { flight, bytes: wrote? })
            }
            batch = self.incoming.recv(), if room => Ok(Event::Batch(batch)),
            () = sleep_until(self.last_answer + RESPONSE_TIMEOUT), if awaiting => Ok(Event::Silent),
            () = sleep_until(expiry.unwrap_or(self.last_answer)), if expiry.is_some() => Ok(Event::Expired),
            () = sleep_until(self.role_checked + ROLE_CHECK_INTERVAL), if idle => Ok(Event::CheckRole),
        }
    }

    fn is_awaiting(&self) -> bool {
        self.flights.iter().any(Flight::is_started)
    }

    async fn wrote(&mut self, link: &mut Link, flight: usize, bytes: usize) -> Result<(), Fault> {
        if !self.is_awaiting() {
            self.last_answer = Instant::now();
        }
        self.flights[flight].wrote(bytes, self.probing);
        if !unsent(&self.flights, self.probing, self.role_check_due)
            .1
            .is_empty()
        {
            return Ok(());
        }
        // Only TLS has anything to flush.
        match timeout(RESPONSE_TIMEOUT, link.writer.flush()).await {
            Ok(flushed) => Ok(flushed?),
            Err(_) => Err(silence()),
        }
    }

    fn take_answers(&mut self, link: &mut Link) -> Result<(), Fault> {
        self.last_answer = Instant::now();
        let mut at = 0;
        if self.role_check_due {
            let parsed = resp::parse(&link.buffer)
                .map_err(|error| Fault::new(ErrorClass::Protocol, error.to_string()))?;
            let Some((reply, length)) = parsed else {
                return Ok(());
            };
            confirm_master(&reply)?;
            at = length;
            self.role_check_due = false;
            self.role_checked = Instant::now();
        }
        while at < link.buffer.len() {
            let Some(index) = self.flights.iter().position(Flight::is_started) else {
                return Err(Fault::new(
                    ErrorClass::Protocol,
                    "an answer that nobody waits for",
                ));
            };
            let before = self.flights[index].succeeded();
            let taken = self.flights[index].take_answers(&link.buffer[at..])?;
            if self.flights[index].succeeded() > before {
                self.succeeded();
            }
            let flight = &self.flights[index];
            if flight.is_answered() || (self.probing && flight.probe_failed()) {
                self.answered(index);
            } else if taken == 0 {
                break;
            }
            at += taken;
        }
        link.buffer.drain(..at);
        Ok(())
    }

    /// A publish was answered well: whatever was wrong is over.
    fn succeeded(&mut self) {
        if self.probing || self.on_trial || self.circuit_open {
            self.probing = false;
            self.on_trial = false;
            self.set_circuit(false);
            self.backoff = backoff();
        }
        self.health.published();
    }

    /// All commands of a flight are answered.
    fn answered(&mut self, index: usize) {
        self.count_failures(index);
        let flight = &mut self.flights[index];
        self.metrics
            .count_answers(flight.succeeded(), flight.receivers, flight.without_receivers);
        if let Some(started) = flight.started_at {
            self.health
                .metrics()
                .publish_duration
                .observe(started.elapsed().as_secs_f64());
        }
        if flight.control {
            self.finish_control(index);
            return;
        }
        match flight.conclude() {
            Answered::Whole => self.give_back_whole(index, Vec::new()),
            Answered::Refused(refused) => self.give_back_whole(index, refused),
            Answered::Again { settled } => {
                self.probing = true;
                if !settled.is_empty() {
                    self.give_back_published(settled, Vec::new(), false);
                }
            }
        }
    }

    fn finish_control(&mut self, index: usize) {
        if self
            .flights
            .remove(index)
            .is_some_and(|flight| flight.failures().next().is_some())
        {
            self.gap.not_sent();
        }
    }

    fn give_back_whole(&mut self, index: usize, refused: Vec<Refused>) {
        if let Some(flight) = self.flights.remove(index) {
            self.give_back_published(flight.batch, refused, true);
        }
    }

    fn give_back_published(&self, batch: Batch, refused: Vec<Refused>, last: bool) {
        self.metrics.observe_latency(batch.entries());
        self.give_back(batch, Verdict::Published { refused }, last);
    }

    fn give_back(&self, batch: Batch, verdict: Verdict, last: bool) {
        // Nobody listens any more only when the service has given up waiting; then there is nobody to tell.
        let _ = self.returned.send(Returned { batch, verdict, last });
    }

    fn count_failures(&self, index: usize) {
        let mut classes: Vec<(&Fault, u64)> = Vec::new();
        for fault in self.flights[index].failures() {
            match classes.iter_mut().find(|(known, _)| known.class == fault.class) {
                Some((_, count)) => *count += 1,
                None => classes.push((fault, 1)),
            }
        }
        for (fault, count) in classes {
            self.health.failed(fault, count);
        }
    }

    /// Some commands failed though the connection stands: wait, then try them again.
    async fn retry(&mut self) {
        self.note_outage();
        if self.on_trial {
            self.set_circuit(true);
            return;
        }
        self.pause().await;
        for flight in &mut self.flights {
            flight.rewind();
        }
    }

    /// The connection is gone: what was answered is settled, the rest starts over. Answers of a server that is no
    /// master don't count.
    fn lost(&mut self, fault: &Fault) {
        let counts = fault.class != ErrorClass::NotMaster;
        for mut flight in std::mem::take(&mut self.flights) {
            if counts && flight.is_started() {
                self.metrics
                    .count_answers(flight.succeeded(), flight.receivers, flight.without_receivers);
                if flight.succeeded() > 0 && !self.keep_answers(&mut flight) {
                    continue;
                }
            }
            flight.rewind();
            self.flights.push_back(flight);
        }
        self.failed(fault, 1);
    }

    /// Gives back what was answered before the connection went. Returns whether something is left to send.
    fn keep_answers(&self, flight: &mut Flight) -> bool {
        if flight.control {
            return false;
        }
        let settled = flight.split_settled();
        let left = !flight.batch.is_empty();
        if !settled.is_empty() {
            self.give_back_published(settled, Vec::new(), !left);
        }
        left
    }

    fn failed(&mut self, fault: &Fault, count: u64) {
        self.health.failed(fault, count);
        self.probing = true;
        self.note_outage();
        if self.on_trial {
            self.set_circuit(true);
            self.drop_all(Dropped::RedisDown);
        }
        self.expire();
    }

    /// In `at_least_once` the circuit only tells that Redis is known to be down.
    fn note_outage(&mut self) {
        if let Policy::AtLeastOnce { retry_for } = self.policy
            && self.health.down_for().is_some_and(|down| down >= retry_for)
        {
            self.set_circuit(true);
        }
    }

    fn set_circuit(&mut self, open: bool) {
        self.circuit_open = open;
        if open {
            self.on_trial = false;
        }
        self.health.set_circuit(open);
    }

    fn accept(&mut self, batch: Option<Batch>) {
        let Some(batch) = batch else {
            self.closed = true;
            return;
        };
        if self.circuit_open && self.policy.drops() {
            self.give_up(batch, Dropped::RedisDown);
            return;
        }
        let confirm = match self.policy {
            Policy::AtLeastOnce { .. } => true,
            Policy::BestEffort { .. } => self.role_checked.elapsed() >= ROLE_CHECK_INTERVAL,
        };
        if confirm {
            self.role_checked = Instant::now();
        }
        self.flights
            .push_back(Flight::new(batch, confirm, self.deadline()));
    }

    fn deadline(&self) -> Option<Instant> {
        match self.policy {
            Policy::BestEffort { retry_for } => Some(Instant::now() + retry_for),
            Policy::AtLeastOnce { .. } => None,
        }
    }

    fn expiry(&self) -> Option<Instant> {
        self.flights.iter().filter_map(|flight| flight.deadline).min()
    }

    /// Gives up what was tried for long enough; from then on Redis is known to be down.
    fn expire(&mut self) {
        let now = Instant::now();
        let due = |flight: &Flight| flight.deadline.is_some_and(|at| at <= now) && !flight.is_started();
        let mut exhausted = false;
        while let Some(index) = self.flights.iter().position(due) {
            let Some(flight) = self.flights.remove(index) else {
                break;
            };
            exhausted = true;
            self.abandon(flight, Dropped::RetryExhausted);
        }
        if exhausted {
            self.set_circuit(true);
            self.drop_all(Dropped::RedisDown);
        }
    }

    fn drop_all(&mut self, why: Dropped) {
        let (under_way, rest): (VecDeque<_>, VecDeque<_>) =
            self.flights.drain(..).partition(Flight::is_started);
        self.flights = under_way;
        for flight in rest {
            self.abandon(flight, why);
        }
    }

    fn abandon(&mut self, flight: Flight, why: Dropped) {
        if flight.control {
            self.gap.not_sent();
        } else {
            self.give_up(flight.batch, why);
        }
    }

    fn give_up(&mut self, batch: Batch, why: Dropped) {
        self.gap.note_drop(batch.entries());
        self.give_back(batch, Verdict::Dropped(why), true);
    }
}

/// What to write next, and to which flight it belongs.
fn unsent(flights: &VecDeque<Flight>, probing: bool, role_check_due: bool) -> (usize, &[u8]) {
    if role_check_due {
        return (0, &[]);
    }
    let retrying = flights.iter().any(Flight::has_failed);
    for (index, flight) in flights.iter().enumerate() {
        // What was begun has to be finished. Nothing new begins behind a failure, and only the first to probe.
        let may_begin = !retrying && (!probing || index == 0);
        if flight.is_started() || may_begin {
            let unsent = flight.unsent(probing);
            if !unsent.is_empty() {
                return (index, unsent);
            }
        }
    }
    (0, &[])
}

fn silence() -> Fault {
    Fault::new(ErrorClass::Timeout, format!("no answer for {RESPONSE_TIMEOUT:?}"))
}

fn backoff() -> Box<dyn Iterator<Item = Duration> + Send> {
    let builder = backon::ExponentialBuilder::default()
        .with_min_delay(MIN_BACKOFF)
        .with_max_delay(MAX_BACKOFF)
        .without_max_times()
        .with_jitter();
    Box::new(builder.build())
}
