//! A real Kafka and a real Redis of this run's own, and who is measured on them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::settings::Settings;
use crate::support::kafka::{Kafka, fresh};
use crate::support::private_broker::PrivateBroker;
use crate::support::redis::{RedisServer, free_port};
use crate::support::{cli, http};
use crate::{Fallible, drain, records};

/// Several copies that start at once are to be members of the group's first generation, so that the work is shared
/// from the first record on.
const JOIN_TOGETHER: Duration = Duration::from_secs(3);

/// The servers; ended on drop.
pub struct Stage {
    pub kafka: Kafka,
    pub redis: RedisServer,
    broker: PrivateBroker,
    dir: tempfile::TempDir,
}

impl Stage {
    /// Starts them.
    pub fn start(settings: &Settings) -> Fallible<Self> {
        let delay = settings.rest(JOIN_TOGETHER).as_millis();
        let delay = format!("group.initial.rebalance.delay.ms={delay}");
        let broker = PrivateBroker::start_with("the benchmark", &["--property", &delay])
            .ok_or("no Kafka could be started: see scripts/kafka --help")?;
        Ok(Self {
            kafka: broker.kafka(),
            redis: RedisServer::start(),
            broker,
            dir: tempfile::tempdir()?,
        })
    }

    /// Kafka's process.
    pub fn kafka_pid(&self) -> Fallible<u32> {
        Ok(self.broker.value("PID").parse()?)
    }

    /// Redis' process.
    pub fn redis_pid(&self) -> Fallible<u32> {
        Ok(self.redis.pid().ok_or("redis-server has ended")?)
    }

    /// The broker's version, from its own log.
    pub fn kafka_version(&self) -> Fallible<String> {
        let log = std::fs::read_to_string(self.broker.dir().join("kafka.log"))?;
        let version = log
            .split_once("Kafka version: ")
            .and_then(|(_, rest)| rest.split_whitespace().next());
        Ok(version.unwrap_or("unknown").to_owned())
    }

    /// The server's version.
    pub fn redis_version(&self) -> Fallible<String> {
        let info: String = self.redis.try_query(&["INFO", "server"])?;
        let line = info.lines().find_map(|line| line.strip_prefix("redis_version:"));
        Ok(line.unwrap_or("unknown").to_owned())
    }

    /// Where Redis listens.
    pub fn redis_address(&self) -> String {
        format!("127.0.0.1:{}", self.redis.port())
    }

    /// Lets people profile: topics as `drain` has them, and how to run floor and bridge on them, until Ctrl-C.
    pub fn serve(&self, settings: &Settings) -> Fallible<()> {
        for codec in settings.codecs() {
            let topic = self.kafka.topic(drain::PARTITIONS);
            records::fill(
                self.kafka.client(),
                &topic,
                drain::PARTITIONS,
                settings.records,
                codec,
            )?;
            let file = self.dir.path().join(format!("{codec}.toml"));
            // Every start with a group of its own drains from the beginning.
            std::fs::write(
                &file,
                self.configuration(&topic, "change-me", "earliest", free_port()),
            )?;
            println!(
                "{codec}:\n  {} floor --bootstrap-servers {} --topic {topic} --partitions {} --redis {} --records {}\n  \
                 KAFKA_REDIS_BRIDGE__KAFKA__GROUP_ID=$RANDOM {} run --config {}",
                std::env::current_exe()?.display(),
                self.kafka.bootstrap,
                drain::PARTITIONS,
                self.redis_address(),
                settings.records,
                cli::binary(),
                file.display(),
            );
        }
        println!("Ctrl-C ends the servers");
        loop {
            std::thread::park();
        }
    }

    /// Starts the floor on a topic.
    pub fn floor(&self, topic: &str, partitions: i32, options: &[&str]) -> Fallible<Process> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["floor", "--bootstrap-servers", &self.kafka.bootstrap])
            .args(["--topic", topic, "--partitions", &partitions.to_string()])
            .args(["--redis", &self.redis_address()])
            .args(options);
        Process::spawn(command, &self.dir.path().join(fresh("floor")), None)
    }

    /// Starts copies of the bridge on a topic, in a group of their own; `more` goes into the configuration's file.
    pub fn bridges(
        &self,
        topic: &str,
        copies: usize,
        start_from: &str,
        more: &str,
    ) -> Fallible<Vec<Process>> {
        let group = fresh("bench");
        let copy = |_| {
            let port = free_port();
            let file = self.dir.path().join(fresh("bridge"));
            std::fs::write(&file, self.configuration(topic, &group, start_from, port) + more)?;
            let mut command = cli::command();
            command.args(["run", "--config"]).arg(&file);
            Process::spawn(
                command,
                &file.with_extension("log"),
                Some(([127, 0, 0, 1], port).into()),
            )
        };
        (0..copies).map(copy).collect()
    }

    /// Defaults, but for what a benchmark can't do without.
    pub fn configuration(&self, topic: &str, group: &str, start_from: &str, port: u16) -> String {
        format!(
            "[kafka]\nbootstrap_servers = \"{}\"\ngroup_id = \"{group}\"\ntopics = [\"{topic}\"]\n\
             start_from = \"{start_from}\"\n\n[redis]\nurl = \"redis://{}\"\n\n[http]\nlisten = \"127.0.0.1:{port}\"\n",
            self.kafka.bootstrap,
            self.redis_address(),
        )
    }
}

/// The floor or a copy of the bridge; killed on drop.
pub struct Process {
    child: Child,
    log: PathBuf,
    http: Option<SocketAddr>,
}

impl Process {
    fn spawn(mut command: Command, log: &Path, http: Option<SocketAddr>) -> Fallible<Self> {
        let file = std::fs::File::create(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()?;
        Ok(Self {
            child,
            log: log.to_owned(),
            http,
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// An error with the end of its log when it has ended.
    pub fn check(&mut self) -> Fallible<()> {
        let Some(status) = self.child.try_wait()? else {
            return Ok(());
        };
        let log = std::fs::read_to_string(&self.log)?;
        let from = log.char_indices().rev().nth(2000).map_or(0, |(index, _)| index);
        Err(format!("what is measured ended with {status}:\n{}", &log[from..]).into())
    }

    /// Asks a copy of the bridge for a page.
    pub fn get(&self, path: &str) -> Option<http::Response> {
        http::get(self.http?, path).ok()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
