//! A TCP proxy in front of Redis that breaks in the ways networks and servers do.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::acceptor::Acceptor;
use super::resp;

/// What happens to the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Everything passes.
    Pass,
    /// New connections are closed at once.
    Refuse,
    /// Requests are read and thrown away; answers to those forwarded before still pass.
    HoldRequests,
    /// Nothing passes in either direction and nobody is told. A connection that met this never works again.
    Swallow,
    /// Each piece of a request waits this long.
    Delay(Duration),
}

/// An error that answers publishes in Redis' place.
#[derive(Debug, Clone)]
struct Injection {
    error: String,
    channels: Option<Vec<String>>,
}

struct Shared {
    upstream: SocketAddr,
    mode: Mutex<Mode>,
    injection: Mutex<Option<Injection>>,
    streams: Mutex<Vec<TcpStream>>,
    accepted: AtomicUsize,
    /// Connections up to this number met [`Mode::Swallow`].
    swallowed: AtomicUsize,
    injected: AtomicUsize,
}

/// Listens on a loopback port of its own; ends on drop.
pub struct Proxy {
    shared: Arc<Shared>,
    acceptor: Acceptor,
}

impl Proxy {
    /// A proxy to that port, passing everything.
    pub fn start(upstream_port: u16) -> Self {
        let shared = Arc::new(Shared {
            upstream: SocketAddr::from(([127, 0, 0, 1], upstream_port)),
            mode: Mutex::new(Mode::Pass),
            injection: Mutex::new(None),
            streams: Mutex::new(Vec::new()),
            accepted: AtomicUsize::new(0),
            swallowed: AtomicUsize::new(0),
            injected: AtomicUsize::new(0),
        });
        let acceptor = Acceptor::start({
            let shared = Arc::clone(&shared);
            move |client| connect(client, &shared)
        });
        Self { shared, acceptor }
    }

    /// The Redis URL of the proxy.
    pub fn url(&self) -> String {
        format!("redis://{}", self.acceptor.address())
    }

    /// The Redis URL of the proxy with credentials.
    pub fn url_as(&self, user: &str, password: &str) -> String {
        format!("redis://{user}:{password}@{}", self.acceptor.address())
    }

    /// Changes what happens from now on, to connections that exist as well.
    pub fn set(&self, mode: Mode) {
        let mut present = self.shared.mode.lock().unwrap();
        if [*present, mode].contains(&Mode::Swallow) {
            self.shared.swallowed.store(self.accepted(), Ordering::SeqCst);
        }
        *present = mode;
    }

