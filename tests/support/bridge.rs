//! The bridge as a black box: its process, its HTTP endpoints, its logs, its exit code.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::cli::{code, command};
use super::config::Config;
use super::http;
use super::metrics::Scrape;
use super::wait;

/// How long a copy may take to start, join and be ready.
pub const READY: Duration = Duration::from_secs(30);
/// How often the background sampler scrapes.
const SAMPLE: Duration = Duration::from_millis(50);

/// What the background threads and the test share.
#[derive(Default)]
struct Shared {
    log: Mutex<Vec<String>>,
    address: Mutex<Option<SocketAddr>>,
    last: Mutex<Option<Scrape>>,
    imbalances: Mutex<Vec<String>>,
    done: AtomicBool,
}

/// A running copy; killed on drop, and its log is shown when the test has failed.
pub struct Bridge {
    child: Child,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    exit: Option<i32>,
    _dir: tempfile::TempDir,
}

impl Bridge {
    /// Starts `run` with this configuration; it need not be ready yet.
    pub fn spawn(config: &Config) -> Self {
        Self::spawn_with(config, &[])
    }

    /// The same with environment variables.
    pub fn spawn_with(config: &Config, env: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("bridge.toml");
        config.write(&file);
        let mut child = command()
            .envs(env.iter().copied())
            .arg("run")
            .arg("--config")
            .arg(&file)
            .spawn()
            .expect("the binary can be started");
        let shared = Arc::new(Shared::default());
        let stderr = child.stderr.take().unwrap();
        let threads = vec![
            std::thread::spawn({
                let shared = Arc::clone(&shared);
                move || collect(stderr, &shared)
            }),
            std::thread::spawn({
                let shared = Arc::clone(&shared);
                move || sample(&shared)
            }),
        ];
        Self {
            child,
            shared,
            threads,
            exit: None,
            _dir: dir,
        }
    }

    /// Starts a copy and waits until it is ready.
    #[track_caller]
    pub fn start(config: &Config) -> Self {
        let mut bridge = Self::spawn(config);
        bridge.wait_ready(READY);
        bridge
    }

    /// Waits until `/readyz` answers 200.
    #[track_caller]
    pub fn wait_ready(&mut self, deadline: Duration) {
        let ready = wait::poll(deadline, || {
            assert!(
                self.child.try_wait().unwrap().is_none(),
                "it ended:\n{}",
                self.log().join("\n")
            );
            (self.readyz() == 200).then_some(())
        });
        assert!(ready.is_some(), "not ready within {deadline:?}");
    }

    /// The status of `/readyz`; 0 while nobody answers.
    pub fn readyz(&self) -> u16 {
        self.try_get("/readyz").map_or(0, |response| response.status)
    }

    /// The status of `/livez`; 0 while nobody answers.
    pub fn livez(&self) -> u16 {
        self.try_get("/livez").map_or(0, |response| response.status)
    }

    /// `/status`.
    pub fn status(&self) -> serde_json::Value {
        let response = self.get("/status");
        serde_json::from_str(&response.body).unwrap_or_else(|e| panic!("/status: {e}: {}", response.body))
    }

    /// A path that must answer.
    #[track_caller]
    pub fn get(&self, path: &str) -> http::Response {
        wait::until(path, Duration::from_secs(10), || self.try_get(path))
    }

    fn try_get(&self, path: &str) -> Option<http::Response> {
        http::get(self.address()?, path).ok()
    }

    /// Where its HTTP endpoints are, once it has said so.
    pub fn address(&self) -> Option<SocketAddr> {
        *self.shared.address.lock().unwrap()
    }

    /// A scrape of now.
    #[track_caller]
    pub fn metrics(&self) -> Scrape {
        Scrape::parse(&self.get("/metrics").body)
    }

    /// The newest scrape of the sampler, also after the process has ended.
    pub fn last_metrics(&self) -> Scrape {
        self.shared.last.lock().unwrap().clone().unwrap_or_default()
    }

    /// How many records it has dropped: after an orderly end as its last words have it, else as of the newest scrape.
    pub fn dropped(&self) -> u64 {
        let log = self.log();
        let words = log
            .iter()
            .rev()
            .find(|line| line.contains("the records of this process"));
        let told = words.and_then(|line| line.split_once(" dropped=")?.1.split(' ').next()?.parse().ok());
        told.unwrap_or_else(|| self.last_metrics().settled("dropped"))
    }

