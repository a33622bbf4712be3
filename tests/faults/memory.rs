//! Everything is slow for a long time: Kafka, Redis, and letters on their way all the while.

use std::time::{Duration, Instant};

use super::poison::Odd;
use super::setting::Setting;
use super::support::gateway::{Gateway, Way};
use super::support::private_broker::PrivateBroker;
use super::support::proxy::Mode;
use super::support::scenario::Scenario;
use super::support::wait;
use super::trial::{LONG, PARTITIONS, Trial};
use super::verdict::Rule;

/// More than Redis takes at this delay, so that the bridge is always full.
const RATE: u64 = 250;
/// How long each piece waits on its way to Redis, and to and from Kafka.
const DELAY: Duration = Duration::from_millis(100);
/// How much more memory the end of the last half may take than its beginning.
const GROWTH: f64 = 0.01;

/// Resident memory, sampled every second.
pub fn slow(setting: &Setting) {
    let gateway = Gateway::start();
    let broker = PrivateBroker::start_behind("slow-everything", gateway.address()).expect("a broker");
    gateway.lead_to(broker.behind_gateway());
    let mut trial = Trial::on(setting, Scenario::new(broker.kafka(), PARTITIONS));
    let servers = gateway.address().to_string();
    trial.config = trial
        .config
        .clone()
        .set("kafka.bootstrap_servers", servers.as_str());
    trial.spawn();
    trial.shared();
    let poison = Odd::poison(None, 100);
    poison.begin();
    trial.load_of(RATE, poison.make());
    trial.flows();
    gateway.set(Way::Slow(DELAY / 4));
    trial.scenario.rig.proxy.set(Mode::Delay(DELAY));
    trial.setting.tell("everything is slow");

    let began = Instant::now();
    let mut samples: Vec<(f64, f64)> = Vec::new();
    let mut next = Duration::ZERO;
    wait::holds("alive", setting.memory_for, || {
        if began.elapsed() >= next {
            next += Duration::from_secs(1);
            samples.push((began.elapsed().as_secs_f64(), resident(trial.copies[0].pid())));
        }
        trial.copies[0].livez() == 200
    });
    let last_half = &samples[samples.len() / 2..];
    let growth = growth(last_half);
    let peak = samples.iter().map(|(_, bytes)| *bytes).fold(0.0, f64::max);
    setting.remark(format!(
        "resident memory {:+.2} % over the last half, peak {:.1} MB",
        growth * 100.0,
        peak / 1e6
    ));
    poison.end();
    gateway.set(Way::Open);
    trial.scenario.rig.proxy.set(Mode::Pass);
    trial.over("nothing is slow any more");
    trial.recovers_within(LONG);
    trial.finish_with(Rule::GivenUp(0), &poison.ids());
    assert!(
        growth <= GROWTH,
        "resident memory grew by {:.2} %",
        growth * 100.0
    );
}

/// What a process keeps in memory, in bytes.
fn resident(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    kilobytes * 1024.0
}

/// How much a straight line through the samples rises from the first to the last, relative to its first value.
fn growth(samples: &[(f64, f64)]) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "a few thousand samples")]
    let count = samples.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| samples.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|s| s.0), mean(|s| s.1));
    let slope = samples.iter().map(|s| (s.0 - x) * (s.1 - y)).sum::<f64>()
        / samples.iter().map(|s| (s.0 - x).powi(2)).sum::<f64>();
    let span = samples[samples.len() - 1].0 - samples[0].0;
    slope * span / (y - slope * span / 2.0)
}
