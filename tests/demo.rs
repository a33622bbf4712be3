//! `demo` as a user meets it: what it prints, how it ends, and that nothing of it stays behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use support::{cli, http, wait};
use tempfile::TempDir;

/// How long a demo may take beyond the time it is told.
const SOON: Duration = Duration::from_secs(60);

/// A running demo whose output is piped.
struct Demo {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
    /// Its folder for temporary files.
    dir: TempDir,
}

impl Demo {
    fn start(args: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut child = cli::command()
            .arg("demo")
            .args(args)
            .env("TMPDIR", dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary can be started");
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            stdout
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        Self {
            child,
            lines,
            seen: Vec::new(),
            dir,
        }
    }

    /// Reads on to the first line that `wanted` accepts.
    #[track_caller]
    fn read_to(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + SOON;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left);
            let line = line.unwrap_or_else(|_| panic!("{what} is missing:\n{}", self.seen.join("\n")));
            self.seen.push(line.clone());
            if wanted(&line) {
                return line;
            }
        }
    }

    /// The address behind the first word of a line.
    fn address(&mut self, name: &str, scheme: &str) -> SocketAddr {
        let line = self.read_to(name, |line| line.starts_with(name));
        let (_, address) = line.split_once(scheme).unwrap();
        let end = address.find(['/', ',']).unwrap_or(address.len());
        address[..end].parse().unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// Waits for its end: the exit code, and the summary out of the last line.
    #[track_caller]
    fn end(&mut self) -> (i32, Value) {
        let status = wait::until("the demo has ended", SOON, || self.child.try_wait().unwrap());
        self.seen.extend(self.lines.iter());
        let mut errors = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut errors)
            .unwrap();
        assert_eq!(errors, "", "it ends without a warning");
        let last = self.seen.last().unwrap();
        let summary = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {last}"));
        (cli::code(status), summary)
    }

    /// That neither the server nor its folder stays.
    #[track_caller]
    fn assert_gone(&self, redis: SocketAddr) {
        wait::until_true("redis-server is gone", SOON, || {
            TcpStream::connect(redis).is_err()
        });
        wait::until_true("its folder is gone", SOON, || {
            self.dir.path().read_dir().unwrap().count() == 0
        });
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Checks the sums of a summary, and that something happened at all.
#[track_caller]
fn assert_adds_up(summary: &Value) {
    let number = |name: &str| {
        summary[name]
            .as_u64()
            .unwrap_or_else(|| panic!("{name}: {summary}"))
    };
    let dead: u64 = summary["dead_lettered"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(Value::as_u64)
        .sum();
    assert_eq!(summary["adds_up"], true, "{summary}");
    assert_eq!(
        number("produced"),
        number("published") + dead + number("skipped"),
        "{summary}"
    );
    assert_eq!(number("received"), number("published"), "{summary}");
    assert_eq!((number("lost"), number("unexpected")), (0, 0), "{summary}");
    assert!(number("received") > 0 && dead > 0, "{summary}");
}

#[test]
fn it_ends_by_itself_in_plain_lines_with_a_summary_that_adds_up() {
    let mut demo = Demo::start(&["--for", "5s"]);
    let redis = demo.address("Redis", "redis://");
    let (code, summary) = demo.end();
    assert_eq!(code, 0, "{summary}");
    assert_adds_up(&summary);
    demo.assert_gone(redis);
    let text = demo.seen.join("\n");
    assert!(!text.contains('\u{1b}'), "control sequences: {text:?}");
    let notifications = demo.seen.iter().filter(|line| line.contains(" ms  events:"));
    assert_eq!(
        notifications.count() as u64,
        summary["received"].as_u64().unwrap()
    );
    let counters = demo.seen.iter().filter(|line| line.contains(" published/s "));
    assert!(
        (4..=6).contains(&counters.count()),
        "a line of counters each second:\n{text}"
    );
}

#[test]
fn a_signal_ends_it_with_a_summary_and_the_metrics_are_where_it_says() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut demo = Demo::start(&["--rate", "500"]);
        let metrics = demo.address("metrics", "http://");
        let redis = demo.address("Redis", "redis://");
        demo.read_to("a dead letter", |line| line.starts_with("   dead "));
        let scraped = http::get(metrics, "/metrics").unwrap().body;
        assert!(
            scraped.contains("kafka_redis_bridge_records_consumed_total"),
            "{scraped}"
        );
        assert_eq!(http::get(metrics, "/status").unwrap().status, 200);
        demo.signal(signal);
        let (code, summary) = demo.end();
        assert_eq!(code, 0, "{summary}");
        assert_adds_up(&summary);
        demo.assert_gone(redis);
    }
}

#[test]
fn told_to_end_before_it_has_begun_it_ends() {
    let mut demo = Demo::start(&[]);
    let redis = demo.address("Redis", "redis://");
    demo.read_to("joining", |line| line.starts_with("joining"));
    demo.signal(Signal::SIGINT);
    let (code, summary) = demo.end();
    assert_eq!((code, summary["produced"].as_u64()), (0, Some(0)), "{summary}");
    demo.assert_gone(redis);
}

#[test]
fn a_reader_that_goes_away_ends_it() {
    let mut demo = Demo::start(&[]);
    let redis = demo.address("Redis", "redis://");
    // The thread that reads closes the pipe as soon as nobody takes its lines.
    demo.lines = channel().1;
    let status = wait::until("the demo has ended", SOON, || demo.child.try_wait().unwrap());
    assert_eq!(cli::code(status), 0);
    demo.assert_gone(redis);
}

#[test]
fn killed_it_takes_its_redis_server_along() {
    let mut demo = Demo::start(&[]);
    let redis = demo.address("Redis", "redis://");
    assert!(TcpStream::connect(redis).is_ok());
    demo.signal(Signal::SIGKILL);
    demo.assert_gone(redis);
}

#[test]
fn without_a_redis_server_it_says_how_to_get_one() {
    let empty = tempfile::tempdir().unwrap();
    let path = empty.path().to_str().unwrap();
    let outcome = cli::run_cli_with(&["demo"], &[("PATH", path)], SOON);
    assert_eq!(outcome.code, 69, "{}", outcome.stderr);
    assert!(
        outcome
            .stderr
            .starts_with("error: redis-server is not installed: `make demo` installs it")
    );
    assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
}
