//! Looks at the first record from a position on, without a group and without going further.
//!
//! That there is none up to the end is as good an answer: what lies between are transaction markers, aborted records
//! or holes that compaction left.

use std::collections::{HashMap, HashSet};
use std::ffi::CStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::bindings as sys;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::{Offset as KafkaOffset, TopicPartitionList};

use super::client::reader;
use super::context::Quiet;
use super::offsets::TopicPartition;
use crate::config::Kafka;
use crate::progress::{Offset, Position};

/// How much of each partition a fetch may bring: one record is wanted. The broker sends a larger one all the same.
const FETCH_BYTES: &str = "16384";
/// How long a broker may wait for something to come behind the end.
const FETCH_WAIT_MS: &str = "10";
/// How long one step waits for an event.
const STEP: Duration = Duration::from_millis(50);

/// What comes first from a position on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum First {
    /// A record.
    Record {
        /// Its offset.
        offset: Offset,
        /// Its timestamp in milliseconds, if it has one.
        timestamp_ms: Option<i64>,
    },
    /// Nothing that could be read, up to this end.
    End(Position),
}

/// A consumer that looks. Its connections stay, so that looking again is quick.
pub struct Peeker {
    consumer: BaseConsumer<Quiet>,
}

impl Peeker {
    /// Connects in the background.
    pub fn new(kafka: &Kafka) -> KafkaResult<Self> {
        let consumer = reader(kafka)
            // A position that the log doesn't have any more is nothing to answer for.
            .set("auto.offset.reset", "error")
            .set("max.partition.fetch.bytes", FETCH_BYTES)
            .set("fetch.wait.max.ms", FETCH_WAIT_MS)
            // All partitions share one queue: a short one would make them wait for each other.
            .set("queued.min.messages", "100000")
            .set("fetch.queue.backoff.ms", "10")
            .create_with_context(Quiet::default())?;
        Ok(Self { consumer })
    }

    /// Looks at these positions, all at once. What has no answer within `patience` is left out.
    pub fn first(
        &self,
        wanted: &[(TopicPartition, Position)],
        patience: Duration,
    ) -> KafkaResult<HashMap<TopicPartition, First>> {
        let mut list = TopicPartitionList::with_capacity(wanted.len());
        let mut left: HashSet<TopicPartition> = HashSet::with_capacity(wanted.len());
        for ((topic, number), position) in wanted {
            list.add_partition_offset(topic, *number, KafkaOffset::Offset(position.0))?;
            left.insert((Arc::clone(topic), *number));
        }
        self.consumer.assign(&list)?;
        // A pause outlives its assignment.
        self.consumer.resume(&list)?;
        let mut found = HashMap::with_capacity(wanted.len());
        let deadline = Instant::now() + patience;
        while !left.is_empty() && Instant::now() < deadline {
            let Some(heard) = self.next(STEP) else { continue };
            self.stop_fetching(&heard);
            let key = (Arc::from(heard.topic), heard.partition);
            if left.remove(&key)
                && let Some(first) = heard.first
            {
                found.insert(key, first);
            }
        }
        self.consumer.unassign()?;
        Ok(found)
    }

    fn stop_fetching(&self, heard: &Heard) {
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition(&heard.topic, heard.partition);
        if let Err(error) = self.consumer.pause(&list) {
            tracing::debug!(%error, "a partition that was looked at can't be paused");
        }
    }

    /// The next event that belongs to a partition. rdkafka's own `poll` doesn't tell the topic and the offset of a
    /// partition's end, which librdkafka's event has.
    fn next(&self, patience: Duration) -> Option<Heard> {
        let milliseconds = i32::try_from(patience.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the client lives as long as `self`. The queue and the event are our own references, given back by
        // their guards when this returns, the event first.
        unsafe {
            let queue = sys::rd_kafka_queue_get_consumer(self.consumer.client().native_ptr());
            if queue.is_null() {
                return None;
            }
            let _queue = Guard(queue, sys::rd_kafka_queue_destroy);
            let event = sys::rd_kafka_queue_poll(queue, milliseconds);
            if event.is_null() {
                return None;
            }
            let _event = Guard(event, sys::rd_kafka_event_destroy);
            match sys::rd_kafka_event_type(event) {
                sys::RD_KAFKA_EVENT_FETCH => Heard::of_record(event),
                sys::RD_KAFKA_EVENT_ERROR => Heard::of_error(event),
                _ => None,
            }
        }
    }
}

/// What librdkafka told of a partition; `first` is `None` where it can't be read.
struct Heard {
    topic: String,
    partition: i32,
    first: Option<First>,
}

impl Heard {
    /// SAFETY: `event` must be a valid fetch event.
    unsafe fn of_record(event: *mut sys::rd_kafka_event_t) -> Option<Self> {
        // SAFETY: the event owns the message, and the message its topic.
        unsafe {
            let message = sys::rd_kafka_event_message_next(event).as_ref()?;
            let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
            let timestamp = sys::rd_kafka_message_timestamp(message, &raw mut kind);
            let topic = CStr::from_ptr(sys::rd_kafka_topic_name(message.rkt));
            Some(Self {
                topic: topic.to_string_lossy().into_owned(),
                partition: message.partition,
                first: Some(First::Record {
                    offset: Offset(message.offset),
                    timestamp_ms: (timestamp >= 0).then_some(timestamp),
                }),
            })
        }
    }

    /// SAFETY: `event` must be a valid error event.
    unsafe fn of_error(event: *mut sys::rd_kafka_event_t) -> Option<Self> {
        // SAFETY: the answer is our own, given back by its guard, and its topic lives as long.
        unsafe {
            let error = sys::rd_kafka_event_error(event);
            let about = sys::rd_kafka_event_topic_partition(event);
            let partition = about.as_ref()?;
            let _about = Guard(about, sys::rd_kafka_topic_partition_destroy);
            let is_end = error == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__PARTITION_EOF;
            Some(Self {
                topic: CStr::from_ptr(partition.topic).to_string_lossy().into_owned(),
                partition: partition.partition,
                first: is_end.then_some(First::End(Position(partition.offset))),
            })
        }
    }
}

/// Gives something of librdkafka's back.
struct Guard<T>(*mut T, unsafe extern "C" fn(*mut T));

impl<T> Drop for Guard<T> {
    fn drop(&mut self) {
        // SAFETY: whoever made the guard owns what it points to, and named the function that it is given back by.
        unsafe { (self.1)(self.0) }
    }
}
