//! Reads a range of a topic without a group: from a start to an end in each partition, and no further.
//!
//! [`Reader`] answers what there is; [`Reading`] goes through it. Ends are what they were when they were asked for,
//! so a topic that grows meanwhile is read to an end all the same. Holes (transaction markers, aborted records,
//! compaction) need no care: a partition is done when a record at or beyond its last offset comes, or when
//! librdkafka says that the partition has no more.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::topic_partition_list::TopicPartitionList;

pub use super::reader::Reader;
use super::span::Spans;
use crate::exit::{Exit, Failure};

/// How long one step waits for a record.
const STEP: Duration = Duration::from_millis(100);

/// What a step brought.
#[derive(Debug)]
pub enum Step<'a> {
    /// A record of the range.
    Record(BorrowedMessage<'a>),
    /// Nothing yet: a moment for other things.
    Waiting,
    /// Every partition has been read to its end.
    End,
}

/// A range that is being read.
pub struct Reading {
    reader: Reader,
    left: Spans,
    /// Partitions that are done.
    paused: TopicPartitionList,
    last_heard: Instant,
    /// The caller has been busy with a record, which is no silence of the brokers.
    was_busy: bool,
}

impl Reading {
    /// `left` is assigned, and nothing of it is empty.
    pub(super) fn new(reader: Reader, left: Spans) -> Self {
        Self {
            reader,
            left,
            paused: TopicPartitionList::new(),
            last_heard: Instant::now(),
            was_busy: false,
        }
    }

    /// Waits a moment for the next record. Records of a partition come in order.
    pub fn step(&mut self) -> Result<Step<'_>, Failure> {
        if std::mem::take(&mut self.was_busy) {
            self.last_heard = Instant::now();
        }
        if self.left.is_empty() {
            return Ok(Step::End);
        }
        match self.reader.consumer.poll(STEP) {
            Some(Ok(message)) => {
                self.was_busy = true;
                let Some(span) = self.left.get(&message.partition()).copied() else {
                    return Ok(Step::Waiting);
                };
                if message.offset() + 1 >= span.end.0 {
                    finish(
                        &self.reader,
                        &mut self.left,
                        &mut self.paused,
                        message.partition(),
                    );
                }
                match message.offset() < span.end.0 {
                    true => Ok(Step::Record(message)),
                    false => Ok(Step::Waiting),
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                self.was_busy = true;
                finish(&self.reader, &mut self.left, &mut self.paused, partition);
                Ok(Step::Waiting)
            }
            Some(Err(error)) => self.wait_on(&error),
            None => self.wait_on(&KafkaError::MessageConsumption(
                RDKafkaErrorCode::OperationTimedOut,
            )),
        }
    }

    fn wait_on(&self, error: &KafkaError) -> Result<Step<'_>, Failure> {
        let failure = self.reader.failure(error);
        let is_final = failure.exit == Exit::Config;
        match is_final || self.last_heard.elapsed() >= self.reader.patience {
            true => Err(failure),
            false => Ok(Step::Waiting),
        }
    }

    /// Reads to the end, or until `take` breaks off; tells which.
    pub fn each(
        &mut self,
        mut take: impl FnMut(&BorrowedMessage<'_>) -> Result<ControlFlow<()>, Failure>,
    ) -> Result<ControlFlow<()>, Failure> {
        loop {
            match self.step()? {
                Step::Record(message) => {
                    if take(&message)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Step::Waiting => {}
                Step::End => return Ok(ControlFlow::Continue(())),
            }
        }
    }

    /// Nothing more is wanted of this partition.
    pub fn skip(&mut self, partition: i32) {
        finish(&self.reader, &mut self.left, &mut self.paused, partition);
    }

    /// Gives up what is left; the reader may start anew.
    pub fn stop(self) -> Reader {
        // A pause would outlive the assignment. A partition that isn't paused must not be resumed: librdkafka would
        // throw away what it has fetched of it.
        let ended = match self.paused.count() {
            0 => Ok(()),
            _ => self.reader.consumer.resume(&self.paused),
        };
        if let Err(error) = ended.and_then(|()| self.reader.consumer.unassign()) {
            tracing::debug!(%error, "a reading did not end as it should");
        }
        self.reader
    }
}

/// A partition is done. It is paused, since librdkafka would go on fetching what nobody wants.
fn finish(reader: &Reader, left: &mut Spans, paused: &mut TopicPartitionList, partition: i32) {
    if left.remove(&partition).is_some() && !left.is_empty() {
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition(&reader.topic, partition);
        match reader.consumer.pause(&list) {
            Ok(()) => drop(paused.add_partition(&reader.topic, partition)),
            Err(error) => tracing::debug!(%error, "a partition that is done can't be paused"),
        }
    }
}
