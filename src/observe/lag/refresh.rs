//! Asks the brokers, on a thread of its own: where the logs start and end, and how old the next record is where
//! nothing is in flight.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaResult;

use super::{Lag, Lagging};
use crate::config::Kafka;
use crate::source::client::groupless;
use crate::source::context::Quiet;
use crate::source::extent::{Extent, extents};
use crate::source::offsets::TopicPartition;
use crate::source::peek::Peeker;

/// How often the brokers are asked.
pub const REFRESH_INTERVAL: Duration = Duration::from_secs(2);
/// Partitions that are looked at in the log after one refresh, at most.
const MAX_LOOKS: usize = 128;
/// One question to the brokers may take this long.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(5);
/// Looking at all of them may take this long.
const LOOK_TIMEOUT: Duration = Duration::from_secs(1);
/// The polling thread comes by more often than this.
const SHARE_PATIENCE: Duration = Duration::from_secs(1);
/// How soon the end is noticed.
const STEP: Duration = Duration::from_millis(100);
/// How many events of librdkafka's are served after a question.
const EVENTS: usize = 32;
/// After so many failures in a row a new client asks: librdkafka may know no broker any more.
const MAX_FAILURES: u32 = 3;

fn asker(kafka: &Kafka) -> KafkaResult<BaseConsumer<Quiet>> {
    groupless(kafka).create_with_context(Quiet::default())
}

/// Finds out what [`Lag`] can't know by itself.
pub struct Refresher {
    lag: Lag,
    kafka: Kafka,
    stop: Arc<AtomicBool>,
    asker: BaseConsumer<Quiet>,
    /// Questions in a row without an answer.
    failures: u32,
    /// Most partitions are never looked at: it connects when the first one is.
    peeker: Option<Peeker>,
    is_failing: bool,
}

impl Refresher {
    /// Works until `stop` is set.
    pub fn new(lag: Lag, kafka: &Kafka, stop: Arc<AtomicBool>) -> KafkaResult<Self> {
        Ok(Self {
            lag,
            kafka: kafka.clone(),
            stop,
            asker: asker(kafka)?,
            failures: 0,
            peeker: None,
            is_failing: false,
        })
    }

    /// Tells when it begins to fail, and when that ends.
    fn tell(&mut self, refreshed: KafkaResult<()>) {
        let was_failing = std::mem::replace(&mut self.is_failing, refreshed.is_err());
        match refreshed {
            Err(error) if !was_failing => {
                let reason = self.asker.context().last_error();
                let reason = reason.unwrap_or_else(|| error.to_string());
                tracing::warn!("lag can't be determined at the moment: {reason}");
            }
            Ok(()) if was_failing => tracing::info!("lag can be determined again"),
            _ => {}
        }
    }

    /// Refreshes again and again.
    pub fn run(mut self) {
        while !self.is_stopped() {
            let begun = Instant::now();
            let refreshed = self.refresh();
            self.tell(refreshed);
            while begun.elapsed() < REFRESH_INTERVAL && !self.is_stopped() {
                std::thread::sleep(STEP);
            }
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn refresh(&mut self) -> KafkaResult<()> {
        let asked = self.lag.to_ask();
        if asked.is_empty() {
            return Ok(());
        }
        let partitions: Vec<TopicPartition> = asked.iter().map(|(_, partition)| partition.clone()).collect();
        let extents = self.ask(&partitions)?;
        let known = asked
            .into_iter()
            .filter_map(|(generation, partition)| Some((generation, *extents.get(&partition)?)));
        self.lag.leave_extents(known);
        // Whoever is still behind when the polling thread has compared its position is really behind.
        self.lag.wait_for_share(SHARE_PATIENCE);
        let lagging = self.lag.lagging(MAX_LOOKS);
        if lagging.is_empty() {
            return Ok(());
        }
        self.look(&lagging)
    }

    fn ask(&mut self, partitions: &[TopicPartition]) -> KafkaResult<HashMap<TopicPartition, Extent>> {
        if self.failures >= MAX_FAILURES {
            self.asker = asker(&self.kafka)?;
            self.failures = 0;
        }
        let answer = extents(&self.asker, partitions, QUESTION_TIMEOUT);
        self.serve_events();
        self.failures = if answer.is_ok() { 0 } else { self.failures + 1 };
        answer
    }

    fn look(&mut self, lagging: &[Lagging]) -> KafkaResult<()> {
        let peeker = match self.peeker.take() {
            Some(peeker) => peeker,
            None => Peeker::new(&self.kafka)?,
        };
        let wanted: Vec<_> = lagging
            .iter()
            .map(|one| (one.partition.clone(), one.position))
            .collect();
        let firsts: HashMap<_, _> = peeker.first(&wanted, LOOK_TIMEOUT)?;
        self.peeker = Some(peeker);
        let found = lagging
            .iter()
            .filter_map(|one| Some((one.generation, (one.position, *firsts.get(&one.partition)?))));
        self.lag.leave_firsts(found);
        Ok(())
    }

    /// librdkafka tells errors as events, and keeps them until they are taken.
    fn serve_events(&self) {
        for _ in 0..EVENTS {
            if self.asker.poll(Duration::ZERO).is_none() {
                break;
            }
        }
    }
}