    /// Cuts the connections that exist.
    pub fn cut(&self) {
        for stream in self.shared.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Answers every publish with this error (without its `-`); Redis sees none of them.
    pub fn inject(&self, error: &str) {
        *self.shared.injection.lock().unwrap() = Some(Injection {
            error: error.into(),
            channels: None,
        });
    }

    /// Answers publishes to these channels with this error; the others pass.
    pub fn inject_on(&self, error: &str, channels: &[&str]) {
        let channels = Some(channels.iter().map(ToString::to_string).collect());
        *self.shared.injection.lock().unwrap() = Some(Injection {
            error: error.into(),
            channels,
        });
    }

    /// Ends the injection.
    pub fn inject_nothing(&self) {
        *self.shared.injection.lock().unwrap() = None;
    }

    /// How many connections were accepted so far.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// How many publishes were answered in Redis' place so far.
    pub fn injected(&self) -> usize {
        self.shared.injected.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.set(Mode::Refuse);
        self.cut();
    }
}

/// One connection: the client's side and the server's, and which answer is due next.
struct Connection {
    shared: Arc<Shared>,
    number: usize,
    to_server: Mutex<TcpStream>,
    to_client: Mutex<Answers>,
}

/// Answers go back in the order of the requests, injected ones in their place.
struct Answers {
    client: TcpStream,
    due: VecDeque<Due>,
}

enum Due {
    FromServer,
    Injected(String),
}

impl Answers {
    /// Writes the injected answers whose turn has come.
    fn flush_injected(&mut self) -> std::io::Result<()> {
        while let Some(Due::Injected(error)) = self.due.front() {
            let line = format!("-{error}\r\n");
            self.client.write_all(line.as_bytes())?;
            self.due.pop_front();
        }
        Ok(())
    }
}

fn connect(client: TcpStream, shared: &Arc<Shared>) {
    let number = shared.accepted.fetch_add(1, Ordering::SeqCst) + 1;
    if *shared.mode.lock().unwrap() == Mode::Refuse {
        return;
    }
    if let Ok(server) = TcpStream::connect(shared.upstream) {
        serve(client, server, number, shared);
    }
}

fn serve(client: TcpStream, server: TcpStream, number: usize, shared: &Arc<Shared>) {
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let copy = |stream: &TcpStream| stream.try_clone().unwrap();
    shared
        .streams
        .lock()
        .unwrap()
        .extend([copy(&client), copy(&server)]);
    let connection = Arc::new(Connection {
        shared: Arc::clone(shared),
        number,
        to_server: Mutex::new(copy(&server)),
        to_client: Mutex::new(Answers {
            client: copy(&client),
            due: VecDeque::new(),
        }),
    });
    for (from, is_client) in [(client, true), (server, false)] {
        let connection = Arc::clone(&connection);
        std::thread::spawn(move || {
            let _ = if is_client {
                connection.requests(from)
            } else {
                connection.answers(from)
            };
            connection.close();
        });
    }
}

impl Connection {
    /// Client to server, command by command.
    fn requests(&self, mut from: TcpStream) -> std::io::Result<()> {
        let (mut buffer, mut chunk) = (Vec::new(), vec![0; 1 << 16]);
        loop {
            let read = from.read(&mut chunk)?;
            if read == 0 {
                return Ok(());
            }
            let mode = self.mode();
            if let Mode::Delay(pause) = mode {
                std::thread::sleep(pause);
            }
            if mode == Mode::HoldRequests || self.is_swallowed() {
                buffer.clear();
                continue;
            }
            buffer.extend_from_slice(&chunk[..read]);
            let mut used = 0;
            let mut forward = Vec::new();
            let mut answers = self.to_client();
            while let Some((frame, length)) = resp::parse(&buffer[used..]) {
                match self.injected(&frame) {
                    Some(error) => answers.due.push_back(Due::Injected(error)),
                    None => {
                        answers.due.push_back(Due::FromServer);
                        forward.extend_from_slice(&buffer[used..used + length]);
                    }
                }
                used += length;
            }
            answers.flush_injected()?;
            drop(answers);
            buffer.drain(..used);
            self.to_server.lock().unwrap().write_all(&forward)?;
        }
    }

    /// Server to client, answer by answer.
    fn answers(&self, mut from: TcpStream) -> std::io::Result<()> {
        let (mut buffer, mut chunk) = (Vec::new(), vec![0; 1 << 16]);
        loop {
            let read = from.read(&mut chunk)?;
            if read == 0 {
                return Ok(());
            }
            if self.is_swallowed() {
                continue;
            }
            buffer.extend_from_slice(&chunk[..read]);
            let mut used = 0;
            let mut answers = self.to_client();
            while let Some((_, length)) = resp::parse(&buffer[used..]) {
                answers.client.write_all(&buffer[used..used + length])?;
                // A RESP3 push answers no request.
                if buffer[used] != b'>' {
                    answers.due.pop_front();
                    answers.flush_injected()?;
                }
                used += length;
            }
            buffer.drain(..used);
        }
    }

    fn mode(&self) -> Mode {
        *self.shared.mode.lock().unwrap()
    }

    fn is_swallowed(&self) -> bool {
        self.mode() == Mode::Swallow || self.number <= self.shared.swallowed.load(Ordering::SeqCst)
    }

    fn to_client(&self) -> MutexGuard<'_, Answers> {
        self.to_client.lock().unwrap()
    }

    /// The error that answers this command, when one is to.
    fn injected(&self, command: &resp::Frame) -> Option<String> {
        let injection = self.shared.injection.lock().unwrap();
        let injection = injection.as_ref()?;
        let [name, channel, ..] = command.items() else {
            return None;
        };
        let name = name.bytes()?.to_ascii_uppercase();
        let channel = String::from_utf8_lossy(channel.bytes()?);
        let meant = match &injection.channels {
            None => true,
            Some(channels) => channels.iter().any(|c| *c == channel),
        };
        if !meant || !matches!(name.as_slice(), b"PUBLISH" | b"SPUBLISH") {
            return None;
        }
        self.shared.injected.fetch_add(1, Ordering::SeqCst);
        Some(injection.error.clone())
    }

    fn close(&self) {
        let _ = self.to_server.lock().unwrap().shutdown(Shutdown::Both);
        let _ = self.to_client().client.shutdown(Shutdown::Both);
    }
}
