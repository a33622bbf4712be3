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
use tokio::time::{Instant, sleep_until, timeout};

use super::batch::Batch;
use super::error::{ErrorClass, Fault};
use super::flight::Flight;
use super::gap::Gap;
use super::health::NodeHealth;
use super::link::{Link, Target, closed};
use super::resp;
use super::verdict::{Policy, Returned};
use crate::observe::metrics::PublishMetrics;

/// Batches under way at once: one is answered while the next is written.
pub const WINDOW: usize = 2;
/// Without any answer for this long the connection is given up.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How often an idle connection is asked for its role, and a busy one in `best_effort`.
pub(super) const ROLE_CHECK_INTERVAL: Duration = Duration::from_secs(1);
const MIN_BACKOFF: Duration = Duration::from_millis(50);
pub(super) const MAX_BACKOFF: Duration = Duration::from_secs(1);
/// In `best_effort` records wait so long for a Redis that is tried again; less than would stall reading.
const TRIAL_PATIENCE: Duration = Duration::from_millis(200);

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
    pub(super) target: Arc<Target>,
    pub(super) policy: Policy,
    pub(super) incoming: mpsc::Receiver<Batch>,
    pub(super) returned: crossbeam_channel::Sender<Returned>,
    pub(super) health: Arc<NodeHealth>,
    pub(super) metrics: PublishMetrics,
    pub(super) flights: VecDeque<Flight>,
    /// After a failure the first command goes alone.
    pub(super) probing: bool,
    pub(super) circuit_open: bool,
    /// In `best_effort` after an outage: the next failure opens the circuit again.
    pub(super) on_trial: bool,
    pub(super) gap: Gap,
    pub(super) backoff: Box<dyn Iterator<Item = Duration> + Send>,
    pub(super) last_answer: Instant,
    pub(super) role_checked: Instant,
    pub(super) role_check_due: bool,
    pub(super) tells_role: bool,
    pub(super) closed: bool,
}

enum Event {
    Read(usize),
    Wrote { flight: usize, bytes: usize },
    Batch(Option<Batch>),
    Silent,
    Expired,
    TrialDrags,
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
            tells_role: true,
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
                    self.connected(&link);
                    return Some(link);
                }
                Err(fault) => self.failed(&fault, 1),
            }
            self.pause().await;
        }
        None
    }

    fn connected(&mut self, link: &Link) {
        self.health.connected(&link.version);
        if self.tells_role && !link.tells_role {
            tracing::warn!("Redis doesn't know HELLO: whether it is a master can't be confirmed");
        }
        self.tells_role = link.tells_role;
        for flight in &mut self.flights {
            flight.confirm &= link.tells_role;
        }
        self.role_check_due = false;
        self.last_answer = Instant::now();
        self.role_checked = Instant::now();
        if self.circuit_open {
            self.begin_trial();
        }
        self.tell_gap();
    }

    /// Waits for `future` while batches are accepted, dropped or expire as the policy says.
    pub(super) async fn serve_while<F: Future>(&mut self, future: F) -> F::Output {
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
                Event::TrialDrags => self.end_patience(),
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
        let idle = self.flights.is_empty() && !self.role_check_due && self.tells_role;
        let room = self.flights.len() < WINDOW;
        let expiry = self.expiry();
        let on_trial = self.on_trial && self.is_awaiting();
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
            () = sleep_until(self.last_answer + TRIAL_PATIENCE), if on_trial => Ok(Event::TrialDrags),
            () = sleep_until(expiry.unwrap_or(self.last_answer)), if expiry.is_some() => Ok(Event::Expired),
            () = sleep_until(self.role_checked + ROLE_CHECK_INTERVAL), if idle => Ok(Event::CheckRole),
        }
    }

    pub(super) fn is_awaiting(&self) -> bool {
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

pub(super) fn backoff() -> Box<dyn Iterator<Item = Duration> + Send> {
    let builder = backon::ExponentialBuilder::default()
        .with_min_delay(MIN_BACKOFF)
        .with_max_delay(MAX_BACKOFF)
        .without_max_times()
        .with_jitter();
    Box::new(builder.build())
}
