//! Resident memory while a backlog is drained: its peak, and whether it grows.

use std::time::{Duration, Instant};

use procfs::process::Process as Proc;
use serde::{Deserialize, Serialize};

use crate::meter::Meter;
use crate::records;
use crate::settings::Settings;
use crate::stage::{Process, Stage};
use crate::{Fallible, say};

const CODEC: &str = "lz4";
/// Between two looks.
const STEP: Duration = Duration::from_millis(50);
/// So long nothing may happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// One backlog.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    pub partitions: i32,
    pub records: u64,
    /// The most that was ever resident (VmHWM).
    pub peak_mib: f64,
    /// How much the line through the samples of the last half rises over that half.
    pub growth_mib: f64,
    /// How long it took, in seconds, and how often was looked.
    pub seconds: f64,
    pub samples: usize,
}

/// Runs the scenario.
pub fn run(stage: &Stage, settings: &Settings) -> Fallible<Vec<Row>> {
    let rows = [12, settings.many_partitions()].map(|partitions| {
        let topic = stage.kafka.topic(partitions);
        let records = settings.memory_records;
        say!("memory: writing {records} records to {partitions} partitions, {CODEC}");
        records::fill(stage.kafka.client(), &topic, partitions, records, CODEC)?;
        let mut meter = Meter::new(stage)?;
        let mut copies = stage.bridges(&topic, 1, "earliest", "")?;
        let row = watch(&mut meter, &mut copies, partitions, records)?;
        say!(
            "memory: {partitions} partitions: peak {:.0} MiB, {:+.1} MiB over the last half",
            row.peak_mib,
            row.growth_mib
        );
        stage.kafka.delete_topic(&topic);
        Ok(row)
    });
    rows.into_iter().collect()
}

fn watch(meter: &mut Meter, copies: &mut [Process], partitions: i32, records: u64) -> Fallible<Row> {
    let started = Instant::now();
    let mut samples = Vec::new();
    let (mut published, mut moved) = (0, started);
    while published < records {
        std::thread::sleep(STEP);
        let now = meter.publishes()?;
        if now > published {
            (published, moved) = (now, Instant::now());
        }
        if moved.elapsed() > PATIENCE {
            return Err(format!("{published} of {records} publishes, and no more").into());
        }
        copies.iter_mut().try_for_each(Process::check)?;
        if published > 0 {
            samples.push((started.elapsed().as_secs_f64(), resident_mib(copies)?));
        }
    }
    Ok(Row {
        partitions,
        records,
        peak_mib: peak_mib(copies)?,
        growth_mib: rise(&samples[samples.len() / 2..]),
        seconds: started.elapsed().as_secs_f64(),
        samples: samples.len(),
    })
}

fn resident_mib(copies: &[Process]) -> Fallible<f64> {
    of_each(copies, |status| status.vmrss)
}

fn peak_mib(copies: &[Process]) -> Fallible<f64> {
    of_each(copies, |status| status.vmhwm)
}

fn of_each(copies: &[Process], kib: fn(&procfs::process::Status) -> Option<u64>) -> Fallible<f64> {
    let mib = |copy: &Process| -> Fallible<f64> {
        let status = Proc::new(copy.pid().cast_signed())?.status()?;
        Ok(kib(&status).unwrap_or(0) as f64 / 1024.0)
    };
    copies.iter().map(mib).sum()
}

/// How much the straight line that fits the samples best rises from the first to the last.
fn rise(samples: &[(f64, f64)]) -> f64 {
    let count = samples.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| samples.iter().map(of).sum::<f64>() / count;
    let (time, mib) = (mean(|sample| sample.0), mean(|sample| sample.1));
    let covariance: f64 = samples.iter().map(|(t, m)| (t - time) * (m - mib)).sum();
    let variance: f64 = samples.iter().map(|(t, _)| (t - time).powi(2)).sum();
    match (samples.first(), samples.last()) {
        (Some(first), Some(last)) if variance > 0.0 => covariance / variance * (last.0 - first.0),
        _ => 0.0,
    }
}
