//! The floor: the least that a program can do that reads records from Kafka and publishes something for each.
//!
//! It is the yardstick, so it is as fast as it can be made: the consumer settings are the bridge's own, librdkafka is
//! called without a wrapper and hands over its whole queue at once, every record becomes the same PUBLISH, replies
//! are counted and not read. There is no group, no derivation, no commit and no error handling worth the name.

use std::ffi::{CStr, c_char, c_void};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::ops::Range;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::Thread;
use std::time::{Duration, Instant};

use kafka_redis_bridge::config::Kafka;
use kafka_redis_bridge::publish::resp;
use kafka_redis_bridge::source::client;
use rdkafka::bindings as sys;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::records;

/// A write to the socket is about this long.
const WRITE_BYTES: usize = 256 * 1024;
/// Commands on their way: several writes, so that Redis never waits.
const MAX_IN_FLIGHT: u64 = 16 * 1024;
/// How long librdkafka waits for the next record.
const WAIT_MS: i32 = 100;

/// What the floor reads and where it publishes.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Kafka's bootstrap servers
    #[arg(long)]
    bootstrap_servers: String,
    /// The topic
    #[arg(long)]
    topic: String,
    /// How many partitions it has
    #[arg(long)]
    partitions: i32,
    /// Redis' host and port
    #[arg(long)]
    redis: String,
    /// Start at the end of each partition instead of its beginning
    #[arg(long)]
    from_end: bool,
    /// Copy each record's id into the payload, which tells when it was sent
    #[arg(long)]
    with_ids: bool,
    /// End after so many answers and print how long it took; without it, run until killed
    #[arg(long)]
    records: Option<u64>,
}

/// What the callback works on.
struct Floor {
    command: Vec<u8>,
    /// Where the id of a record goes in the command, when it is copied.
    id: Option<Range<usize>>,
    buffer: Vec<u8>,
    socket: TcpStream,
    sent: u64,
    answered: Arc<AtomicU64>,
    failed: Option<String>,
}

impl Floor {
    fn publish(&mut self, value: &[u8]) {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&self.command);
        if let (Some(id), Some(value)) = (&self.id, value.get(records::ID)) {
            self.buffer[start + id.start..start + id.end].copy_from_slice(value);
        }
        self.sent += 1;
        if self.buffer.len() >= WRITE_BYTES {
            self.write();
        }
    }

    fn write(&mut self) {
        while self.sent - self.answered.load(Ordering::Acquire) > MAX_IN_FLIGHT {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        if let Err(error) = self.socket.write_all(&self.buffer) {
            self.failed = Some(format!("Redis: {error}"));
        }
        self.buffer.clear();
    }
}

/// Runs it; returns when as many records are answered as were asked for.
pub fn run(arguments: &Arguments) -> Result<(), String> {
    let socket = TcpStream::connect(&arguments.redis).map_err(|e| format!("{}: {e}", arguments.redis))?;
    socket.set_nodelay(true).map_err(|e| e.to_string())?;
    let answered = Arc::new(AtomicU64::new(0));
    let replies = socket.try_clone().map_err(|e| e.to_string())?;
    let (counter, sender) = (Arc::clone(&answered), std::thread::current());
    std::thread::spawn(move || count_replies(replies, &counter, &sender));
    let (command, id) = command();
    let mut floor = Floor {
        command,
        id: arguments.with_ids.then_some(id),
        buffer: Vec::with_capacity(2 * WRITE_BYTES),
        socket,
        sent: 0,
        answered,
        failed: None,
    };
    let queue = Queue::open(arguments)?;
    let limit = arguments.records.unwrap_or(u64::MAX);
    let mut started = None;
    while floor.sent < limit {
        queue.serve(&mut floor);
        if floor.sent > 0 {
            started.get_or_insert_with(Instant::now);
            floor.write();
        }
        if let Some(failure) = floor.failed {
            return Err(failure);
        }
    }
    while floor.answered.load(Ordering::Acquire) < floor.sent {
        std::thread::park_timeout(Duration::from_millis(1));
    }
    let seconds = started.map_or(0.0, |started| started.elapsed().as_secs_f64());
    println!(
        "{} records in {seconds:.3} s: {:.0}/s",
        floor.sent,
        floor.sent as f64 / seconds
    );
    Ok(())
}

