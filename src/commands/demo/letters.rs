//! Reads the dead letters back, as whoever looks after them would.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::BorrowedMessage;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::tally::Tally;
use super::view::View;
use crate::dlq::letter::{MESSAGE, REASON, TOPIC};
use crate::exit::Failure;
use crate::record::Headers as _;
use crate::source::context::Quiet;
use crate::source::message::MessageHeaders;

/// One look for dead letters; also how long the end may take.
const POLL: Duration = Duration::from_millis(100);

/// A reader of the dead-letter topic; it ends with this value.
pub struct Reader {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    /// Starts to read all partitions from their beginning.
    pub fn start(
        kafka: &str,
        (topic, partitions): (&str, i32),
        tally: Arc<Tally>,
        view: Arc<View>,
    ) -> Result<Self, Failure> {
        let failure = |error: &dyn std::fmt::Display| Failure::software(format!("dead letters: {error}"));
        let consumer: BaseConsumer<Quiet> = ClientConfig::new()
            .set("bootstrap.servers", kafka)
            .set("client.id", "dead-letter-reader")
            // Never joins it: partitions are assigned by hand.
            .set("group.id", "dead-letter-reader")
            .set("enable.auto.commit", "false")
            .set("fetch.wait.max.ms", "50")
            .create_with_context(Quiet::default())
            .map_err(|error| failure(&error))?;
        let mut all = TopicPartitionList::new();
        for partition in 0..partitions {
            all.add_partition_offset(topic, partition, Offset::Beginning)
                .map_err(|error| failure(&error))?;
        }
        consumer.assign(&all).map_err(|error| failure(&error))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let read = move || {
            while !stopped.load(Ordering::Relaxed) {
                if let Some(Ok(letter)) = consumer.poll(POLL) {
                    take(&letter, &tally, &view);
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("dead-letters".to_owned())
            .spawn(read)
            .map_err(|error| failure(&error))?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn take(letter: &BorrowedMessage<'_>, tally: &Tally, view: &View) {
    let headers = MessageHeaders::of(letter);
    let text = |name| {
        let value = headers.last(name).flatten().unwrap_or_default();
        String::from_utf8_lossy(value)
    };
    let reason = text(REASON);
    tally.letter(&reason);
    view.dead_letter(&text(TOPIC), &reason, &text(MESSAGE));
}
