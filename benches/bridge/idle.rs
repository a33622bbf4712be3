//! What it costs to hold many partitions in which nothing happens.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::meter::cpu_seconds;
use crate::settings::Settings;
use crate::stage::{Process, Stage};
use crate::support::metrics::Scrape;
use crate::support::wait;
use crate::{Fallible, say};

/// Until all partitions are assigned.
const PATIENCE: Duration = Duration::from_secs(120);
/// What the start has begun may end meanwhile.
const SETTLE: Duration = Duration::from_secs(5);

/// The floor or the bridge.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    pub name: String,
    pub partitions: i32,
    /// CPU in percent of a core.
    pub percent: f64,
    pub seconds: f64,
}

/// Runs the scenario.
pub fn run(stage: &Stage, settings: &Settings) -> Fallible<Vec<Row>> {
    let partitions = settings.many_partitions();
    let topic = stage.kafka.topic(partitions);
    say!("idle: {partitions} partitions");
    let floor = stage.floor(&topic, partitions, &[])?;
    let mut rows = vec![watch("floor", partitions, floor, settings)?];
    for bridge in stage.bridges(&topic, 1, "latest", "")? {
        let assigned = || {
            let scrape = Scrape::parse(&bridge.get("/metrics")?.body);
            (scrape.sum("assigned_partitions", &[]) == f64::from(partitions)).then_some(())
        };
        wait::poll(PATIENCE, assigned).ok_or("not all partitions were assigned")?;
        rows.push(watch("bridge", partitions, bridge, settings)?);
    }
    stage.kafka.delete_topic(&topic);
    Ok(rows)
}

fn watch(name: &str, partitions: i32, mut subject: Process, settings: &Settings) -> Fallible<Row> {
    std::thread::sleep(settings.rest(SETTLE));
    let (started, before) = (Instant::now(), cpu_seconds(subject.pid())?);
    std::thread::sleep(Duration::from_secs(settings.seconds));
    subject.check()?;
    let (seconds, used) = (
        started.elapsed().as_secs_f64(),
        cpu_seconds(subject.pid())? - before,
    );
    let percent = used / seconds * 100.0;
    say!("idle: {name} {percent:.2} % of a core");
    Ok(Row {
        name: name.to_owned(),
        partitions,
        percent,
        seconds,
    })
}
