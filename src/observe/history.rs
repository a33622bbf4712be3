//! What happened in the last minute: how many records a second, how late they were, whether lag grows. A sample a second
//! of counters that are kept anyway, on the HTTP side; the way of the records knows nothing of it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::metrics::Metrics;

/// Time between two samples.
pub const INTERVAL: Duration = Duration::from_secs(1);
/// Samples that are kept: the differences of a minute.
const MAX_SAMPLES: usize = 61;
/// What counts as now, in samples: few enough to be news, enough not to flicker.
const NOW: usize = 5;
/// Lag grows or shrinks when it has changed by more than this share within [`TREND`].
const CLEAR_CHANGE: f64 = 0.05;
/// What lag is compared with, in samples.
const TREND: usize = 10;

/// The counters at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// When.
    pub at: Instant,
    /// Records settled since the start.
    pub settled: u64,
    /// Records that the owned partitions are behind, once it is known.
    pub lag_records: Option<u64>,
    /// End-to-end latencies since the start: upper limit of each bucket, and how many are not above it.
    pub latencies: Vec<(f64, u64)>,
}

/// How many records were settled.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Throughput {
    /// Now; `null` in the first seconds.
    pub records_per_second: Option<f64>,
    /// Second by second, the newest last.
    pub last_minute: Vec<f64>,
}

/// How late records were published, seen from their timestamps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Latency {
    /// What was looked at.
    pub window_seconds: u64,
    /// Records published in that time.
    pub records: u64,
    /// Half of them were faster; `null` when there were none.
    pub p50_seconds: Option<f64>,
    /// 99 of 100 were faster.
    pub p99_seconds: Option<f64>,
}

/// Where lag is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trend {
    /// It shrinks.
    CatchingUp,
    /// It stays about the same, or nobody can tell yet.
    Steady,
    /// It grows.
    FallingBehind,
}

/// The samples of the last minute, shared between whoever takes them and whoever asks.
#[derive(Debug, Clone, Default)]
pub struct History(Arc<Mutex<VecDeque<Sample>>>);

impl History {
    /// Takes a sample a second, for ever.
    pub async fn keep(self, metrics: Metrics) {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.add(metrics.sample());
        }
    }

    /// Adds the newest sample; the oldest goes.
    pub fn add(&self, sample: Sample) {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        samples.truncate(MAX_SAMPLES - 1);
        samples.push_front(sample);
    }

    /// What the samples say.
    pub fn recent(&self) -> (Throughput, Latency, Trend) {
        let samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last_minute: Vec<f64> = pairs(&samples).map(|(new, old)| rate(new, old)).collect();
        let now = samples.front().zip(samples.get(NOW).or(samples.back()));
        let throughput = Throughput {
            records_per_second: now.filter(|(new, old)| new.at > old.at).map(|(n, o)| rate(n, o)),
            last_minute: last_minute.into_iter().rev().collect(),
        };
        let whole = samples.front().zip(samples.back());
        let latency = whole.map_or_else(Latency::default, |(new, old)| latency(new, old));
        let before = samples.front().zip(samples.get(TREND));
        (
            throughput,
            latency,
            before.map_or(Trend::Steady, |(n, o)| trend(n, o)),
        )
    }
}

fn pairs(samples: &VecDeque<Sample>) -> impl Iterator<Item = (&Sample, &Sample)> {
    samples.iter().zip(samples.iter().skip(1))
}

#[allow(
    clippy::cast_precision_loss,
    reason = "records of a minute are far below 2^52"
)]
fn rate(new: &Sample, old: &Sample) -> f64 {
    let seconds = new.at.duration_since(old.at).as_secs_f64();
    if seconds <= 0.0 {
        return 0.0;
    }
    let rate = new.settled.saturating_sub(old.settled) as f64 / seconds;
    (rate * 10.0).round() / 10.0
}

fn latency(new: &Sample, old: &Sample) -> Latency {
    let before = |at: usize| old.latencies.get(at).map_or(0, |(_, count)| *count);
    let buckets = new.latencies.iter().enumerate();
    let buckets: Vec<(f64, u64)> = buckets
        .map(|(at, (limit, count))| (*limit, count.saturating_sub(before(at))))
        .collect();
    Latency {
        window_seconds: new.at.duration_since(old.at).as_secs_f64().round() as u64,
        records: buckets.last().map_or(0, |(_, count)| *count),
        p50_seconds: quantile(0.5, &buckets),
        p99_seconds: quantile(0.99, &buckets),
    }
}

