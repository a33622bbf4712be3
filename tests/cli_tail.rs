//! `tail`: hears what subscribers hear, and goes on when Redis comes back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use support::cli::{code, command, run_cli};
use support::redis::{RedisServer, free_port};
use support::wait;

const SECONDS: Duration = Duration::from_secs(20);

/// A running `tail`; killed on drop.
struct Tail {
    child: Child,
    out: Receiver<String>,
    err: Receiver<String>,
}

impl Tail {
    /// Starts it and waits until it is subscribed.
    fn start(redis: &RedisServer, arguments: &[&str]) -> Self {
        let mut child = command()
            .args(["tail", "--redis-url", &redis.url()])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let tail = Self {
            child,
            out: lines(out),
            err: lines(err),
        };
        tail.says("subscribed to");
        tail
    }

    /// Waits for a line for people with this in it.
    fn says(&self, part: &str) {
        while !self.err.recv_timeout(SECONDS).unwrap().contains(part) {}
    }

    /// The next notification.
    fn next(&self) -> Value {
        serde_json::from_str(&self.out.recv_timeout(SECONDS).unwrap()).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// Its exit code once it has ended.
    fn ends(&mut self) -> i32 {
        let status = wait::until("tail ends", SECONDS, || self.child.try_wait().unwrap());
        code(status)
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

#[test]
fn channels_and_patterns_are_heard_as_json_lines() {
    let redis = RedisServer::start();
    let mut tail = Tail::start(&redis, &["--limit", "3", "events:user:a", "events:repo:*"]);
    for (channel, payload) in [
        ("events:user:b", "{}"),
        ("events:user:a", r#"{"id":"1"}"#),
        ("events:repo:x/y", "not json"),
        ("events:repo:z", "3"),
    ] {
        redis.command(&["PUBLISH", channel, payload]);
    }
    let heard = [tail.next(), tail.next(), tail.next()];
    let shown: Vec<_> = heard
        .iter()
        .map(|line| (&line["channel"], &line["payload"]))
        .collect();
    assert_eq!(
        shown,
        [
            (&json!("events:user:a"), &json!({"id": "1"})),
            (&json!("events:repo:x/y"), &json!("not json")),
            (&json!("events:repo:z"), &json!("3")),
        ]
    );
    let time = heard[0]["received_at"].as_str().unwrap();
    assert!(time.parse::<jiff::Timestamp>().is_ok(), "{time}");
    assert_eq!(tail.ends(), 0, "three are enough");
}

#[test]
fn it_goes_on_when_redis_comes_back_and_says_so() {
    let redis = RedisServer::start();
    let mut tail = Tail::start(&redis, &["events:*"]);
    redis.kill();
    tail.says("lost 127.0.0.1");
    tail.says("Connection refused");
    redis.start_again();
    tail.says("subscribed again");
    redis.command(&["PUBLISH", "events:after", "{}"]);
    assert_eq!(tail.next()["channel"], "events:after");
    tail.signal(Signal::SIGINT);
    assert_eq!(tail.ends(), 0);
}

#[test]
fn a_frozen_redis_is_noticed() {
    let redis = RedisServer::start();
    let tail = Tail::start(&redis, &["events:*"]);
    redis.stop();
    tail.says("no answer within");
    redis.cont();
    tail.says("subscribed again");
}

#[test]
fn it_ends_in_time() {
    let redis = RedisServer::start();
    let outcome = run_cli(
        &["tail", "--redis-url", &redis.url(), "--for", "300ms", "c"],
        SECONDS,
    );
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, ""), "{outcome:?}");
    assert!(outcome.took >= Duration::from_millis(300));
}

#[test]
fn what_is_wrong_at_the_start_ends_it_with_its_code() {
    let redis = RedisServer::start_with_password("right-secret");
    redis.command(&["ACL", "SETUSER", "publisher", "on", ">p-secret", "&*", "+publish"]);
    let as_user = |user: &str| redis.url().replace("redis://", &format!("redis://{user}@"));
    let absent = format!("redis://127.0.0.1:{}", free_port());
    for (url, code, part) in [
        (redis.url(), 78, "NOAUTH"),
        (as_user(":wrong-secret"), 78, "redis.password_file"),
        (as_user("publisher:p-secret"), 78, "+psubscribe"),
        (absent, 69, "Connection refused"),
        ("http://localhost".to_owned(), 78, "--redis-url"),
    ] {
        let outcome = run_cli(&["tail", "--redis-url", &url, "events:*"], SECONDS);
        assert_eq!(outcome.code, code, "{outcome:?}");
        assert!(outcome.stderr.contains(part), "{outcome:?}");
        assert!(!outcome.stderr.contains("-secret"), "{outcome:?}");
    }
    assert_eq!(run_cli(&["tail", "c"], SECONDS).code, 78, "no redis.url");
    assert_eq!(run_cli(&["tail"], SECONDS).code, 64, "no channel");
}

#[test]
fn the_password_may_come_from_the_file_that_the_service_uses() {
    let redis = RedisServer::start_with_password("right-secret");
    let dir = tempfile::tempdir().unwrap();
    let (password, config) = (dir.path().join("password"), dir.path().join("bridge.toml"));
    std::fs::write(&password, "right-secret\n").unwrap();
    let text = format!(
        "[redis]\nurl = \"{}\"\npassword_file = {password:?}\n",
        redis.url()
    );
    std::fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();
    let outcome = run_cli(&["tail", "--config", config, "--for", "100ms", "c"], SECONDS);
    assert_eq!(outcome.code, 0, "{outcome:?}");
}
