//! A redis-server of our own, on a free loopback port.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;

use crate::exit::Failure;

/// How long the server may take to answer.
const START: Duration = Duration::from_secs(10);
/// How long it may take to go away.
const END: Duration = Duration::from_secs(5);
/// Between two looks.
const STEP: Duration = Duration::from_millis(20);

const NOT_INSTALLED: &str = "redis-server is not installed: `make demo` installs it; or install your system's package \
                             (Debian, Ubuntu: apt-get install redis-server; Fedora: dnf install redis; macOS: brew \
                             install redis)";

/// Runs the server for as long as our end of its standard input is open. However this process ends, kill -9
/// included, the end closes, and server and folder go. The shell is the server's parent and waits for it: the process
/// id that it kills can't be anybody else's.
const GUARD: &str = r#"
redis-server --port "$1" --bind 127.0.0.1 --dir "$2" --logfile "$2/redis.log" --save "" --appendonly no &
server=$!
trap "" HUP INT TERM
read -r _
kill -KILL "$server"
wait "$server"
rm -rf "$2"
"#;

/// A redis-server that ends with this value, or with this process.
pub struct RedisServer {
    port: u16,
    guard: Child,
    lifeline: Option<ChildStdin>,
    // Behind the guard, which removes what the server has written.
    _dir: TempDir,
}

impl RedisServer {
    /// Starts it and waits until it answers.
    pub async fn start() -> Result<Self, Failure> {
        find()?;
        let unavailable =
            |error: &dyn std::fmt::Display| Failure::unavailable(format!("redis-server: {error}"));
        let dir = tempfile::Builder::new()
            .prefix("kafka-redis-bridge-demo-")
            .tempdir()
            .map_err(|error| unavailable(&error))?;
        let path = dir.path().canonicalize().map_err(|error| unavailable(&error))?;
        let port = free_port().map_err(|error| unavailable(&error))?;
        let mut guard = Command::new("sh")
            .args(["-c", GUARD, "sh", &port.to_string()])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C at the terminal is for this process alone: the bridge drains into a server that is there.
            .process_group(0)
            .spawn()
            .map_err(|error| unavailable(&error))?;
        let server = Self {
            port,
            lifeline: guard.stdin.take(),
            guard,
            _dir: dir,
        };
        server.answers(&path).await?;
        Ok(server)
    }

    /// `redis.url`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    async fn answers(&self, dir: &Path) -> Result<(), Failure> {
        let deadline = Instant::now() + START;
        while Instant::now() < deadline {
            if self.dir().await.is_ok_and(|theirs| theirs == dir) {
                return Ok(());
            }
            tokio::time::sleep(STEP).await;
        }
        let log = std::fs::read_to_string(dir.join("redis.log")).unwrap_or_default();
        let last = log.lines().next_back().unwrap_or("it has logged nothing");
        Err(Failure::unavailable(format!(
            "redis-server does not answer on port {}: {last}",
            self.port
        )))
    }

    /// The folder of the server that answers: another one may have been faster to take the port.
    async fn dir(&self) -> redis::RedisResult<PathBuf> {
        let client = redis::Client::open(self.url())?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        let (_, dir): (String, String) = redis::cmd("CONFIG")
            .arg("GET")
            .arg("dir")
            .query_async(&mut connection)
            .await?;
        Ok(PathBuf::from(dir))
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        let deadline = std::time::Instant::now() + END;
        while let Ok(None) = self.guard.try_wait() {
            if std::time::Instant::now() > deadline {
                break;
            }
            std::thread::sleep(STEP);
        }
    }
}

/// Says how to install the program where it isn't there.
fn find() -> Result<(), Failure> {
    let asked = Command::new("redis-server")
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match asked {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Failure::unavailable(NOT_INSTALLED)),
        Err(error) => Err(Failure::unavailable(format!("redis-server: {error}"))),
    }
}

/// A loopback port that was free a moment ago.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
