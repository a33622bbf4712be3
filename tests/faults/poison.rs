//! Records that can't be published, among good ones and alone.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::setting::Setting;
use super::support::load::{Make, numbered};
use super::support::producer::NewRecord;
use super::support::wait;
use super::trial::{LONG, RATE, SOON, Trial};
use super::verdict::Rule;

/// A load in which, from its beginning to its end, one record in so many is another.
pub struct Odd {
    partition: Option<i32>,
    every: i64,
    other: fn(&str) -> NewRecord,
    on: Arc<AtomicBool>,
    ids: Arc<Mutex<BTreeSet<String>>>,
}

impl Odd {
    /// In one partition, or in all.
    pub fn of(partition: Option<i32>, every: i64, other: fn(&str) -> NewRecord) -> Self {
        Self {
            partition,
            every,
            other,
            on: Arc::default(),
            ids: Arc::default(),
        }
    }

    /// Poison.
    pub fn poison(partition: Option<i32>, every: i64) -> Self {
        Self::of(partition, every, |id| {
            NewRecord::of(format!(r#"{{"poison":"{id}""#))
        })
    }

    /// The records of the load.
    pub fn make(&self) -> Make {
        let (partition, every, other) = (self.partition, self.every, self.other);
        let (on, ids) = (Arc::clone(&self.on), Arc::clone(&self.ids));
        Box::new(move |to, sequence| {
            let (produced, good) = numbered(to, sequence);
            let meant = partition.is_none_or(|only| only == to) && sequence % every == 0;
            if !meant || !on.load(Ordering::SeqCst) {
                return (produced, good);
            }
            ids.lock().unwrap().insert(produced.id());
            let record = other(&produced.id()).key(produced.key.as_str()).to(to);
            (produced, record)
        })
    }

    pub fn begin(&self) {
        self.on.store(true, Ordering::SeqCst);
    }

    pub fn end(&self) {
        self.on.store(false, Ordering::SeqCst);
    }

    /// The ids of the other records so far.
    pub fn ids(&self) -> BTreeSet<String> {
        self.ids.lock().unwrap().clone()
    }
}

/// One record in a hundred is poison, everywhere, while copies come and go.
pub fn some(setting: &Setting) {
    let mut trial = Trial::new(setting);
    let poison = Odd::poison(None, 100);
    poison.begin();
    trial.spawn();
    trial.shared();
    trial.load_of(RATE, poison.make());
    trial.flows();
    for _ in 0..4 {
        trial.goes_on();
    }
    trial.spawn();
    trial.shared();
    for _ in 0..4 {
        trial.goes_on();
    }
    poison.end();
    trial.flows();
    let letters = poison.ids();
    trial.finish_with(Rule::Perfect, &letters);
}

const BURST: i64 = 50;
const GUARD_RATE: i64 = 20;

/// Partition 0 gets nothing but poison for a while.
pub fn all(setting: &Setting) {
    let mut trial = Trial::new(setting);
    trial.config = trial
        .config
        .clone()
        .set("dlq.guard.burst", BURST)
        .set("dlq.guard.rate", GUARD_RATE);
    let poison = Odd::poison(Some(0), 1);
    trial.spawn();
    trial.shared();
    trial.load_of(RATE, poison.make());
    trial.flows();
    let began = Instant::now();
    poison.begin();
    trial.over("nothing but poison in partition 0");
    let paused =
        |m: &super::support::metrics::Scrape| m.count("paused_partitions", &[("reason", "guard")]) > 0;
    trial.shows("paused by the guard", paused, &["the guard"]);
    let held = |trial: &Trial<'_>| {
        let letters: i64 = trial.scenario.kafka.ends(&trial.scenario.dlq()).values().sum();
        // One more for the rounding of the time.
        let allowed = BURST + GUARD_RATE * i64::try_from(began.elapsed().as_millis()).unwrap() / 1000 + 1;
        letters <= allowed
    };
    wait::holds("burst + rate x time", Duration::from_secs(4), || held(&trial));
    poison.end();
    trial.over("good records again");
    let count = poison.ids().len();
    let drained = Duration::from_secs(count as u64 / GUARD_RATE.unsigned_abs());
    wait::until_true("the poison is through", drained + LONG, || {
        assert!(held(&trial), "more than burst + rate x time");
        trial
            .scenario
            .kafka
            .ends(&trial.scenario.dlq())
            .values()
            .sum::<i64>()
            >= count as i64
    });
    trial.copies[0].wait_log(&["the guard ends"], SOON);
    trial.copies[0].wait_metrics("nothing is paused", SOON, |m| {
        m.sum("paused_partitions", &[]) == 0.0
    });
    trial.flows();
    trial.unaffected(1);
    trial.finish_with(Rule::Perfect, &poison.ids());
}
