//! Hears every notification, straight from Redis, and keeps them in order of arrival.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::redis::RedisServer;
use super::{resp, wait};

/// Where markers of [`Recorder::barrier`] travel; never part of the log.
const MARKERS: &str = "recorder-marker";

/// One notification as it was heard.
#[derive(Debug, Clone)]
pub struct Note {
    /// The channel it came on.
    pub channel: String,
    /// What was said.
    pub payload: String,
    /// When it was heard.
    pub at: Instant,
    id: String,
}

impl Note {
    /// The payload as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.payload).unwrap_or_else(|e| panic!("not JSON: {e}: {}", self.payload))
    }

    /// The notification's `id`, or nothing when it has none.
    pub fn id(&self) -> String {
        self.id.clone()
    }
}

#[derive(Default)]
struct Log {
    notes: Vec<Note>,
    ids: HashSet<String>,
    markers: HashSet<String>,
}

#[derive(Default)]
struct Shared {
    log: Mutex<Log>,
    grown: Condvar,
    subscriptions: AtomicU64,
    connected: AtomicBool,
    stop: AtomicBool,
}

/// Subscribes to everything on one server, again after each of its restarts.
pub struct Recorder {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Recorder {
    /// Subscribes; the server may be absent, then this returns at once.
    pub fn start(server: &RedisServer) -> Self {
        let shared = Arc::new(Shared::default());
        let (port, password) = (server.port(), server.password());
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                while !shared.stop.load(Ordering::SeqCst) {
                    let _ = listen(port, password.as_deref(), &shared);
                    shared.connected.store(false, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        });
        Self {
            shared,
            thread: Some(thread),
        }
    }

    /// Waits until the recorder is subscribed to a server that is there now.
    #[track_caller]
    pub fn subscribed(&self) {
        wait::until_true("the recorder is subscribed", Duration::from_secs(10), || {
            self.shared.connected.load(Ordering::SeqCst)
        });
    }

    /// Waits until the recorder has noticed that its server is gone.
    #[track_caller]
    pub fn disconnected(&self) {
        wait::until_true("the recorder noticed", Duration::from_secs(10), || {
            !self.shared.connected.load(Ordering::SeqCst)
        });
    }

    /// How many notifications were heard so far.
    pub fn len(&self) -> usize {
        self.shared.log.lock().unwrap().notes.len()
    }

    /// How many different ids were heard so far.
    pub fn distinct(&self) -> usize {
        self.shared.log.lock().unwrap().ids.len()
    }

    /// Whether this id was heard.
    pub fn heard(&self, id: &str) -> bool {
        self.shared.log.lock().unwrap().ids.contains(id)
    }

    /// A copy of the log.
    pub fn notes(&self) -> Vec<Note> {
        self.shared.log.lock().unwrap().notes.clone()
    }

    /// A copy of what was heard from that place in the log on.
    pub fn since(&self, place: usize) -> Vec<Note> {
        let log = self.shared.log.lock().unwrap();
        log.notes.get(place..).unwrap_or_default().to_vec()
    }

    /// Whether it is subscribed, as far as it knows.
    pub fn is_subscribed(&self) -> bool {
        self.shared.connected.load(Ordering::SeqCst)
    }

    /// Waits until `condition` holds for the log, which it looks at again whenever the log has grown.
    #[track_caller]
    pub fn wait_until(&self, what: &str, deadline: Duration, condition: impl Fn(&[Note]) -> bool) {
        self.wait_log(what, deadline, |log| condition(&log.notes));
    }

    /// Waits until that many different ids were heard.
    #[track_caller]
    pub fn wait_distinct(&self, count: usize, deadline: Duration) {
        self.wait_log(&format!("{count} different ids"), deadline, |log| {
            log.ids.len() >= count
        });
    }

    /// Waits until these ids were heard.
    #[track_caller]
    pub fn wait_ids(&self, ids: &[&str], deadline: Duration) {
        self.wait_log(&format!("{ids:?}"), deadline, |log| {
            ids.iter().all(|id| log.ids.contains(*id))
        });
    }

    /// Waits until everything that the server has taken so far is in the log, and returns the log's length.
    #[track_caller]
    pub fn barrier(&self, server: &RedisServer) -> usize {
        let marker = format!("{:016x}", fastrand::u64(..));
        server.command(&["PUBLISH", MARKERS, &marker]);
        self.wait_log("the marker", Duration::from_secs(10), |log| {
            log.markers.contains(&marker)
        });
        self.len()
    }

    /// The same where the server may not answer: `None` when the marker isn't back in time.
    pub fn try_barrier(&self, server: &RedisServer, patience: Duration) -> Option<usize> {
        let marker = format!("{:016x}", fastrand::u64(..));
        server
            .try_query_within::<i64>(&["PUBLISH", MARKERS, &marker], patience)
            .ok()?;
        wait::poll(patience, || {
            let mut log = self.shared.log.lock().unwrap();
            log.markers.remove(&marker).then_some(log.notes.len())
        })
    }

    #[track_caller]
    fn wait_log(&self, what: &str, deadline: Duration, condition: impl Fn(&Log) -> bool) {
        let end = Instant::now() + deadline;
        let mut log = self.shared.log.lock().unwrap();
        while !condition(&log) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let (notes, ids) = (log.notes.len(), log.ids.len());
                drop(log);
                panic!("not heard within {deadline:?}: {what} (heard {notes}, {ids} different ids)");
            }
            log = self.shared.grown.wait_timeout(log, left).unwrap().0;
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One subscription, from connecting until the server goes or the recorder is dropped.
fn listen(port: u16, password: Option<&str>, shared: &Shared) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_millis(50)))?;
    if let Some(password) = password {
        stream.write_all(&resp::command(&["AUTH", password]))?;
    }
    stream.write_all(&resp::command(&["PSUBSCRIBE", "*"]))?;
    let (mut buffer, mut chunk) = (Vec::new(), vec![0; 1 << 16]);
    while !shared.stop.load(Ordering::SeqCst) {
        match stream.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(read) => buffer.extend_from_slice(&chunk[..read]),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock) => continue,
            Err(error) => return Err(error),
        }
        let mut used = 0;
        while let Some((frame, length)) = resp::parse(&buffer[used..]) {
            used += length;
            hear(&frame, shared);
        }
        buffer.drain(..used);
    }
    Ok(())
}

fn hear(frame: &resp::Frame, shared: &Shared) {
    let parts: Vec<_> = frame
        .items()
        .iter()
        .map(|part| String::from_utf8_lossy(part.bytes().unwrap_or_default()))
        .collect();
    match parts.as_slice() {
        [kind, ..] if kind == "psubscribe" => {
            shared.subscriptions.fetch_add(1, Ordering::SeqCst);
            shared.connected.store(true, Ordering::SeqCst);
        }
        [_, _, channel, payload] => {
            let mut log = shared.log.lock().unwrap();
            if channel == MARKERS {
                log.markers.insert(payload.to_string());
            } else {
                let json: serde_json::Value = serde_json::from_str(payload).unwrap_or_default();
                let note = Note {
                    channel: channel.to_string(),
                    payload: payload.to_string(),
                    at: Instant::now(),
                    id: json["id"].as_str().unwrap_or_default().to_owned(),
                };
                log.ids.insert(note.id.clone());
                log.notes.push(note);
            }
            shared.grown.notify_all();
        }
        _ => {}
    }
}