/// The one command that is sent again and again, as long as the real one, and where its id is.
fn command() -> (Vec<u8>, Range<usize>) {
    let (channel, payload) = records::notification(0);
    let mut command = Vec::new();
    resp::encode_publish(&mut command, &channel, &payload);
    let start = command.len() - 2 - payload.len() + records::ID.start;
    (command, start..start + records::ID.len())
}

/// Every reply is `:0\r\n` or another number of receivers.
fn count_replies(mut socket: TcpStream, answered: &AtomicU64, sender: &Thread) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = socket.read(&mut buffer) {
        let replies = memchr::memchr_iter(b':', &buffer[..length]).count();
        answered.fetch_add(replies as u64, Ordering::Release);
        sender.unpark();
    }
}

/// librdkafka's queue of a consumer that has all partitions assigned. Lives as long as the process.
struct Queue(*mut sys::rd_kafka_queue_t);

impl Queue {
    fn open(arguments: &Arguments) -> Result<Self, String> {
        let kafka = Kafka {
            bootstrap_servers: arguments.bootstrap_servers.clone(),
            ..Kafka::default()
        };
        let config = client::grouped(&kafka, "unused").create_native_config();
        let config = config.map_err(|e| e.to_string())?;
        let mut list = TopicPartitionList::new();
        let start = if arguments.from_end {
            Offset::End
        } else {
            Offset::Beginning
        };
        for partition in 0..arguments.partitions {
            list.add_partition_offset(&arguments.topic, partition, start)
                .map_err(|e| e.to_string())?;
        }
        let mut error: [c_char; 512] = [0; 512];
        // SAFETY: `rd_kafka_new` takes the copy of the configuration for itself; the list is copied; nothing is ever
        // destroyed, since the process ends with the consumer.
        unsafe {
            let config = sys::rd_kafka_conf_dup(config.ptr());
            let kind = sys::rd_kafka_type_t::RD_KAFKA_CONSUMER;
            let client = sys::rd_kafka_new(kind, config, error.as_mut_ptr(), error.len());
            if client.is_null() {
                return Err(CStr::from_ptr(error.as_ptr()).to_string_lossy().into_owned());
            }
            let refused = sys::rd_kafka_assign(client, list.ptr());
            if refused != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                return Err(format!("assign: {refused:?}"));
            }
            Ok(Self(sys::rd_kafka_queue_get_consumer(client)))
        }
    }

    /// Waits for records and calls [`take`] for each that is there: librdkafka empties its queue in one step, so there
    /// is no lock per record.
    fn serve(&self, floor: &mut Floor) {
        // SAFETY: the queue lives, and `take` gets back what is borrowed here, on this thread, during this call.
        unsafe {
            sys::rd_kafka_consume_callback_queue(self.0, WAIT_MS, Some(take), ptr::from_mut(floor).cast());
        }
    }
}

unsafe extern "C" fn take(message: *mut sys::rd_kafka_message_t, floor: *mut c_void) {
    // SAFETY: `serve` passed a floor that nobody else uses meanwhile, and librdkafka a message that lives until the
    // return.
    let (floor, message) = unsafe { (&mut *floor.cast::<Floor>(), &*message) };
    if message.err != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        floor.failed = Some(format!("Kafka: {:?}", message.err));
        return;
    }
    // SAFETY: librdkafka says that the value has this length.
    floor.publish(unsafe { std::slice::from_raw_parts(message.payload.cast(), message.len) });
}
