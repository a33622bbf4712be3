//! The README's examples for subscribers, run as they stand there against a real Redis.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::blocks;
use super::support::redis::RedisServer;

const CHANNEL: &str = "events:repo:owner/repo";
const DEADLINE: Duration = Duration::from_secs(30);

/// A running example and what it says.
struct Example {
    child: Child,
    lines: Receiver<String>,
}

impl Example {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            output
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        Self { child, lines }
    }

    #[track_caller]
    fn says(&self, expected: &[&str]) {
        for expected in expected {
            let line = self.lines.recv_timeout(DEADLINE);
            assert_eq!(line.as_deref(), Ok(*expected));
        }
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn publish(redis: &RedisServer, channel: &str, message: &str) {
    redis.command(&["PUBLISH", channel, message]);
}

fn announce(redis: &RedisServer, id: &str) {
    let message = format!(r#"{{"id":"{id}","type":"push","source_id":"owner/repo"}}"#);
    publish(redis, CHANNEL, &message);
}

/// The recipe: subscribe, query, drop what is known; query again after a gap and after a reconnect.
fn follows_the_recipe(command: &mut Command) {
    let redis = RedisServer::start();
    let example = Example::start(command.arg(redis.url()));
    example.says(&["query", "show 1", "show 2"]);
    announce(&redis, "2");
    announce(&redis, "3");
    example.says(&["show 3"]);
    publish(
        &redis,
        "events:gap",
        r#"{"type":"gap","from":"2026-01-01T00:00:00Z","to":"2026-01-01T00:00:09Z"}"#,
    );
    announce(&redis, "4");
    example.says(&["query", "show 4"]);
    redis.kill();
    redis.start_again();
    example.says(&["query"]);
    announce(&redis, "3");
    announce(&redis, "5");
    example.says(&["show 5"]);
}

/// Past the test harness, which keeps what a test that passes prints.
fn skipped(what: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "\n!!!!! SKIPPED: {what}: {why} !!!!!");
}

fn succeeds(command: &mut Command) -> bool {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The example and the script that drives it, in a folder of their own.
fn lay_out(dir: &Path, language: &str, example: &str, driver: &str) {
    let blocks = blocks("README.md", language);
    let [block] = &blocks[..] else {
        panic!("one example in {language} is expected, not {}", blocks.len())
    };
    std::fs::write(dir.join(example), block).unwrap();
    std::fs::copy(Path::new("tests/docs").join(driver), dir.join(driver)).unwrap();
}

/// Libraries are fetched once and kept where cargo keeps what belongs to tests.
fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn python() -> Result<PathBuf, &'static str> {
    let venv = kept("docs-python");
    let python = venv.join("bin/python");
    let has_redis = || succeeds(Command::new(&python).args(["-c", "import redis"]));
    if has_redis() {
        return Ok(python);
    }
    if !succeeds(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv)) {
        return Err("there is no python3 with venv and pip");
    }
    let pip = [
        "-m",
        "pip",
        "install",
        "--timeout",
        "20",
        "--retries",
        "1",
        "redis",
    ];
    succeeds(Command::new(&python).args(pip));
    if has_redis() {
        Ok(python)
    } else {
        Err("pip could not install redis")
    }
}

fn node_modules() -> Result<PathBuf, &'static str> {
    let dir = kept("docs-node");
    let modules = dir.join("node_modules");
    if modules.join("ioredis/package.json").exists() {
        return Ok(modules);
    }
    if !succeeds(Command::new("npm").arg("--version")) {
        return Err("there is no npm");
    }
    std::fs::create_dir_all(&dir).unwrap();
    let install = ["install", "--no-audit", "--no-fund", "--prefix"];
    if succeeds(Command::new("npm").args(install).arg(&dir).arg("ioredis")) {
        Ok(modules)
    } else {
        Err("npm could not install ioredis")
    }
}

#[test]
fn the_subscriber_in_python_follows_the_recipe() {
    let python = match python() {
        Ok(python) => python,
        Err(why) => return skipped("the README's example in Python", why),
    };
    let dir = tempfile::tempdir().unwrap();
    lay_out(dir.path(), "python", "example.py", "watch.py");
    follows_the_recipe(Command::new(python).arg(dir.path().join("watch.py")));
}

#[test]
fn the_subscriber_in_javascript_follows_the_recipe() {
    let modules = match node_modules() {
        Ok(modules) => modules,
        Err(why) => return skipped("the README's example in JavaScript", why),
    };
    let dir = tempfile::tempdir().unwrap();
    lay_out(dir.path(), "js", "example.mjs", "watch.mjs");
    std::os::unix::fs::symlink(modules, dir.path().join("node_modules")).unwrap();
    follows_the_recipe(Command::new("node").arg(dir.path().join("watch.mjs")));
}
