//! Commands that end by themselves.

use std::io::Read;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::wait;

/// The binary under test.
pub fn binary() -> String {
    std::env::var("BRIDGE_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_kafka-redis-bridge").to_owned())
}

/// What a command did that ended by itself.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

/// Runs a command to its end, or panics at the deadline.
#[track_caller]
pub fn run_cli(args: &[&str], deadline: Duration) -> Outcome {
    run_cli_with(args, &[], deadline)
}

/// The same with environment variables.
#[track_caller]
pub fn run_cli_with(args: &[&str], env: &[(&str, &str)], deadline: Duration) -> Outcome {
    let started = Instant::now();
    let mut child = command()
        .args(args)
        .envs(env.iter().copied())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary can be started");
    let mut pipes = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let read = |pipe: &mut dyn Read| {
        let mut text = String::new();
        let _ = pipe.read_to_string(&mut text);
        text
    };
    let stderr = std::thread::spawn(move || read(&mut pipes.1));
    let stdout = std::thread::spawn(move || read(&mut pipes.0));
    let status = wait::poll(deadline, || child.try_wait().unwrap());
    let took = started.elapsed();
    let _ = child.kill();
    let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
    let status = status.unwrap_or_else(|| panic!("{args:?} not done within {deadline:?}: {stderr}"));
    Outcome {
        code: code(status),
        stdout,
        stderr,
        took,
    }
}

/// The binary with nothing of this process' environment that would configure it.
pub fn command() -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("KAFKA_REDIS_BRIDGE_")) {
        command.env_remove(name);
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// The exit code, negative for a signal.
pub fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().unwrap_or_else(|| -status.signal().unwrap_or(0))
}
