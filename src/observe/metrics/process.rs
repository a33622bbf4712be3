//! What the process costs: the metrics that all programs have in common, with CPU time in full resolution.

use nix::time::ClockId;
use prometheus::core::{Collector, Desc};
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::{Counter, MetricFamily};

const CPU: &str = "process_cpu_seconds_total";

/// The library's collector, whose CPU time is in whole seconds: too coarse for a process that idles at a few
/// milliseconds a second, whose rate would be zero most of the time and then jump.
pub struct Process(ProcessCollector);

impl Process {
    /// For the process that runs this.
    pub fn of_this() -> Self {
        Self(ProcessCollector::for_self())
    }
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        self.0.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = self.0.collect();
        let cpu = families.iter_mut().find(|family| family.name() == CPU);
        if let (Some(family), Some(seconds)) = (cpu, cpu_seconds()) {
            for metric in family.mut_metric() {
                let mut exact = Counter::default();
                exact.set_value(seconds);
                metric.set_counter(exact);
            }
        }
        families
    }
}

/// User and system time of all threads, those that have ended too.
fn cpu_seconds() -> Option<f64> {
    let spent = ClockId::CLOCK_PROCESS_CPUTIME_ID.now().ok()?;
    Some(std::time::Duration::from(spent).as_secs_f64())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn told() -> f64 {
        let families = Process::of_this().collect();
        let cpu = families.iter().find(|family| family.name() == CPU).unwrap();
        cpu.get_metric()[0].get_counter().get_value()
    }

    #[test]
    fn cpu_time_is_told_in_parts_of_a_second_and_grows_with_work() {
        let before = told();
        let mut sum = 0_u64;
        while told() == before {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        let after = told();
        assert!(
            before > 0.0 && after > before && after.fract() > 0.0,
            "{before} {after}"
        );
    }
}
