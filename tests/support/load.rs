//! Numbered records, written in the background at a steady rate.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::kafka::Kafka;
use super::oracle::Produced;
use super::producer::{NewRecord, Producer};
use super::wait;

/// How many keys share a partition.
const KEYS: i64 = 20;

/// Records being written to every partition in turn.
pub struct Load {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

struct Shared {
    rate: AtomicU64,
    stop: AtomicBool,
    produced: Mutex<Vec<Produced>>,
}

/// A record as the default envelope wants it: its id says where it is, its source is its key.
pub fn numbered(partition: i32, sequence: i64) -> (Produced, NewRecord) {
    let produced = Produced {
        partition,
        sequence,
        key: format!("{partition}-k{}", sequence % KEYS),
    };
    let value = format!(
        r#"{{"id":"{}","type":"test","source_type":"key","source_id":"{}","body":"never published"}}"#,
        produced.id(),
        produced.key
    );
    let record = NewRecord::of(value).key(produced.key.as_str()).to(partition);
    (produced, record)
}

/// Makes the record of a partition with that number.
pub type Make = Box<dyn Fn(i32, i64) -> (Produced, NewRecord) + Send>;

impl Load {
    /// Writes `total` records to the partitions of an empty topic, `rate` a second.
    pub fn start(kafka: &Kafka, topic: &str, partitions: i32, total: u64, rate: u64) -> Self {
        Self::of(kafka, topic, partitions, total, rate, Box::new(numbered))
    }

    /// The same with records of another make.
    pub fn of(kafka: &Kafka, topic: &str, partitions: i32, total: u64, rate: u64, make: Make) -> Self {
        let shared = Arc::new(Shared {
            rate: AtomicU64::new(rate),
            stop: AtomicBool::new(false),
            produced: Mutex::new(Vec::new()),
        });
        let writer = std::thread::spawn({
            let (kafka, topic, shared) = (kafka.clone(), topic.to_owned(), Arc::clone(&shared));
            move || write(&kafka.producer(), &topic, (partitions, total), &make, &shared)
        });
        Self {
            shared,
            writer: Some(writer),
        }
    }

    /// How many records were written so far.
    pub fn written(&self) -> usize {
        self.shared.produced.lock().unwrap().len()
    }

    /// Waits until that many records were written.
    #[track_caller]
    pub fn wait_written(&self, count: usize, deadline: Duration) {
        wait::until_true("records written", deadline, || self.written() >= count);
    }

    /// Writes the rest as fast as it can, and returns everything that was written.
    pub fn finish(mut self) -> Vec<Produced> {
        self.shared.rate.store(u64::MAX, Ordering::SeqCst);
        self.join()
    }

    /// Ends early, and returns everything that was written.
    pub fn stop(mut self) -> Vec<Produced> {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.join()
    }

    fn join(&mut self) -> Vec<Produced> {
        self.writer.take().unwrap().join().unwrap();
        std::mem::take(&mut *self.shared.produced.lock().unwrap())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

fn write(producer: &Producer, topic: &str, (partitions, total): (i32, u64), make: &Make, shared: &Shared) {
    let start = Instant::now();
    for number in 0..total {
        let rate = shared.rate.load(Ordering::SeqCst);
        while rate != u64::MAX && number > start.elapsed().as_millis() as u64 * rate / 1000 {
            if shared.stop.load(Ordering::SeqCst) || shared.rate.load(Ordering::SeqCst) == u64::MAX {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        if shared.stop.load(Ordering::SeqCst) {
            break;
        }
        let number = i64::try_from(number).unwrap();
        let partition = i32::try_from(number % i64::from(partitions)).unwrap();
        let (produced, record) = make(partition, number / i64::from(partitions));
        producer.send(topic, &record);
        shared.produced.lock().unwrap().push(produced);
    }
    producer.flush();
}
