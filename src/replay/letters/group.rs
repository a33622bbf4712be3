//! The group of `dlq replay`: who is in it, alone, may replay.
//!
//! The lock is the group's own assignment: a replay begins only when the group has given it every partition of the
//! dead-letter topic, which the coordinator gives to one member at a time, and its commits carry the generation of
//! that assignment, so that those of a member that the group has given up are refused. A member that is killed is
//! given up after [`SESSION_TIMEOUT_MS`]: whoever finds a member waits that long for it to go.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::{Offset as KafkaOffset, TopicPartitionList};

use super::decisions::{Context, Event};
use crate::config::Config;
use crate::dlq::depth::replay_group;
use crate::dlq::resolved::Resolved;
use crate::exit::Failure;
use crate::source::client::reader;

/// The shortest that brokers allow (`group.min.session.timeout.ms`).
const SESSION_TIMEOUT_MS: &str = "6000";
/// So long a member that was killed may still be in the group.
const MEMBER_PATIENCE: Duration = Duration::from_secs(9);
/// So long joining may take: the members of a group that is being formed are waited for.
const JOIN_PATIENCE: Duration = Duration::from_secs(60);
/// One question may take this long.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(10);
const STEP: Duration = Duration::from_millis(100);

/// What polling brought.
pub enum Polled<'a> {
    /// A record of the dead-letter topic.
    Record(BorrowedMessage<'a>),
    /// A partition has no more records.
    EndOf(i32),
    /// Nothing.
    Nothing,
    /// The group wants the partitions back: what is under way has to arrive, then [`Member::give_up`].
    Revoked,
}

/// The only member of the group.
pub struct Member {
    consumer: BaseConsumer<Context>,
    events: Receiver<Event>,
    group: String,
    topic: String,
    last_heard: Instant,
}

impl Member {
    /// Joins the group, unless somebody else is in it. `tell` is told what is waited for.
    pub fn join(config: &Config, partitions: i32, tell: impl Fn(&str)) -> Result<Self, Failure> {
        let group = replay_group(&config.kafka.group_id);
        let (sender, events) = unbounded();
        let consumer = reader(&config.kafka)
            .set("group.id", &group)
            .set("session.timeout.ms", SESSION_TIMEOUT_MS)
            .set("heartbeat.interval.ms", "1500")
            .set("partition.assignment.strategy", "range")
            .set("auto.offset.reset", "earliest")
            .set("fetch.queue.backoff.ms", "5")
            .set("queued.max.messages.kbytes", "16384")
            .create_with_context(Context::new(sender))
            .map_err(|error| Failure::config(format!("kafka.properties: {error}")))?;
        let mut member = Self {
            consumer,
            events,
            group,
            topic: config.dlq.topic.clone(),
            last_heard: Instant::now(),
        };
        member.wait_for_nobody(tell)?;
        let topic = member.topic.clone();
        member
            .consumer
            .subscribe(&[&topic])
            .map_err(|error| member.failure(&error))?;
        member.wait_for_all(partitions)?;
        Ok(member)
    }

    fn wait_for_nobody(&self, tell: impl Fn(&str)) -> Result<(), Failure> {
        let started = Instant::now();
        let mut told = false;
        while let Some(somebody) = self.somebody()? {
            if started.elapsed() >= MEMBER_PATIENCE {
                return Err(Failure::unavailable(format!(
                    "another dlq replay is running ({somebody} is a member of {}); one at a time",
                    self.group
                )));
            }
            if !std::mem::replace(&mut told, true) {
                tell(&format!(
                    "{somebody} is a member of {}: another replay, or one that was killed; waiting up to {} s for it \
                     to go",
                    self.group,
                    MEMBER_PATIENCE.as_secs()
                ));
            }
            std::thread::sleep(STEP);
        }
        Ok(())
    }

    /// A member of the group, as people may recognise it.
    fn somebody(&self) -> Result<Option<String>, Failure> {
        let groups = self
            .consumer
            .fetch_group_list(Some(&self.group), QUESTION_TIMEOUT)
            .map_err(|error| self.failure(&error))?;
        let members = groups.groups().iter().flat_map(|group| group.members());
        Ok(members
            .map(|member| {
                format!(
                    "{} at {}",
                    member.client_id(),
                    member.client_host().trim_matches('/')
                )
            })
            .next())
    }

    /// Waits until every partition is ours. Where two have joined at once, the one that isn't given the first
    /// partition leaves, and the other one gets all.
    fn wait_for_all(&mut self, partitions: i32) -> Result<(), Failure> {
        let started = Instant::now();
        while started.elapsed() < JOIN_PATIENCE {
            if let Some(Err(error)) = self.consumer.poll(STEP) {
                tracing::debug!(%error, "joining");
            }
            match self.events.try_recv() {
                Ok(Event::Assigned(ours)) if (0..partitions).all(|n| ours.contains(&n)) => return Ok(()),
                Ok(Event::Assigned(ours)) => {
                    self.answer(self.consumer.assign(&TopicPartitionList::new()))?;
                    if !ours.contains(&0) {
                        return Err(self.taken());
                    }
                }
                Ok(Event::Revoked { .. }) => self.answer(self.consumer.unassign())?,
                Err(_) => {}
            }
        }
        Err(Failure::unavailable(format!(
            "{} could not be joined within {} s",
            self.group,
            JOIN_PATIENCE.as_secs()
        )))
    }

