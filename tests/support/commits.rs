//! Watches what a group commits while a run goes on, for the oracle.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::oracle::Sample;
use super::scenario::Scenario;

/// How often it looks.
const INTERVAL: Duration = Duration::from_millis(250);
/// How long Redis may take to answer before a look is given up.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Shared {
    samples: Mutex<Vec<Sample>>,
    stop: AtomicBool,
}

/// Samples in the background; ends on drop.
pub struct CommitWatch {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl CommitWatch {
    /// Watches the group of a scenario. What Kafka or Redis doesn't answer is left out.
    pub fn start(scenario: &Scenario) -> Self {
        let shared = Arc::new(Shared::default());
        let (kafka, rig) = (scenario.kafka.clone(), Arc::clone(&scenario.rig));
        let (group, topic, dlq) = (scenario.group.clone(), scenario.topic.clone(), scenario.dlq());
        let look = move || {
            let committed = kafka.try_committed(&group, &topic).ok()?;
            let letters = kafka.try_ends(&dlq).ok();
            let heard = match rig.recorder.is_subscribed() {
                true => rig.recorder.try_barrier(&rig.redis, PATIENCE)?,
                // A server is only killed when all that it has taken was heard.
                false => rig.recorder.len(),
            };
            Some(Sample {
                committed,
                letters,
                heard,
            })
        };
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                while !shared.stop.load(Ordering::SeqCst) {
                    // Looking may take long, and nobody is to wait for it meanwhile.
                    let seen = look();
                    shared.samples.lock().unwrap().extend(seen);
                    std::thread::sleep(INTERVAL);
                }
            }
        });
        Self {
            shared,
            thread: Some(thread),
        }
    }

    /// The highest positions that were seen committed so far.
    pub fn highest(&self) -> BTreeMap<i32, i64> {
        let mut highest = BTreeMap::new();
        for sample in self.shared.samples.lock().unwrap().iter() {
            for (partition, position) in &sample.committed {
                let known = highest.entry(*partition).or_insert(*position);
                *known = (*known).max(*position);
            }
        }
        highest
    }

    /// Ends, and returns what was seen.
    pub fn stop(mut self) -> Vec<Sample> {
        self.join();
        std::mem::take(&mut *self.shared.samples.lock().unwrap())
    }

    fn join(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for CommitWatch {
    fn drop(&mut self) {
        self.join();
    }
}
