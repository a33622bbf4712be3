//! From where to where: what the flags say, as offsets of partitions that are there.

use crate::commands::topic::{From, missing, partition_count};
use crate::config::Kafka;
use crate::exit::{Exit, Failure};
use crate::progress::Position;
use crate::source::range::{Reader, Reading};
use crate::source::span::Spans;

/// What is replayed.
pub struct Range<'a> {
    /// The topic.
    pub topic: &'a str,
    /// This partition alone.
    pub partition: Option<i32>,
    /// Where it begins.
    pub from: From,
    /// Where it ends.
    pub to: From,
}

impl Range<'_> {
    /// Whether it has a beginning and an end, in that order.
    pub fn check(&self) -> Result<(), Failure> {
        let wrong = |text: &str| Err(Failure::new(Exit::Usage, text.to_owned()));
        match (self.from, self.to) {
            (From::Latest, _) => wrong("--from: write earliest, an offset or a time"),
            (_, From::Earliest) => wrong("--to: write latest, an offset or a time"),
            (From::Offset(from), From::Offset(to)) if from >= to => {
                wrong("--to is not behind --from: nothing lies between them")
            }
            (From::Time(from), From::Time(to)) if from >= to => {
                wrong("--to is not behind --from: nothing lies between them")
            }
            _ => Ok(()),
        }
    }

    /// Begins to read it; says how many offsets it has.
    pub fn open(&self, kafka: &Kafka) -> Result<(Reading, u64), Failure> {
        let partitions = self.partitions(kafka)?;
        let reader = Reader::new(kafka, self.topic)?;
        let mut spans = reader.bounds(&partitions)?;
        self.cut(&reader, &partitions, &mut spans)?;
        let offsets = spans.values().map(|span| span.len()).sum();
        Ok((reader.start(&spans)?, offsets))
    }

    fn partitions(&self, kafka: &Kafka) -> Result<Vec<i32>, Failure> {
        let name = self.topic;
        let count = partition_count(kafka, name)?.ok_or_else(|| missing(kafka, "--topic", name))?;
        match self.partition {
            Some(partition) if partition >= count => Err(Failure::new(
                Exit::Usage,
                format!("--partition: {name} has {count} partitions, counted from 0"),
            )),
            Some(partition) => Ok(vec![partition]),
            None => Ok((0..count).collect()),
        }
    }

    /// Cuts what lies before the beginning or behind the end.
    fn cut(&self, reader: &Reader, partitions: &[i32], spans: &mut Spans) -> Result<(), Failure> {
        let times = |at: From| match at {
            From::Time(time) => reader.at(partitions, time).map(Some),
            _ => Ok(None),
        };
        let (first, last) = (times(self.from)?, times(self.to)?);
        for (partition, span) in spans {
            let found = |times: &Option<std::collections::BTreeMap<i32, Option<Position>>>| {
                // No record is that young: it lies behind the end.
                let times = times.as_ref()?;
                Some(times.get(partition).copied().flatten().unwrap_or(span.end))
            };
            let start = match self.from {
                From::Offset(offset) => Some(Position(offset)),
                _ => found(&first),
            };
            let end = match self.to {
                From::Offset(offset) => Some(Position(offset)),
                _ => found(&last),
            };
            span.start = start.unwrap_or(span.start).max(span.start);
            span.end = end.unwrap_or(span.end).min(span.end);
        }
        Ok(())
    }
}