    fn taken(&self) -> Failure {
        Failure::unavailable(format!(
            "another dlq replay has joined {}; one at a time",
            self.group
        ))
    }

    /// Reads on at these offsets.
    pub fn read_from(&mut self, positions: impl Iterator<Item = (i32, i64)>) -> Result<(), Failure> {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in positions {
            let added = list.add_partition_offset(&self.topic, partition, KafkaOffset::Offset(offset));
            self.answer(added)?;
        }
        self.last_heard = Instant::now();
        self.answer(self.consumer.assign(&list))
    }

    /// Waits so long for a record. Fails when the brokers have been silent for too long, or the group has gone on
    /// without us.
    pub fn poll(&mut self, wait: Duration) -> Result<Polled<'_>, Failure> {
        let polled = self.consumer.poll(wait);
        match self.events.try_recv() {
            Ok(Event::Revoked { lost: true }) => {
                return Err(Failure::unavailable(format!(
                    "the group {} has gone on without this replay; what was not committed is replayed next time",
                    self.group
                )));
            }
            // A record that has just come is read again: it is not under way.
            Ok(Event::Revoked { lost: false }) => return Ok(Polled::Revoked),
            Ok(Event::Assigned(_)) | Err(_) => {}
        }
        match polled {
            Some(Ok(message)) => {
                self.last_heard = Instant::now();
                Ok(Polled::Record(message))
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                self.last_heard = Instant::now();
                Ok(Polled::EndOf(partition))
            }
            Some(Err(error)) if self.last_heard.elapsed() >= JOIN_PATIENCE => Err(self.failure(&error)),
            None if self.last_heard.elapsed() >= JOIN_PATIENCE => Err(Failure::unavailable(format!(
                "dlq.topic: {}: no answer for {} s",
                self.topic,
                JOIN_PATIENCE.as_secs()
            ))),
            Some(Err(_)) | None => Ok(Polled::Nothing),
        }
    }

    /// The brokers need not have been heard of for a while: nothing was asked of them.
    pub fn was_busy(&mut self) {
        self.last_heard = Instant::now();
    }

    /// Somebody has joined: lets the group decide, and waits until everything is ours again.
    pub fn give_up(&mut self, partitions: i32) -> Result<(), Failure> {
        self.answer(self.consumer.unassign())?;
        self.wait_for_all(partitions)
    }

    /// Commits what is resolved. `Ok(false)`: not now, but soon.
    pub fn commit<'a>(&self, lanes: impl Iterator<Item = (i32, &'a Resolved)>) -> Result<bool, Failure> {
        use rdkafka::error::RDKafkaErrorCode as Code;
        let mut list = TopicPartitionList::new();
        for (partition, resolved) in lanes {
            let position = KafkaOffset::Offset(resolved.frontier());
            self.answer(list.add_partition_offset(&self.topic, partition, position))?;
            if let Some(mut element) = list.find_partition(&self.topic, partition) {
                element.set_metadata(resolved.to_metadata());
            }
        }
        match self.consumer.commit(&list, CommitMode::Sync) {
            Ok(()) => Ok(true),
            Err(error) => match error.rdkafka_error_code() {
                Some(Code::IllegalGeneration | Code::UnknownMemberId | Code::FencedInstanceId) => {
                    Err(self.taken())
                }
                Some(
                    Code::GroupAuthorizationFailed
                    | Code::TopicAuthorizationFailed
                    | Code::OffsetMetadataTooLarge,
                ) => Err(Failure::config(format!("committing as {}: {error}", self.group))),
                _ => {
                    tracing::debug!(%error, "the commit is tried again");
                    Ok(false)
                }
            },
        }
    }

    fn answer(&self, result: KafkaResult<()>) -> Result<(), Failure> {
        result.map_err(|error| self.failure(&error))
    }

    fn failure(&self, error: &KafkaError) -> Failure {
        use rdkafka::error::RDKafkaErrorCode::{GroupAuthorizationFailed, TopicAuthorizationFailed};
        let text = format!("group {} on {}: {error}", self.group, self.topic);
        match error.rdkafka_error_code() {
            Some(GroupAuthorizationFailed | TopicAuthorizationFailed) => Failure::config(text),
            _ => Failure::unavailable(text),
        }
    }
}

impl Drop for Member {
    /// Leaves the group, so that the next replay need not wait.
    fn drop(&mut self) {
        self.consumer.context().leave();
        if let Err(error) = self.consumer.unassign() {
            tracing::debug!(%error, "giving partitions up at the end");
        }
    }
}
