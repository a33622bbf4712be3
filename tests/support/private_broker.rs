//! A broker of the test's own, for tests that break it or need it to refuse something.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::kafka::{Kafka, skipped};

/// A broker started through the project's script; stopped on drop.
pub struct PrivateBroker {
    values: HashMap<String, String>,
}

impl PrivateBroker {
    /// A plain broker, or `None` where none can be had.
    pub fn start(test: &str) -> Option<Self> {
        Self::start_with(test, &[])
    }

    /// A broker with a SASL listener and an authorizer, or `None` where none can be had.
    pub fn start_with_sasl(test: &str) -> Option<Self> {
        Self::start_with(test, &["--sasl"])
    }

    /// A broker that can also be reached through a gateway, or `None` where none can be had.
    pub fn start_behind(test: &str, gateway: SocketAddr) -> Option<Self> {
        Self::start_with(test, &["--gateway", &gateway.to_string()])
    }

    /// A broker with more options of the script's, e.g. `["--property", "K=V"]`.
    pub fn start_with(test: &str, options: &[&str]) -> Option<Self> {
        let mut child = Command::new(script())
            .args(["start", "--parent", &std::process::id().to_string()])
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .ok()
            .or_else(|| skipped(test, "scripts/kafka can't be started"))?;
        let lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let values = lines.filter_map(|line| {
            let (key, value) = line.split_once('=')?;
            Some((key.to_owned(), value.to_owned()))
        });
        let values: HashMap<_, _> = values.collect();
        let started = child.wait().is_ok_and(|status| status.success()) && values.contains_key("DIR");
        if !started {
            return skipped(test, "scripts/kafka start failed");
        }
        Some(Self { values })
    }

    /// The broker with all rights.
    pub fn kafka(&self) -> Kafka {
        Kafka::at(self.value("BOOTSTRAP_SERVERS"), &[])
    }

    /// The broker through its SASL listener, as this user of the script's.
    pub fn kafka_as(&self, user: &str) -> Kafka {
        let pairs = [
            ("security.protocol", "SASL_PLAINTEXT"),
            ("sasl.mechanisms", "PLAIN"),
            ("sasl.username", user),
            ("sasl.password", &format!("{user}-secret")),
        ];
        Kafka::at(self.value("SASL_BOOTSTRAP_SERVERS"), &pairs)
    }

    /// The listener that a gateway leads to.
    pub fn behind_gateway(&self) -> SocketAddr {
        self.value("GATEWAY_LISTENER").parse().unwrap()
    }

    /// Changes access control lists with Kafka's own tool, e.g. `["--add", "--allow-principal", …]`.
    pub fn acls(&self, arguments: &[&str]) {
        let done = Command::new(script())
            .args([
                "cli",
                "acls",
                "--bootstrap-server",
                &self.value("BOOTSTRAP_SERVERS"),
                "--force",
            ])
            .args(arguments)
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "acls {arguments:?}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
    }

    /// Lets the user `bridge` do something, e.g. `["--topic", …, "--operation", "Read"]`.
    pub fn allow(&self, what: &[&str]) {
        self.acls(&[&["--add", "--allow-principal", "User:bridge"], what].concat());
    }

    /// Takes the permission to write to a topic from the user `bridge`, or gives it back.
    pub fn let_write(&self, topic: &str, may: bool) {
        let change = if may { "--add" } else { "--remove" };
        let right = [
            "--allow-principal",
            "User:bridge",
            "--topic",
            topic,
            "--operation",
            "Write",
        ];
        self.acls(&[[change].as_slice(), &right].concat());
    }

    /// What the script said under this name.
    pub fn value(&self, name: &str) -> String {
        self.values
            .get(name)
            .unwrap_or_else(|| panic!("scripts/kafka start said no {name}"))
            .clone()
    }

    /// The folder of the broker.
    pub fn dir(&self) -> PathBuf {
        PathBuf::from(self.value("DIR"))
    }

    /// `restart`, `kill`, `pause`, `cont` or `stop`.
    pub fn control(&self, command: &str) {
        self.control_with(command, &[]);
    }

    /// The same for one of several brokers.
    pub fn control_node(&self, command: &str, node: i32) {
        self.control_with(command, &["--node", &node.to_string()]);
    }

    fn control_with(&self, command: &str, options: &[&str]) {
        let status = Command::new(script())
            .arg(command)
            .arg("--dir")
            .arg(self.dir())
            .args(options)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "scripts/kafka {command} failed");
    }
}

impl Drop for PrivateBroker {
    fn drop(&mut self) {
        let _ = Command::new(script())
            .arg("stop")
            .arg("--dir")
            .arg(self.dir())
            .stdout(Stdio::null())
            .status();
    }
}

pub fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/kafka")
}
