//! Latency from the producer to a subscriber, at fixed rates.
//!
//! An open loop: every record has its time to be sent, whatever happened to those before it, and carries that time as
//! its id. So a pause anywhere counts for every record that it delays, also where it delays the sender. Sender and
//! subscriber are threads of this process and share a clock.

mod subscriber;

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rdkafka::producer::{BaseProducer, Producer as _};
use serde::{Deserialize, Serialize};

use crate::records::{self, SOURCES};
use crate::settings::Settings;
use crate::spread::Spread;
use crate::stage::{Process, Stage};
use crate::{Fallible, say};
use subscriber::Subscriber;

const PARTITIONS: i32 = 12;
/// Sent at the same rate before, and not counted.
const WARM_UP: Duration = Duration::from_secs(3);
/// Until the first record comes through, and until the last does.
const PATIENCE: Duration = Duration::from_secs(30);
/// The producer: a record leaves at once, unless so many requests are under way that it goes with the next; without a
/// limit each record would be a request of its own, and the broker what is measured.
pub const SETTINGS: [(&str, &str); 3] = [
    ("linger.ms", "0"),
    ("acks", "1"),
    ("max.in.flight.requests.per.connection", "5"),
];

/// The floor or the bridge at one rate, in all rounds. Milliseconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    pub name: String,
    /// Records per second.
    pub rate: u64,
    pub p50: Spread,
    pub p99: Spread,
    pub p999: Spread,
    pub max: Spread,
    /// How far the sender was behind its times: 99 of 100 records were sent at most so late.
    pub sender_p99: Spread,
    /// Sent and never heard, in all rounds together.
    pub missing: u64,
}

/// One run. Microseconds.
struct Run {
    latency: Histogram<u64>,
    lateness: Histogram<u64>,
    missing: u64,
}

/// Runs the scenario.
pub fn run(stage: &Stage, settings: &Settings) -> Fallible<Vec<Row>> {
    let topic = stage.kafka.topic(PARTITIONS);
    let mut rows = Vec::new();
    for &rate in settings.rates() {
        let (mut floors, mut bridges) = (Vec::new(), Vec::new());
        for round in 1..=settings.latency_rounds {
            let floor = stage.floor(&topic, PARTITIONS, &["--from-end", "--with-ids"])?;
            floors.push(measure(stage, &topic, floor, rate, settings)?);
            for bridge in stage.bridges(&topic, 1, "latest", "")? {
                bridges.push(measure(stage, &topic, bridge, rate, settings)?);
            }
            for (name, runs) in [("floor", &floors), ("bridge", &bridges)] {
                let p99 = runs.last().map_or(0, |run| run.latency.value_at_quantile(0.99));
                say!(
                    "latency: {rate}/s, round {round}: {name} p99 {:.2} ms",
                    millis(p99)
                );
            }
        }
        rows.extend([row("floor", rate, &floors), row("bridge", rate, &bridges)]);
    }
    stage.kafka.delete_topic(&topic);
    Ok(rows)
}

fn row(name: &str, rate: u64, runs: &[Run]) -> Row {
    let latency = |quantile| {
        Spread::of(
            runs.iter()
                .map(|run| millis(run.latency.value_at_quantile(quantile))),
        )
    };
    Row {
        name: name.to_owned(),
        rate,
        p50: latency(0.5),
        p99: latency(0.99),
        p999: latency(0.999),
        max: latency(1.0),
        sender_p99: Spread::of(
            runs.iter()
                .map(|run| millis(run.lateness.value_at_quantile(0.99))),
        ),
        missing: runs.iter().map(|run| run.missing).sum(),
    }
}

fn millis(micros: u64) -> f64 {
    micros as f64 / 1e3
}

fn measure(
    stage: &Stage,
    topic: &str,
    mut subject: Process,
    rate: u64,
    settings: &Settings,
) -> Fallible<Run> {
    let subscriber = Subscriber::start(stage, Instant::now())?;
    let mut sender = Sender::new(stage, topic, subscriber.epoch())?;
    sender.until_one_is_heard(&subscriber, &mut subject)?;
    let measured = rate * settings.seconds;
    let warm_up = rate as f64 * settings.rest(WARM_UP).as_secs_f64();
    sender.keep_rate(rate, warm_up as u64, measured)?;
    let latency = subscriber.finish(measured, PATIENCE)?;
    subject.check()?;
    Ok(Run {
        missing: measured - latency.len(),
        latency,
        lateness: sender.lateness,
    })
}

/// A histogram of microseconds, up to a minute.
fn histogram() -> Fallible<Histogram<u64>> {
    Ok(Histogram::new_with_max(60_000_000, 3)?)
}

/// Sends records at their times.
struct Sender<'a> {
    producer: BaseProducer,
    topic: &'a str,
    epoch: Instant,
    random: fastrand::Rng,
    value: Vec<u8>,
    sent: u64,
    lateness: Histogram<u64>,
}

impl<'a> Sender<'a> {
    fn new(stage: &Stage, topic: &'a str, epoch: Instant) -> Fallible<Self> {
        let mut config = stage.kafka.client();
        for (name, value) in SETTINGS {
            config.set(name, value);
        }
        Ok(Self {
            producer: config.create()?,
            topic,
            epoch,
            random: fastrand::Rng::with_seed(1),
            value: Vec::new(),
            sent: 0,
            lateness: histogram()?,
        })
    }

    /// Sends until the way to the subscriber is open.
    fn until_one_is_heard(&mut self, subscriber: &Subscriber, subject: &mut Process) -> Fallible<()> {
        let started = Instant::now();
        while !subscriber.has_heard() {
            if started.elapsed() > PATIENCE {
                return Err("no notification came through".into());
            }
            subject.check()?;
            self.send(subscriber::UNCOUNTED)?;
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn keep_rate(&mut self, rate: u64, warm_up: u64, measured: u64) -> Fallible<()> {
        let started = Instant::now();
        for n in 0..warm_up + measured {
            let due = started + Duration::from_nanos(n * 1_000_000_000 / rate);
            if let Some(early) = due.checked_duration_since(Instant::now()) {
                self.producer.poll(Duration::ZERO);
                std::thread::sleep(early);
            }
            if n < warm_up {
                self.send(subscriber::UNCOUNTED)?;
                continue;
            }
            self.lateness.saturating_record(micros(due.elapsed()));
            self.send(nanos(due.duration_since(self.epoch)))?;
        }
        self.producer.flush(PATIENCE)?;
        Ok(())
    }

    fn send(&mut self, id: u64) -> Fallible<()> {
        let source = self.sent % SOURCES;
        self.sent += 1;
        records::write_value(&mut self.value, id, source, &mut self.random);
        records::send(
            &self.producer,
            self.topic,
            i32::try_from(source)? % PARTITIONS,
            &self.value,
        )
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
