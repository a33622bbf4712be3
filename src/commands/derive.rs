//! `derive`: a dry run without Redis. What would be published for these records, and what would be a dead letter?

mod dry_run;
mod lines;
mod show;
mod topic;

use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::commands::topic::From;
use crate::config::{self, Derivation, Override};
use crate::exit::{Exit, Failure};
use crate::observe::logging;
use dry_run::DryRun;
use lines::Defaults;
use show::{Show, Style};
use topic::Range;

/// Shown behind `--help`.
pub const EXAMPLES: &str = r#"Examples:
  kafka-redis-bridge derive --config bridge.toml --file samples.jsonl
  kafka-redis-bridge derive --config bridge.toml --topic orders --from latest --limit 20 --json
  kcat -C -b localhost:9092 -t orders -e | kafka-redis-bridge derive -c bridge.toml --as-topic orders
  echo '{"id":1,"type":"push","source_type":"repo","source_id":"a/b"}' | kafka-redis-bridge derive

A file holds one record a line: its value, or with --format json an object that may have no more than:
  {"topic":"orders","key":"k","value":{"id":1},"headers":{"X-Type":"push"},
   "partition":0,"offset":7,"timestamp":1767225600000}
(in one line). "value" and "key" are text, any JSON, or null; "timestamp" is in milliseconds or RFC 3339.

stdout has a line for each channel of a record, channel<TAB>notification, or what else becomes of it.
Nothing is published, no group is joined, and delivery.max_age is not applied.

Exit codes: 0 done; 64 usage; 65 some records would be dead letters, or a line is no record; 69 Kafka out
of reach; 78 configuration."#;

/// How records are written in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Each line is the value of a record
    Value,
    /// Each line is a JSON object with topic, key, value, headers, partition, offset, timestamp
    Json,
}

/// Arguments of `derive`.
#[derive(Debug, Args)]
pub struct DeriveArguments {
    /// Configuration file (TOML); without one the default envelope serves every topic
    #[arg(short, long, value_name = "FILE", env = "KAFKA_REDIS_BRIDGE_CONFIG")]
    config: Option<PathBuf>,
    /// Read records from this file; - is stdin, which is also the default when something is piped in
    #[arg(short, long, value_name = "FILE", conflicts_with = "topic")]
    file: Option<PathBuf>,
    /// How records are written in the file
    #[arg(long, value_enum, default_value = "value", conflicts_with = "topic")]
    format: Format,
    /// The topic whose route serves records that name none; the first topic of kafka.topics if left out
    #[arg(long, value_name = "TOPIC", conflicts_with = "topic")]
    as_topic: Option<String>,
    /// Read records from this Kafka topic, up to its present end
    #[arg(short, long, value_name = "TOPIC")]
    topic: Option<String>,
    /// kafka.bootstrap_servers: brokers to start from
    #[arg(long, value_name = "HOST:PORT,…")]
    bootstrap_servers: Option<String>,
    /// Read this partition alone
    #[arg(long, value_name = "N", requires = "topic", value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,
    /// Where to start: earliest, latest (the last --limit records, 10 by default), an offset or an RFC 3339 time
    #[arg(long, value_name = "WHERE", requires = "topic", default_value = "earliest")]
    from: From,
    /// Stop after so many records
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<u64>,
    /// Print one JSON object for each record
    #[arg(long)]
    json: bool,
}

impl DeriveArguments {
    fn reads_stdin(&self) -> bool {
        self.topic.is_none() && self.file.as_deref().is_none_or(|file| file.as_os_str() == "-")
    }
}

/// Derives all records and tells what became of them.
pub fn run(arguments: &DeriveArguments) -> Result<Exit, Failure> {
    let config = load(arguments)?;
    logging::start(&config.log);
    let style = if arguments.json { Style::Json } else { Style::Text };
    let mut dry_run = DryRun::new(&config, Show::new(style, arguments.reads_stdin()))?;
    match &arguments.topic {
        Some(name) => {
            let range = Range {
                topic: name,
                partition: arguments.partition,
                from: arguments.from,
                limit: arguments.limit,
            };
            dry_run.limit_to(range.limit());
            topic::read(&config.kafka, &range, &mut dry_run)?;
        }
        None => {
            dry_run.limit_to(arguments.limit);
            read_lines(arguments, &config, &mut dry_run)?;
        }
    }
    dry_run.finish()
}

fn load(arguments: &DeriveArguments) -> Result<Derivation, Failure> {
    let servers = arguments.bootstrap_servers.as_deref();
    let overrides = servers.map(|servers| {
        let (key, flag) = ("kafka.bootstrap_servers", "--bootstrap-servers");
        Override::new(key, servers, flag)
    });
    let file = arguments.config.as_deref();
    let from_kafka = arguments.topic.is_some();
    let overrides = overrides.into_iter().collect();
    Ok(config::load_derivation(
        file,
        std::env::vars(),
        overrides,
        from_kafka,
    )?)
}

fn read_lines(arguments: &DeriveArguments, config: &Derivation, dry_run: &mut DryRun) -> Result<(), Failure> {
    let file = arguments.file.as_deref().filter(|_| !arguments.reads_stdin());
    if arguments.file.is_none() && std::io::stdin().is_terminal() {
        return Err(Failure::new(
            Exit::Usage,
            "nothing to read: name a file (--file), a topic (--topic), or pipe records in",
        ));
    }
    let defaults = Defaults {
        format: arguments.format,
        topic: default_topic(arguments, config)?,
    };
    match file {
        None => lines::read("stdin", std::io::stdin().lock(), &defaults, dry_run),
        Some(path) => {
            let name = path.display().to_string();
            let file = std::fs::File::open(path)
                .map_err(|error| Failure::new(Exit::Usage, format!("--file {name}: {error}")))?;
            lines::read(&name, std::io::BufReader::new(file), &defaults, dry_run)
        }
    }
}

/// The topic of records that name none.
fn default_topic(arguments: &DeriveArguments, config: &Derivation) -> Result<Option<String>, Failure> {
    let mut named = config.kafka.topics.iter().filter(|topic| !topic.starts_with('^'));
    let topic = arguments.as_topic.as_ref().or_else(|| named.next()).cloned();
    match topic {
        Some(topic) => Ok(Some(topic)),
        // Then there is one route for all topics.
        None if config.routes.is_empty() => Ok(Some("unnamed".to_owned())),
        None if arguments.format == Format::Json => Ok(None),
        None => Err(Failure::new(
            Exit::Usage,
            "kafka.topics names no topic: say with --as-topic which topic's route to use",
        )),
    }
}
