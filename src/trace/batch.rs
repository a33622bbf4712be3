//! What the span of a batch is made of, gathered while the batch is filled.

use std::sync::Arc;
use std::time::SystemTime;

use super::context::TraceContext;

/// Links of one span, as in OpenTelemetry's own SDKs; those beyond are counted.
pub const MAX_LINKS: usize = 128;

/// Where the records of a batch came from, as exactly as it holds for all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// One partition.
    Partition(Arc<str>, i32),
    /// Several partitions of one topic.
    Topic(Arc<str>),
    /// Several topics.
    Several,
}

impl Origin {
    fn or(self, topic: &Arc<str>, partition: i32) -> Self {
        match self {
            Self::Partition(known, number) if known == *topic => match number == partition {
                true => Self::Partition(known, number),
                false => Self::Topic(known),
            },
            Self::Topic(known) if known == *topic => Self::Topic(known),
            _ => Self::Several,
        }
    }
}

/// A batch, as its span will tell of it.
#[derive(Debug)]
pub struct BatchTrace {
    /// When its first record was derived.
    pub started: SystemTime,
    /// Where its records came from.
    pub origin: Origin,
    /// How many they are.
    pub records: u32,
    /// The contexts of sampled records, in order.
    pub links: Vec<TraceContext>,
    /// How many more there were.
    pub dropped_links: u32,
    /// Records whose trace nobody records.
    unsampled: u32,
}

impl BatchTrace {
    /// Of a batch whose first record comes from there.
    pub fn begin(topic: &Arc<str>, partition: i32, started: SystemTime) -> Self {
        Self {
            started,
            origin: Origin::Partition(Arc::clone(topic), partition),
            records: 0,
            links: Vec::new(),
            dropped_links: 0,
            unsampled: 0,
        }
    }

    /// A record enters the batch. A link to a span that was not recorded would lead nowhere.
    pub fn add(&mut self, topic: &Arc<str>, partition: i32, context: Option<TraceContext>) {
        self.records += 1;
        let origin = std::mem::replace(&mut self.origin, Origin::Several);
        self.origin = origin.or(topic, partition);
        match context {
            None => {}
            Some(context) if !context.is_sampled() => self.unsampled += 1,
            Some(context) if self.links.len() < MAX_LINKS => self.links.push(context),
            Some(_) => self.dropped_links += 1,
        }
    }

    /// Whether its span is recorded: not if its records' traces are all unsampled. Where a span has a parent, samplers
    /// follow the parent; here they follow the links.
    pub fn is_sampled(&self) -> bool {
        !self.links.is_empty() || self.unsampled == 0
    }
}

/// How a batch ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Every record is published.
    Published,
    /// Not all of it, for this reason: the value of `error.type`.
    Failed(&'static str),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(flags: u8) -> Option<TraceContext> {
        Some(TraceContext {
            trace_id: [1; 16],
            span_id: [2; 8],
            flags,
        })
    }

    #[test]
    fn only_sampled_records_are_linked_and_no_more_than_the_limit() {
        let topic = Arc::from("t");
        let mut trace = BatchTrace::begin(&topic, 0, SystemTime::UNIX_EPOCH);
        trace.add(&topic, 0, None);
        trace.add(&topic, 0, context(0));
        assert_eq!((trace.links.len(), trace.is_sampled()), (0, false));
        for _ in 0..MAX_LINKS + 3 {
            trace.add(&topic, 0, context(1));
        }
        assert_eq!((trace.links.len(), trace.dropped_links), (MAX_LINKS, 3));
        assert!(trace.is_sampled());
        assert_eq!(trace.records as usize, MAX_LINKS + 5);
    }

    #[test]
    fn a_batch_without_any_context_is_recorded() {
        let topic = Arc::from("t");
        let mut trace = BatchTrace::begin(&topic, 0, SystemTime::UNIX_EPOCH);
        trace.add(&topic, 0, None);
        assert!(trace.is_sampled());
    }

    #[test]
    fn the_origin_is_as_exact_as_it_holds_for_all_records() {
        let (a, b): (Arc<str>, Arc<str>) = (Arc::from("a"), Arc::from("b"));
        let mut trace = BatchTrace::begin(&a, 1, SystemTime::UNIX_EPOCH);
        trace.add(&a, 1, None);
        assert_eq!(trace.origin, Origin::Partition(Arc::from("a"), 1));
        trace.add(&a, 2, None);
        trace.add(&a, 1, None);
        assert_eq!(trace.origin, Origin::Topic(Arc::from("a")));
        trace.add(&b, 1, None);
        trace.add(&a, 1, None);
        assert_eq!(trace.origin, Origin::Several);
    }
}