/// As Prometheus' `histogram_quantile`: linear within a bucket; what lies above the last limit counts as that limit.
#[allow(
    clippy::cast_precision_loss,
    reason = "records of a minute are far below 2^52"
)]
fn quantile(share: f64, buckets: &[(f64, u64)]) -> Option<f64> {
    let total = buckets
        .last()
        .map(|(_, count)| *count)
        .filter(|count| *count > 0)?;
    let rank = share * total as f64;
    let (mut below, mut lower) = (0, 0.0);
    for &(limit, count) in buckets {
        if count as f64 >= rank && count > below {
            if limit.is_infinite() {
                return Some(lower);
            }
            let inside = (rank - below as f64) / (count - below) as f64;
            return Some(lower + (limit - lower) * inside);
        }
        (below, lower) = (count, limit);
    }
    None
}

#[allow(
    clippy::cast_precision_loss,
    reason = "a lag beyond 2^52 records has no need of its last digits"
)]
fn trend(new: &Sample, old: &Sample) -> Trend {
    let (Some(new), Some(old)) = (new.lag_records, old.lag_records) else {
        return Trend::Steady;
    };
    let (new, old) = (new as f64, old as f64);
    if new < old * (1.0 - CLEAR_CHANGE) {
        Trend::CatchingUp
    } else if new > old * (1.0 + CLEAR_CHANGE) {
        Trend::FallingBehind
    } else {
        Trend::Steady
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Samples a second apart, of which each says what was settled since the one before.
    fn history(settled: &[u64]) -> History {
        let history = History::default();
        let start = Instant::now();
        let mut sum = 0;
        for (second, more) in (0..).zip(settled) {
            sum += more;
            history.add(Sample {
                at: start + Duration::from_secs(second),
                settled: sum,
                lag_records: Some(sum),
                latencies: vec![(0.01, sum / 2), (0.1, sum), (f64::INFINITY, sum)],
            });
        }
        history
    }

    #[test]
    fn nothing_is_claimed_of_a_process_that_has_just_started() {
        for settled in [&[][..], &[7]] {
            let (throughput, latency, trend) = history(settled).recent();
            assert_eq!(throughput, Throughput::default());
            assert_eq!((latency.records, latency.p99_seconds), (0, None));
            assert_eq!(trend, Trend::Steady);
        }
    }

    #[test]
    fn now_is_the_last_five_seconds_and_the_minute_is_told_second_by_second() {
        let (throughput, ..) = history(&[0, 1, 2, 100, 100, 100, 100, 150]).recent();
        assert_eq!(throughput.records_per_second, Some(110.0));
        assert_eq!(
            throughput.last_minute,
            [1.0, 2.0, 100.0, 100.0, 100.0, 100.0, 150.0]
        );
    }

    #[test]
    fn no_more_than_a_minute_is_kept() {
        let (throughput, latency, _) = history(&[10; 500]).recent();
        assert_eq!(throughput.last_minute.len(), 60);
        assert_eq!((latency.window_seconds, latency.records), (60, 600));
    }

    #[test]
    fn a_quantile_lies_where_it_should_within_its_bucket() {
        let buckets = [(1.0, 0), (2.0, 50), (4.0, 100), (f64::INFINITY, 100)];
        assert_eq!(quantile(0.25, &buckets), Some(1.5));
        assert_eq!(quantile(0.5, &buckets), Some(2.0));
        assert_eq!(quantile(0.75, &buckets), Some(3.0));
        assert_eq!(quantile(0.99, &[(1.0, 1), (f64::INFINITY, 100)]), Some(1.0));
        assert_eq!(quantile(0.5, &[(1.0, 0), (f64::INFINITY, 0)]), None);
    }

    #[test]
    fn lag_has_a_direction_only_when_it_changes_clearly() {
        let with = |lag| Sample {
            at: Instant::now(),
            settled: 0,
            lag_records: lag,
            latencies: Vec::new(),
        };
        let towards = |old, new| trend(&with(new), &with(old));
        assert_eq!(towards(Some(1000), Some(900)), Trend::CatchingUp);
        assert_eq!(towards(Some(1000), Some(1010)), Trend::Steady);
        assert_eq!(towards(Some(1000), Some(1100)), Trend::FallingBehind);
        assert_eq!(towards(None, Some(1100)), Trend::Steady);
    }
}
