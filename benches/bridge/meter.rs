//! Measures from outside, the same for whoever is measured: what Redis has executed, and what the kernel says that
//! each process has used.

use std::time::{Duration, Instant};

use procfs::process::Process as Proc;
use procfs::{CurrentSI as _, KernelStats};

use crate::Fallible;
use crate::stage::{Process, Stage};

/// Between two looks.
const STEP: Duration = Duration::from_millis(10);
/// So long nothing may happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// What one look shows.
#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Instant,
    publishes: u64,
    /// CPU time so far, in seconds: those who are measured, Redis, Kafka, and everything on the machine.
    subject: f64,
    redis: f64,
    kafka: f64,
    machine: f64,
}

/// A backlog that was published to its end.
#[derive(Debug, Clone, Copy)]
pub struct Drained {
    /// From the first publish seen to the last.
    pub seconds: f64,
    /// Records that were published in that time.
    pub records: f64,
    /// CPU seconds in that time.
    pub subject_cpu: f64,
    pub redis_cpu: f64,
    pub kafka_cpu: f64,
    /// CPU seconds of everything else on the machine, the kernel's and the measuring included.
    pub other_cpu: f64,
    /// CPU seconds of those who are measured since their start.
    pub subject_cpu_total: f64,
}

/// Watches a run on a stage.
pub struct Meter {
    redis: redis::Connection,
    redis_pid: u32,
    kafka_pid: u32,
}

impl Meter {
    /// A meter for one run: Redis counts from zero again.
    pub fn new(stage: &Stage) -> Fallible<Self> {
        let mut redis = redis::Client::open(stage.redis.url())?.get_connection()?;
        redis::cmd("CONFIG").arg("RESETSTAT").query::<()>(&mut redis)?;
        Ok(Self {
            redis,
            redis_pid: stage.redis_pid()?,
            kafka_pid: stage.kafka_pid()?,
        })
    }

    /// Waits until `records` records are out, each with `channels` publishes.
    pub fn drain(&mut self, subjects: &mut [Process], records: u64, channels: u64) -> Fallible<Drained> {
        let all = records * channels;
        let mut first = self.sample(subjects)?;
        let mut newest = first;
        let mut moved = Instant::now();
        while newest.publishes < all {
            std::thread::sleep(STEP);
            let sample = self.sample(subjects)?;
            if sample.publishes > newest.publishes {
                moved = sample.at;
            }
            // The clock starts with the first look that shows some; one that shows all is too late for that.
            if first.publishes == 0 && sample.publishes < all {
                first = sample;
            }
            if moved.elapsed() > PATIENCE {
                return Err(format!("{} of {all} publishes, and no more", sample.publishes).into());
            }
            subjects.iter_mut().try_for_each(Process::check)?;
            newest = sample;
        }
        Ok(Drained::between(&first, &newest, channels))
    }

    fn sample(&mut self, subjects: &[Process]) -> Fallible<Sample> {
        let publishes = self.publishes()?;
        let at = Instant::now();
        let subject = subjects
            .iter()
            .map(|subject| cpu_seconds(subject.pid()))
            .sum::<Fallible<f64>>()?;
        Ok(Sample {
            at,
            publishes,
            subject,
            redis: cpu_seconds(self.redis_pid)?,
            kafka: cpu_seconds(self.kafka_pid)?,
            machine: machine_seconds()?,
        })
    }

    /// How many PUBLISH commands Redis has executed.
    pub fn publishes(&mut self) -> Fallible<u64> {
        let info: String = redis::cmd("INFO").arg("commandstats").query(&mut self.redis)?;
        let Some((_, calls)) = info.split_once("cmdstat_publish:calls=") else {
            return Ok(0);
        };
        let digits = calls.split_once(',').map_or(calls, |(digits, _)| digits);
        Ok(digits.parse()?)
    }
}

impl Drained {
    fn between(first: &Sample, last: &Sample, channels: u64) -> Self {
        let named = |sample: &Sample| sample.subject + sample.redis + sample.kafka;
        Self {
            seconds: last.at.duration_since(first.at).as_secs_f64(),
            records: (last.publishes - first.publishes) as f64 / channels as f64,
            subject_cpu: last.subject - first.subject,
            redis_cpu: last.redis - first.redis,
            kafka_cpu: last.kafka - first.kafka,
            other_cpu: (last.machine - first.machine) - (named(last) - named(first)),
            subject_cpu_total: last.subject,
        }
    }

    /// Records per second.
    pub fn throughput(&self) -> f64 {
        self.records / self.seconds
    }

    /// Microseconds of CPU per record.
    pub fn micros_per_record(&self) -> f64 {
        self.subject_cpu * 1e6 / self.records
    }

    /// The same with everything since the start of the process.
    pub fn micros_per_record_with_start(&self) -> f64 {
        self.subject_cpu_total * 1e6 / self.records
    }
}

/// User and system time of a process in all its threads, in seconds.
pub fn cpu_seconds(pid: u32) -> Fallible<f64> {
    let stat = Proc::new(pid.cast_signed())?.stat()?;
    Ok((stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64)
}

/// What all CPUs have worked, in seconds.
fn machine_seconds() -> Fallible<f64> {
    let total = KernelStats::current()?.total;
    let busy = total.user + total.nice + total.system + total.irq.unwrap_or(0) + total.softirq.unwrap_or(0);
    Ok(busy as f64 / procfs::ticks_per_second() as f64)
}
