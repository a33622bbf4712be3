//! A real `redis-server` per test, on a free loopback port, in a folder of its own.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use redis::FromRedisValue;

use super::wait;

/// How long a server may take to answer its first command.
const START: Duration = Duration::from_secs(10);

/// A `redis-server` child; killed on drop.
pub struct RedisServer {
    port: u16,
    dir: tempfile::TempDir,
    child: Mutex<Option<Child>>,
    extra: Vec<String>,
    password: Mutex<Option<String>>,
}

impl RedisServer {
    /// A running server without a password.
    pub fn start() -> Self {
        let server = Self::absent();
        server.start_again();
        server
    }

    /// A running server with more command-line options, e.g. `["--maxmemory", "10mb"]`.
    pub fn start_with(options: &[&str]) -> Self {
        let mut server = Self::absent();
        server.extra = options.iter().map(ToString::to_string).collect();
        server.start_again();
        server
    }

    /// A running server that asks for a password.
    pub fn start_with_password(password: &str) -> Self {
        let mut server = Self::absent();
        server.extra = vec!["--requirepass".into(), password.into()];
        server.password = Mutex::new(Some(password.into()));
        server.start_again();
        server
    }

    /// A port and a folder, and nobody there yet: see [`Self::start_again`].
    pub fn absent() -> Self {
        Self {
            port: free_port(),
            dir: tempfile::tempdir().unwrap(),
            child: Mutex::new(None),
            extra: Vec::new(),
            password: Mutex::new(None),
        }
    }

    /// Starts the server, or starts it again on the same port, and waits until it answers.
    pub fn start_again(&self) {
        let mut child = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
            .args(["--repl-diskless-sync-delay", "0"])
            .args(["--client-output-buffer-limit", "pubsub 0 0 0"])
            .args(["--unixsocket", &self.socket().to_string_lossy()])
            .arg("--dir")
            .arg(self.dir.path())
            .args(&self.extra)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server can be started: is it installed?");
        wait::until("redis-server answers", START, || {
            let exited = child.try_wait().unwrap();
            assert!(
                exited.is_none(),
                "redis-server ended at once: {exited:?}, port {}",
                self.port
            );
            self.try_query::<String>(&["PING"]).ok()
        });
        *self.child.lock().unwrap() = Some(child);
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.lock().unwrap().as_ref().map(Child::id)
    }

    /// The Unix socket it listens on.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("redis.sock")
    }

    /// The URL of the server, without credentials.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The password that this harness and the recorder authenticate with.
    pub fn password(&self) -> Option<String> {
        self.password.lock().unwrap().clone()
    }

    /// Kills the server as a crash would.
    pub fn kill(&self) {
        if let Some(mut child) = self.child.lock().unwrap().take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Freezes the server: sockets stay open, nobody answers.
    pub fn stop(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets a frozen server go on.
    pub fn cont(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Sets another password and cuts off everybody but subscribers; existing subscriptions stay.
    pub fn change_password(&self, password: &str) {
        self.command(&["CONFIG", "SET", "requirepass", password]);
        *self.password.lock().unwrap() = (!password.is_empty()).then(|| password.to_owned());
        self.disconnect_clients();
    }

    /// Cuts off everybody but subscribers.
    pub fn disconnect_clients(&self) {
        self.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    }

    /// Runs a command for its effect.
    #[track_caller]
    pub fn command(&self, parts: &[&str]) {
        self.query::<redis::Value>(parts);
    }

    /// Runs a command and reads its answer.
    #[track_caller]
    pub fn query<T: FromRedisValue>(&self, parts: &[&str]) -> T {
        self.try_query(parts)
            .unwrap_or_else(|error| panic!("{}: {error}", parts[0]))
    }

    /// Runs a command that may fail.
    pub fn try_query<T: FromRedisValue>(&self, parts: &[&str]) -> redis::RedisResult<T> {
        self.try_query_within(parts, Duration::from_secs(5))
    }

    /// Runs a command that may fail or not be answered.
    pub fn try_query_within<T: FromRedisValue>(
        &self,
        parts: &[&str],
        timeout: Duration,
    ) -> redis::RedisResult<T> {
        let client = redis::Client::open(self.url())?;
        let mut connection = client.get_connection_with_timeout(timeout)?;
        connection.set_read_timeout(Some(timeout))?;
        if let Some(password) = self.password() {
            redis::cmd("AUTH").arg(password).query::<()>(&mut connection)?;
        }
        let mut command = redis::Cmd::new();
        for part in parts {
            command.arg(*part);
        }
        command.query(&mut connection)
    }

    fn signal(&self, signal: Signal) {
        if let Some(child) = self.child.lock().unwrap().as_ref() {
            kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A loopback port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}
