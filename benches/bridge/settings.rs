//! What the command line says.

use std::path::PathBuf;
use std::time::Duration;

/// Measures the bridge against the floor, on a real Kafka and a real Redis that it starts itself.
///
/// Example: make bench ARGS="--only drain --rounds 5"
#[derive(Debug, clap::Parser)]
#[command(name = "bench")]
pub struct Settings {
    #[command(subcommand)]
    pub role: Option<Role>,
    /// Scenarios to run; without it, all of them
    #[arg(long, value_delimiter = ',')]
    pub only: Vec<Scenario>,
    /// How often floor and bridge take turns
    #[arg(long, default_value_t = 3)]
    pub rounds: u32,
    /// The same for latency
    #[arg(long, default_value_t = 1)]
    pub latency_rounds: u32,
    /// Records of the drained backlog
    #[arg(long, default_value_t = 3_000_000)]
    pub records: u64,
    /// Records of the backlog while memory is measured
    #[arg(long, default_value_t = 5_000_000)]
    pub memory_records: u64,
    /// Seconds that each rate is kept up, and that idling is watched
    #[arg(long, default_value_t = 30)]
    pub seconds: u64,
    /// Start the servers, fill the topics, say how to run floor and bridge on them, and wait for Ctrl-C
    #[arg(long)]
    pub serve: bool,
    /// Where the JSON file goes; without it, target/bench/TIME.json
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// Few records and seconds: shows that everything works, measures nothing
    #[arg(long)]
    pub quick: bool,
    /// Print the tables of a JSON file as Markdown instead of measuring
    #[arg(long, value_name = "JSON")]
    pub markdown: Option<PathBuf>,
    /// cargo passes this
    #[arg(long, hide = true)]
    bench: bool,
}

/// What else this program can be.
#[derive(Debug, clap::Subcommand)]
pub enum Role {
    /// The least that reads Kafka and publishes to Redis: the yardstick
    Floor(crate::floor::Arguments),
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Scenario {
    Drain,
    Latency,
    Memory,
    Idle,
}

impl Settings {
    /// Whether a scenario is wanted.
    pub fn wants(&self, scenario: Scenario) -> bool {
        self.only.is_empty() || self.only.contains(&scenario)
    }

    /// The partitions of a large topic.
    pub fn many_partitions(&self) -> i32 {
        if self.quick { 50 } else { 1_000 }
    }

    /// How backlogs are compressed.
    pub fn codecs(&self) -> &'static [&'static str] {
        if self.quick { &["lz4"] } else { &["lz4", "none"] }
    }

    /// Records per second at which latency is measured.
    pub fn rates(&self) -> &'static [u64] {
        if self.quick {
            &[1_000]
        } else {
            &[1_000, 10_000, 50_000]
        }
    }

    /// How long to let something settle that takes about so long.
    pub fn rest(&self, usual: Duration) -> Duration {
        if self.quick { usual / 10 } else { usual }
    }

    /// As they are in force: `--quick` has its own.
    pub fn effective(self) -> Self {
        if !self.quick {
            return self;
        }
        Self {
            rounds: 1,
            latency_rounds: 1,
            records: 100_000,
            memory_records: 100_000,
            seconds: 1,
            ..self
        }
    }
}
