//! Is the process alive, and may it be counted on? What `/livez` and `/readyz` answer.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::publish::health::NodeHealth;

/// The poll loop counts as stuck when it has not turned for this long. It turns every 100 ms at least; a start or a
/// drain may keep it for a while.
pub const STUCK_AFTER: Duration = Duration::from_secs(60);

/// The poll loop hasn't begun: waiting for Kafka at the start has its own limit.
const NEVER: u64 = u64::MAX;

/// librdkafka repeats a refusal as long as it lasts; one that it hasn't repeated for so long is over.
const REFUSAL_LASTS: Duration = Duration::from_secs(60);

/// The phases of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Not yet a member of the group.
    Joining = 0,
    /// A member, with partitions or without.
    Joined = 1,
    /// Told to end.
    Draining = 2,
}

/// What the other threads leave here for the probes.
#[derive(Debug)]
pub struct Health {
    phase: AtomicU8,
    stopped: AtomicBool,
    started: Instant,
    last_turn_ms: AtomicU64,
    redis: Arc<NodeHealth>,
    /// Negative until librdkafka has told.
    brokers_up: AtomicI64,
    /// What Kafka refuses this user.
    kafka_refusal: Mutex<Option<(String, Instant)>>,
}

impl Health {
    /// A process that has just started.
    pub fn new(redis: Arc<NodeHealth>) -> Self {
        Self {
            phase: AtomicU8::new(Phase::Joining as u8),
            stopped: AtomicBool::new(false),
            started: Instant::now(),
            last_turn_ms: AtomicU64::new(NEVER),
            redis,
            brokers_up: AtomicI64::new(-1),
            kafka_refusal: Mutex::new(None),
        }
    }

    /// The consumer is connected to so many brokers.
    pub fn set_brokers_up(&self, brokers: i64) {
        self.brokers_up.store(brokers, Ordering::Relaxed);
    }

    /// How many brokers the consumer is connected to; unknown for the first seconds.
    pub fn brokers_up(&self) -> Option<i64> {
        Some(self.brokers_up.load(Ordering::Relaxed)).filter(|brokers| *brokers >= 0)
    }

    /// Kafka refuses this user something, or (`None`) doesn't any more.
    pub fn set_kafka_refusal(&self, refusal: Option<String>) {
        let refusal = refusal.map(|text| (text, Instant::now()));
        *self.kafka_refusal.lock().unwrap_or_else(PoisonError::into_inner) = refusal;
    }

    fn kafka_refusal(&self) -> Option<String> {
        let refusal = self.kafka_refusal.lock().unwrap_or_else(PoisonError::into_inner);
        refusal
            .as_ref()
            .filter(|(_, at)| at.elapsed() < REFUSAL_LASTS)
            .map(|(text, _)| text.clone())
    }

    /// Enters a phase.
    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// The present phase.
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Joining,
            1 => Phase::Joined,
            _ => Phase::Draining,
        }
    }

    /// The poll loop has turned.
    pub fn turned(&self) {
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_turn_ms.store(elapsed, Ordering::Relaxed);
    }

    /// The poll loop has ended for good.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// The Redis node.
    pub fn redis(&self) -> &NodeHealth {
        &self.redis
    }

    /// Why the process should be restarted, if it should. Outages of Kafka or Redis are no reason.
    pub fn not_alive(&self) -> Option<&'static str> {
        if self.stopped.load(Ordering::Relaxed) {
            return Some("the poll loop has ended");
        }
        let last = match self.last_turn_ms.load(Ordering::Relaxed) {
            NEVER => return None,
            milliseconds => Duration::from_millis(milliseconds),
        };
        let idle = self.started.elapsed().saturating_sub(last);
        (idle > STUCK_AFTER).then_some("the poll loop is stuck")
    }

    /// What Kafka or Redis refuses until somebody changes the configuration or grants a permission.
    pub fn refusal(&self) -> Option<String> {
        if let Some(refusal) = self.kafka_refusal() {
            return Some(format!("Kafka refuses the configuration: {refusal}"));
        }
        let refusal = self.redis.status().configuration_error?;
        Some(format!("Redis refuses the configuration: {refusal}"))
    }

    /// Why the process can't be counted on yet, or any more.
    pub fn not_ready(&self) -> Option<String> {
        match self.phase() {
            Phase::Draining => return Some("draining".to_owned()),
            Phase::Joining => return Some("not yet a member of the consumer group".to_owned()),
            Phase::Joined => {}
        }
        if let Some(refusal) = self.refusal() {
            return Some(refusal);
        }
        let redis = self.redis.status();
        (!redis.answered_once).then(|| match redis.fault {
            Some(fault) => format!("Redis has not answered yet: {fault}"),
            None => "Redis has not answered yet".to_owned(),
        })
    }
}
