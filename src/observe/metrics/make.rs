//! Makes metrics under the prefix and with their help, and registers them.

use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry,
};

use super::{NAMESPACE, help};

/// Makes metrics and registers them.
pub struct Maker(pub Registry);

impl Maker {
    fn opts(name: &str) -> Opts {
        Opts::new(name, help(name)).namespace(NAMESPACE)
    }

    fn add<C: prometheus::core::Collector + Clone + 'static>(
        &self,
        made: prometheus::Result<C>,
    ) -> prometheus::Result<C> {
        let made = made?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    /// A counter.
    pub fn counter(&self, name: &str) -> prometheus::Result<IntCounter> {
        self.add(IntCounter::with_opts(Self::opts(name)))
    }

    /// Counters by label.
    pub fn counters(&self, name: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
        self.add(IntCounterVec::new(Self::opts(name), labels))
    }

    /// A gauge of whole numbers.
    pub fn gauge(&self, name: &str) -> prometheus::Result<IntGauge> {
        self.add(IntGauge::with_opts(Self::opts(name)))
    }

    /// Gauges of whole numbers by label.
    pub fn gauges(&self, name: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
        self.add(IntGaugeVec::new(Self::opts(name), labels))
    }

    /// A gauge of seconds.
    pub fn seconds(&self, name: &str) -> prometheus::Result<Gauge> {
        self.add(Gauge::with_opts(Self::opts(name)))
    }

    /// Gauges of seconds by label.
    pub fn all_seconds(&self, name: &str, labels: &[&str]) -> prometheus::Result<GaugeVec> {
        self.add(GaugeVec::new(Self::opts(name), labels))
    }

    /// A histogram with these bucket limits.
    pub fn histogram(&self, name: &str, buckets: &[f64]) -> prometheus::Result<Histogram> {
        let opts = HistogramOpts::from(Self::opts(name)).buckets(buckets.to_vec());
        self.add(Histogram::with_opts(opts))
    }

    /// Histograms by label.
    pub fn histograms(
        &self,
        name: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> prometheus::Result<HistogramVec> {
        let opts = HistogramOpts::from(Self::opts(name)).buckets(buckets.to_vec());
        self.add(HistogramVec::new(opts, labels))
    }
}