    /// Waits until a scrape satisfies the condition, and returns it.
    #[track_caller]
    pub fn wait_metrics(
        &self,
        what: &str,
        deadline: Duration,
        condition: impl Fn(&Scrape) -> bool,
    ) -> Scrape {
        wait::until(what, deadline, || {
            Some(self.metrics()).filter(|scrape| condition(scrape))
        })
    }

    /// How many partitions it holds.
    pub fn assigned(&self) -> u64 {
        self.metrics().count("assigned_partitions", &[])
    }

    /// In none of the sampler's scrapes did consumed differ from settled plus in flight.
    #[track_caller]
    pub fn assert_books_balance(&self) {
        assert!(self.shared.last.lock().unwrap().is_some(), "not a single scrape");
        let imbalances = self.shared.imbalances.lock().unwrap();
        assert!(
            imbalances.is_empty(),
            "{} scrapes, e.g. {:?}",
            imbalances.len(),
            imbalances.first()
        );
    }

    /// The lines on stderr so far.
    pub fn log(&self) -> Vec<String> {
        self.shared.log.lock().unwrap().clone()
    }

    /// Waits until a line on stderr contains all of these.
    #[track_caller]
    pub fn wait_log(&self, parts: &[&str], deadline: Duration) -> String {
        wait::until(&format!("a line with {parts:?}"), deadline, || {
            self.log()
                .into_iter()
                .find(|line| parts.iter().all(|part| line.contains(part)))
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// Waits for the end and returns the exit code, negative for a signal.
    #[track_caller]
    pub fn wait_exit(&mut self, deadline: Duration) -> i32 {
        let status = wait::until("it exits", deadline, || self.child.try_wait().unwrap());
        self.join();
        *self.exit.insert(code(status))
    }

    /// SIGTERM, then the exit code.
    #[track_caller]
    pub fn terminate(&mut self, deadline: Duration) -> i32 {
        self.signal(Signal::SIGTERM);
        self.wait_exit(deadline)
    }

    /// SIGTERM to an end without complaint: exit code 0 and balanced books.
    #[track_caller]
    pub fn stop_cleanly(&mut self) {
        assert_eq!(self.terminate(Duration::from_secs(20)), 0, "exit code");
        self.assert_books_balance();
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.exit = Some(-9);
        self.join();
    }

    fn join(&mut self) {
        self.shared.done.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.join();
        if std::thread::panicking() {
            let log = self.log();
            let from = log.len().saturating_sub(100);
            eprintln!(
                "--- the bridge said (exit {:?}):\n{}",
                self.exit,
                log[from..].join("\n")
            );
        }
    }
}

/// Reads stderr to its end; the address of the endpoints is in it.
fn collect(stderr: impl Read, shared: &Shared) {
    for line in BufReader::new(stderr).split(b'\n') {
        let Ok(line) = line else { break };
        let line = String::from_utf8_lossy(&line).into_owned();
        if let Some(address) = listening(&line) {
            *shared.address.lock().unwrap() = Some(address);
        }
        shared.log.lock().unwrap().push(line);
    }
}

/// The address in the line that says where the endpoints are, in either log format.
fn listening(line: &str) -> Option<SocketAddr> {
    if !line.contains("http listening") {
        return None;
    }
    let after = line
        .split_once("address")?
        .1
        .trim_start_matches(['"', '=', ':', ' ']);
    let end = after
        .find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':')
        .unwrap_or(after.len());
    after[..end].parse().ok()
}

/// Scrapes again and again and checks the books each time.
fn sample(shared: &Shared) {
    while !shared.done.load(Ordering::SeqCst) {
        let address = *shared.address.lock().unwrap();
        if let Some(response) = address.and_then(|address| http::get(address, "/metrics").ok()) {
            let scrape = Scrape::parse(&response.body);
            shared.imbalances.lock().unwrap().extend(scrape.imbalance());
            *shared.last.lock().unwrap() = Some(scrape);
        }
        std::thread::sleep(SAMPLE);
    }
}
