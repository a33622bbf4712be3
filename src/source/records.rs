//! Records as librdkafka has fetched them, taken many at a time.
//!
//! Polled one by one, as rdkafka does it, each record costs a turn of librdkafka's event loop: two looks at the clock,
//! a histogram of poll intervals behind a mutex, an event, and an allocation. `rd_kafka_consume_batch_queue` does
//! that once for many records. On the consumer's own queue it would answer a rebalance by itself, with an empty
//! assignment; so the queue of each partition is forwarded to one queue of ours, which carries records and errors of
//! partitions only. Everything else stays on the consumer's queue, and rdkafka serves it as ever.

use std::collections::VecDeque;
use std::ffi::{CStr, CString, c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::types::RDKafka;

use super::client::Consumer;
use super::message::Message;

/// The most records taken from librdkafka at once. They pin the fetch buffers they lie in, a few at most, since
/// records come in the order of their buffers.
pub const MAX_TAKEN: usize = 256;

/// A message of librdkafka's, freed when it is dropped. It keeps its partition alive, and with it the client: a client
/// is only freed when all its messages are.
pub struct Fetched(NonNull<sys::rd_kafka_message_t>);

// SAFETY: librdkafka lets any thread read and free a message; it is not shared between threads.
unsafe impl Send for Fetched {}

impl Fetched {
    /// The message.
    pub fn message(&self) -> Message<'_> {
        // SAFETY: the message is ours until it is dropped.
        Message::new(unsafe { self.0.as_ref() })
    }

    /// What librdkafka says instead of a record, and in words; `None` when this is a record.
    pub fn error(&self) -> Option<(RDKafkaErrorCode, String)> {
        // SAFETY: as above.
        let error = unsafe { self.0.as_ref() }.err;
        if error == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return None;
        }
        // SAFETY: the message is alive; the text lives as long.
        let text = unsafe { CStr::from_ptr(sys::rd_kafka_message_errstr(self.0.as_ptr())) };
        Some((error.into(), text.to_string_lossy().into_owned()))
    }
}

impl Drop for Fetched {
    fn drop(&mut self) {
        // SAFETY: the message is ours, and nobody refers to it any more.
        unsafe { sys::rd_kafka_message_destroy(self.0.as_ptr()) }
    }
}

/// The queue that all partitions of this process are forwarded to.
pub struct Records {
    taken: VecDeque<Fetched>,
    queue: Queue,
    /// The consumer's own queue.
    events: Queue,
    /// What `taken` is filled from; kept for its memory.
    buffer: Vec<*mut sys::rd_kafka_message_t>,
    consumer: Arc<Consumer>,
}

// SAFETY: librdkafka's queues may be used by any thread; the buffer holds pointers only within a call.
unsafe impl Send for Records {}

impl Records {
    /// A queue of the consumer's client; whatever happens on the consumer's own queue ends a wait on it. `None` when
    /// librdkafka gives none.
    pub fn new(consumer: Arc<Consumer>) -> Option<Self> {
        let client = consumer.client().native_ptr();
        // SAFETY: the client is alive; librdkafka counts the references to its queues.
        let (queue, events) = unsafe {
            let queue = Queue::new(sys::rd_kafka_queue_new(client))?;
            (queue, Queue::new(sys::rd_kafka_queue_get_consumer(client))?)
        };
        let records = Self {
            taken: VecDeque::with_capacity(MAX_TAKEN),
            queue,
            events,
            buffer: vec![ptr::null_mut(); MAX_TAKEN],
            consumer,
        };
        records.on_events(Some(wake));
        Some(records)
    }

    /// Lets `callback` know when the consumer's own queue has something to serve.
    fn on_events(&self, callback: Option<unsafe extern "C" fn(*mut RDKafka, *mut c_void)>) {
        // SAFETY: both queues are alive. librdkafka keeps the callback with the first; it is taken away before our own
        // queue, its argument, is freed.
        unsafe {
            sys::rd_kafka_queue_cb_event_enable(self.events.as_ptr(), callback, self.queue.as_ptr().cast());
        }
    }

    /// How many events wait on the consumer's own queue.
    pub fn events_waiting(&self) -> usize {
        // SAFETY: the queue is alive, and its length may be asked by any thread.
        unsafe { sys::rd_kafka_queue_length(self.events.as_ptr()) }
    }

    /// Makes the records of a partition come here. To be called before each assignment of it: librdkafka forgets it
    /// when it stops fetching the partition, and then forwards it nowhere by itself.
    pub fn forward(&self, topic: &str, partition: i32) {
        let Ok(topic) = CString::new(topic) else { return };
        let client = self.consumer.client().native_ptr();
        // SAFETY: client, name and queues are alive for the calls; librdkafka takes its own reference to the queue
        // that it forwards to.
        unsafe {
            if let Some(own) = Queue::new(sys::rd_kafka_queue_get_partition(
                client,
                topic.as_ptr(),
                partition,
            )) {
                sys::rd_kafka_queue_forward(own.as_ptr(), self.queue.as_ptr());
            }
        }
    }

    /// Takes what librdkafka has, at most `limit` records. When it has none it waits for the first, no longer than
    /// `patience` and only until something happens on the consumer's own queue. Returns whether it has taken any.
    pub fn take(&mut self, limit: usize, patience: Duration) -> bool {
        // With patience librdkafka would wait until it has as many as it may take.
        self.consume(limit, Duration::ZERO) || (!patience.is_zero() && self.consume(1, patience))
    }

    /// The next of the records that were taken.
    pub fn pop(&mut self) -> Option<Fetched> {
        self.taken.pop_front()
    }

    fn consume(&mut self, limit: usize, patience: Duration) -> bool {
        let limit = limit.clamp(1, MAX_TAKEN);
        let patience = c_int::try_from(patience.as_millis()).unwrap_or(c_int::MAX);
        let (queue, buffer) = (self.queue.as_ptr(), self.buffer.as_mut_ptr());
        // SAFETY: the queue is alive and the buffer has room for `limit` pointers.
        let count = unsafe { sys::rd_kafka_consume_batch_queue(queue, patience, buffer, limit) };
        let count = usize::try_from(count).unwrap_or(0).min(limit);
        let messages = self.buffer[..count].iter().copied().filter_map(NonNull::new);
        self.taken.extend(messages.map(Fetched));
        count > 0
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        self.on_events(None);
    }
}

/// A reference to a queue of librdkafka's, which frees the queue when nothing refers to it any more.
struct Queue(NonNull<sys::rd_kafka_queue_t>);

impl Queue {
    /// Takes over the reference that librdkafka has given; `None` when it has given none.
    fn new(queue: *mut sys::rd_kafka_queue_t) -> Option<Self> {
        NonNull::new(queue).map(Self)
    }

    fn as_ptr(&self) -> *mut sys::rd_kafka_queue_t {
        self.0.as_ptr()
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: the reference is ours, and used by nobody after this.
        unsafe { sys::rd_kafka_queue_destroy(self.as_ptr()) }
    }
}

/// Ends a wait for records.
///
/// # Safety
/// `queue` is a queue that is alive.
unsafe extern "C" fn wake(_client: *mut RDKafka, queue: *mut c_void) {
    // SAFETY: `Records` takes the callback away before it frees the queue.
    unsafe { sys::rd_kafka_queue_yield(queue.cast()) }
}
