//! Where and with what a run was made.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::process::Command;

use jiff::Timestamp;
use kafka_redis_bridge::config::Kafka;
use kafka_redis_bridge::source::client;
use procfs::{CpuInfo, Current as _, LoadAverage, Meminfo};
use serde::{Deserialize, Serialize};

use crate::Fallible;
use crate::settings::Settings;
use crate::stage::Stage;
use crate::{latency, records};

/// All of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Environment {
    pub date: Timestamp,
    pub machine: Machine,
    pub versions: BTreeMap<String, String>,
    pub settings: BTreeMap<String, String>,
    /// The consumer's, floor's and bridge's alike.
    pub consumer: BTreeMap<String, String>,
}

/// The machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub memory_gib: f64,
    pub kernel: String,
    /// The load average of a minute when the run began: beyond a few tenths the figures are not worth much.
    pub load_before: f32,
}

impl Environment {
    /// Looks around.
    pub fn of(stage: &Stage, settings: &Settings, machine: Machine) -> Fallible<Self> {
        Ok(Self {
            date: Timestamp::now(),
            machine,
            versions: versions(stage)?,
            settings: told(settings),
            consumer: consumer(),
        })
    }
}

impl Machine {
    /// This one.
    pub fn here() -> Fallible<Self> {
        let info = CpuInfo::current()?;
        Ok(Self {
            cpu: info.model_name(0).unwrap_or("unknown").to_owned(),
            cores: info.num_cores(),
            memory_gib: Meminfo::current()?.mem_total as f64 / f64::from(1 << 30),
            kernel: std::fs::read_to_string("/proc/sys/kernel/osrelease")?
                .trim()
                .to_owned(),
            load_before: LoadAverage::current()?.one,
        })
    }
}

fn versions(stage: &Stage) -> Fallible<BTreeMap<String, String>> {
    // SAFETY: librdkafka's version is a static text.
    let librdkafka = unsafe { CStr::from_ptr(rdkafka::bindings::rd_kafka_version_str()) };
    let commit = match said("git", &["status", "--porcelain"]) {
        Some(changes) if !changes.is_empty() => " with changes",
        _ => "",
    };
    let unknown = || "unknown".to_owned();
    let git = said("git", &["rev-parse", "--short", "HEAD"]);
    let versions = [
        ("bridge", env!("CARGO_PKG_VERSION").to_owned()),
        ("commit", git.map_or_else(unknown, |hash| hash + commit)),
        (
            "build",
            if cfg!(debug_assertions) {
                "debug"
            } else {
                "release"
            }
            .to_owned(),
        ),
        ("rustc", said("rustc", &["--version"]).unwrap_or_else(unknown)),
        ("librdkafka", librdkafka.to_string_lossy().into_owned()),
        ("kafka", stage.kafka_version()?),
        ("redis", stage.redis_version()?),
    ];
    Ok(versions.map(|(name, version)| (name.to_owned(), version)).into())
}

fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

fn told(settings: &Settings) -> BTreeMap<String, String> {
    let list = |settings: &[(&str, &str)]| {
        let pairs: Vec<String> = settings
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join(" ")
    };
    let (_, payload) = records::notification(0);
    let mut value = Vec::new();
    records::write_value(&mut value, 0, 0, &mut fastrand::Rng::with_seed(1));
    let told = [
        ("quick", settings.quick.to_string()),
        ("rounds", settings.rounds.to_string()),
        ("latency_rounds", settings.latency_rounds.to_string()),
        ("seconds", settings.seconds.to_string()),
        ("records", settings.records.to_string()),
        ("memory_records", settings.memory_records.to_string()),
        ("value_bytes", value.len().to_string()),
        ("payload_bytes", payload.len().to_string()),
        ("producer_of_backlogs", list(&records::FILL_SETTINGS)),
        ("producer_of_latency", list(&latency::SETTINGS)),
    ];
    told.map(|(name, value)| (name.to_owned(), value)).into()
}

fn consumer() -> BTreeMap<String, String> {
    let config = client::grouped(&Kafka::default(), "");
    let ours = config.config_map().into_iter();
    let telling =
        ours.filter(|(name, _)| !matches!(*name, "bootstrap.servers" | "group.id" | "topic.blacklist"));
    telling
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
