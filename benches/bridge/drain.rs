//! Drains a backlog from its beginning: throughput and CPU per record.
//!
//! Every run of the bridge follows a run of the floor on the same topic, and is compared with that one: what the
//! machine does otherwise changes from minute to minute.

use serde::{Deserialize, Serialize};

use crate::meter::{Drained, Meter};
use crate::records::{self, REALISTIC_CHANNELS, REALISTIC_ROUTE};
use crate::settings::Settings;
use crate::spread::Spread;
use crate::stage::Stage;
use crate::{Fallible, say};

pub const PARTITIONS: i32 = 12;

/// A way to run the bridge.
struct Variant {
    name: &'static str,
    configuration: &'static str,
    channels: u64,
    copies: usize,
}

const VARIANTS: [Variant; 5] = [
    Variant {
        name: "best_effort",
        configuration: "",
        channels: 1,
        copies: 1,
    },
    Variant {
        name: "at_least_once",
        configuration: "\n[delivery]\nmode = \"at_least_once\"\n",
        channels: 1,
        copies: 1,
    },
    Variant {
        name: "realistic route",
        configuration: REALISTIC_ROUTE,
        channels: REALISTIC_CHANNELS,
        copies: 1,
    },
    Variant {
        name: "2 copies",
        configuration: "",
        channels: 1,
        copies: 2,
    },
    Variant {
        name: "3 copies",
        configuration: "",
        channels: 1,
        copies: 3,
    },
];

/// One row: a variant, or the floor, on one topic in all rounds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// `floor` or how the bridge ran.
    pub name: String,
    /// How the records are compressed.
    pub codec: String,
    /// Records per second.
    pub throughput: Spread,
    /// Microseconds of CPU per record, from the first publish to the last, in all threads of all copies.
    pub micros_per_record: Spread,
    /// The same from the start of the process on.
    pub micros_per_record_with_start: Spread,
    /// Cores in use by those who are measured, Redis, Kafka and everything else.
    pub cores: Cores,
    /// Throughput as a share of the floor's in the same round; absent for the floor itself.
    pub throughput_ratio: Option<Spread>,
    /// CPU per record as a multiple of the floor's in the same round.
    pub cpu_ratio: Option<Spread>,
}

/// Mean numbers of cores in use.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Cores {
    pub subject: f64,
    pub redis: f64,
    pub kafka: f64,
    pub others: f64,
}

/// Runs the scenario.
pub fn run(stage: &Stage, settings: &Settings) -> Fallible<Vec<Row>> {
    let mut rows = Vec::new();
    for codec in settings.codecs() {
        let topic = stage.kafka.topic(PARTITIONS);
        say!("drain: writing {} records, {codec}", settings.records);
        records::fill(stage.kafka.client(), &topic, PARTITIONS, settings.records, codec)?;
        rows.extend(on_topic(stage, settings, &topic, codec)?);
        stage.kafka.delete_topic(&topic);
    }
    Ok(rows)
}

fn on_topic(stage: &Stage, settings: &Settings, topic: &str, codec: &str) -> Fallible<Vec<Row>> {
    let mut floors = Vec::new();
    let mut pairs: [Vec<(Drained, Drained)>; VARIANTS.len()] = Default::default();
    for round in 1..=settings.rounds {
        for (variant, pairs) in VARIANTS.iter().zip(&mut pairs) {
            let floor = drain_floor(stage, topic, settings.records)?;
            let bridge = drain_bridge(stage, topic, settings.records, variant)?;
            say!(
                "drain: {codec}, round {round} of {}: floor {:.0}/s {:.2} µs, {} {:.0}/s {:.2} µs",
                settings.rounds,
                floor.throughput(),
                floor.micros_per_record(),
                variant.name,
                bridge.throughput(),
                bridge.micros_per_record(),
            );
            floors.push(floor);
            pairs.push((floor, bridge));
        }
    }
    let mut rows = vec![row("floor", codec, &floors)];
    for (variant, pairs) in VARIANTS.iter().zip(&pairs) {
        let bridges: Vec<Drained> = pairs.iter().map(|(_, bridge)| *bridge).collect();
        let ratio =
            |of: fn(&Drained) -> f64| Spread::of(pairs.iter().map(|(floor, bridge)| of(bridge) / of(floor)));
        rows.push(Row {
            throughput_ratio: Some(ratio(Drained::throughput)),
            cpu_ratio: Some(ratio(Drained::micros_per_record)),
            ..row(variant.name, codec, &bridges)
        });
    }
    Ok(rows)
}

fn drain_floor(stage: &Stage, topic: &str, records: u64) -> Fallible<Drained> {
    let mut meter = Meter::new(stage)?;
    let floor = stage.floor(topic, PARTITIONS, &[])?;
    meter.drain(&mut [floor], records, 1)
}

fn drain_bridge(stage: &Stage, topic: &str, records: u64, variant: &Variant) -> Fallible<Drained> {
    let mut meter = Meter::new(stage)?;
    let mut copies = stage.bridges(topic, variant.copies, "earliest", variant.configuration)?;
    meter.drain(&mut copies, records, variant.channels)
}

fn row(name: &str, codec: &str, runs: &[Drained]) -> Row {
    let spread = |of: fn(&Drained) -> f64| Spread::of(runs.iter().map(of));
    let mean = |of: fn(&Drained) -> f64| {
        runs.iter().map(|run| of(run) / run.seconds).sum::<f64>() / runs.len() as f64
    };
    Row {
        name: name.to_owned(),
        codec: codec.to_owned(),
        throughput: spread(Drained::throughput),
        micros_per_record: spread(Drained::micros_per_record),
        micros_per_record_with_start: spread(Drained::micros_per_record_with_start),
        cores: Cores {
            subject: mean(|run| run.subject_cpu),
            redis: mean(|run| run.redis_cpu),
            kafka: mean(|run| run.kafka_cpu),
            others: mean(|run| run.other_cpu),
        },
        throughput_ratio: None,
        cpu_ratio: None,
    }
}
