//! The subscriber: hears every notification and compares its id, the time that it was to be sent, with the clock.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use memchr::memmem;

use super::{histogram, micros};
use crate::Fallible;
use crate::records::ID;
use crate::stage::Stage;
use crate::support::wait;

/// The id of a record that isn't counted.
pub const UNCOUNTED: u64 = 0;
const SUBSCRIBE: &[u8] = b"PSUBSCRIBE events:*\r\n";
/// How every payload starts: the id follows.
const START: &[u8] = b"{\"id\":\"";
const _: () = assert!(START.len() == ID.start);

/// A connection that listens on a thread of its own. It looks for ids and for nothing else, so as not to be what is
/// measured.
pub struct Subscriber {
    socket: TcpStream,
    shared: Arc<Shared>,
    epoch: Instant,
    listener: JoinHandle<Histogram<u64>>,
}

#[derive(Default)]
struct Shared {
    heard: AtomicU64,
    counted: AtomicU64,
}

impl Subscriber {
    /// Subscribes; ids are nanoseconds since `epoch`.
    pub fn start(stage: &Stage, epoch: Instant) -> Fallible<Self> {
        let mut socket = TcpStream::connect(stage.redis_address())?;
        socket.write_all(SUBSCRIBE)?;
        let shared = Arc::new(Shared::default());
        let listener = {
            let (socket, shared, latency) = (socket.try_clone()?, Arc::clone(&shared), histogram()?);
            std::thread::spawn(move || listen(socket, &shared, epoch, latency))
        };
        Ok(Self {
            socket,
            shared,
            epoch,
            listener,
        })
    }

    /// What ids count from.
    pub fn epoch(&self) -> Instant {
        self.epoch
    }

    /// Whether anything came.
    pub fn has_heard(&self) -> bool {
        self.shared.heard.load(Ordering::Relaxed) > 0
    }

    /// Waits for so many counted notifications, not for ever, and returns their latencies in microseconds.
    pub fn finish(self, expected: u64, patience: Duration) -> Fallible<Histogram<u64>> {
        wait::poll(patience, || {
            (self.shared.counted.load(Ordering::Relaxed) >= expected).then_some(())
        });
        self.socket.shutdown(Shutdown::Both)?;
        self.listener.join().map_err(|_| "the subscriber failed".into())
    }
}

fn listen(
    mut socket: TcpStream,
    shared: &Shared,
    epoch: Instant,
    mut latency: Histogram<u64>,
) -> Histogram<u64> {
    let mut buffer = vec![0; 1 << 20];
    let mut kept = 0;
    while let Ok(read @ 1..) = socket.read(&mut buffer[kept..]) {
        let now = epoch.elapsed();
        let filled = kept + read;
        let rest = each_id(&buffer[..filled], |id| {
            shared.heard.fetch_add(1, Ordering::Relaxed);
            if id != UNCOUNTED {
                latency.saturating_record(micros(now.saturating_sub(Duration::from_nanos(id))));
                shared.counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        buffer.copy_within(rest..filled, 0);
        kept = filled - rest;
    }
    latency
}

/// Calls `take` with each id in the bytes, and returns where the first byte is that may belong to one more.
fn each_id(bytes: &[u8], mut take: impl FnMut(u64)) -> usize {
    let mut behind = 0;
    for start in memmem::find_iter(bytes, START) {
        let Some(digits) = bytes.get(start + ID.start..start + ID.end) else {
            return start;
        };
        let id = std::str::from_utf8(digits)
            .ok()
            .and_then(|digits| digits.parse().ok());
        take(id.unwrap_or(UNCOUNTED));
        behind = start + ID.end;
    }
    behind.max(bytes.len().saturating_sub(START.len() - 1))
}
