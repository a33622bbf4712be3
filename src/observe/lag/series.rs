//! The lag as a scrape sees it: the partitions of this moment and no others.

use std::sync::{Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, IntGaugeVec, Opts};

use super::{Figures, Lag};
use crate::observe::metrics::{NAMESPACE, help, now_ms};
use crate::source::offsets::TopicPartition;

const LABELS: [&str; 3] = ["consumergroup", "topic", "partition"];

/// `consumer_lag_records`, `consumer_lag_seconds` and `end_offset`.
pub struct Series {
    lag: Lag,
    families: Families,
    /// The families are filled anew for each scrape, one scrape at a time.
    turn: Mutex<()>,
}

struct Families {
    records: IntGaugeVec,
    seconds: GaugeVec,
    end: IntGaugeVec,
}

impl Series {
    /// Of what `lag` knows.
    pub fn new(lag: Lag) -> prometheus::Result<Self> {
        let opts = |name: &str| Opts::new(name, help(name)).namespace(NAMESPACE);
        let families = Families {
            records: IntGaugeVec::new(opts("consumer_lag_records"), &LABELS)?,
            seconds: GaugeVec::new(opts("consumer_lag_seconds"), &LABELS)?,
            end: IntGaugeVec::new(opts("end_offset"), &LABELS)?,
        };
        Ok(Self {
            lag,
            families,
            turn: Mutex::new(()),
        })
    }
}

impl Collector for Series {
    fn desc(&self) -> Vec<&Desc> {
        let Families {
            records,
            seconds,
            end,
        } = &self.families;
        [records.desc(), seconds.desc(), end.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // Copied, so that the polling thread doesn't wait for a scrape.
        let (group, partitions) = self.lag.shown(now_ms());
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.families.fill(&group, &partitions);
        let Families {
            records,
            seconds,
            end,
        } = &self.families;
        [records.collect(), seconds.collect(), end.collect()].concat()
    }
}

impl Families {
    fn fill(&self, group: &str, partitions: &[(TopicPartition, Figures)]) {
        self.records.reset();
        self.seconds.reset();
        self.end.reset();
        for ((topic, number), figures) in partitions {
            let number = number.to_string();
            let labels = [group, topic, &number];
            if let Some(records) = figures.records {
                let records = i64::try_from(records).unwrap_or(i64::MAX);
                self.records.with_label_values(&labels).set(records);
            }
            if let Some(seconds) = figures.seconds {
                self.seconds.with_label_values(&labels).set(seconds);
            }
            if let Some(end) = figures.end {
                self.end.with_label_values(&labels).set(end);
            }
        }
    }
}
