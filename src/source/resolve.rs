//! Finds out where assigned partitions start, and commits it before their first read.
//!
//! Runs on a thread of its own: the questions to the brokers may take a while, and the polling thread goes on with
//! the partitions that it has.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backon::BackoffBuilder;
use crossbeam_channel::{Receiver, Sender};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset as KafkaOffset, TopicPartitionList};

use super::client::Consumer;
use super::start::{Note, Start, TopicSet, TopicView, decide};
use crate::config::StartFrom;
use crate::observe::metrics::now_ms;
use crate::progress::Position;

/// One question to the brokers may take this long.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(10);
const MIN_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(2);
/// ListOffsets' special time (KIP-79, librdkafka's `RD_KAFKA_OFFSET_BEGINNING`) of the log start.
pub const BEGINNING: i64 = -2;
/// The special time of the end (`RD_KAFKA_OFFSET_END`); with `read_committed` that is the last stable offset.
pub const END: i64 = -1;

/// A partition by name.
pub type TopicPartition = (Arc<str>, i32);

/// Where an assigned partition starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its number.
    pub partition: i32,
    /// Where reading starts.
    pub position: Position,
    /// What is committed, unless `fenced`: the same, as this module decides it.
    pub committed: Position,
    /// The metadata of its commits.
    pub note: Arc<str>,
    /// The end of the log when that was found out.
    pub end: Position,
    /// There was no commit: the start was decided just now.
    pub fresh: bool,
    /// How many records retention deleted behind the group's back.
    pub lost: i64,
    /// The group has moved on: another assignment follows, this one is not to be read.
    pub fenced: bool,
}

/// What the resolver needs to know.
pub struct Resolver {
    /// The group's consumer.
    pub consumer: Arc<Consumer>,
    /// `kafka.start_from`.
    pub start_from: StartFrom,
    /// `kafka.topics`.
    pub topics: Topics,
    /// Topics that were there when this process started.
    pub there_at_start: HashSet<String>,
    /// Set when the service ends.
    pub stop: Arc<AtomicBool>,
}

/// `kafka.topics`, compiled.
#[derive(Debug, Clone)]
pub struct Topics {
    named: Vec<String>,
    expressions: Vec<regex::Regex>,
    dlq: String,
}

impl Topics {
    /// Names and expressions (which start with `^`), without the dead-letter topic.
    pub fn new(topics: &[String], dlq: &str) -> Result<Self, regex::Error> {
        let (expressions, named): (Vec<_>, Vec<_>) =
            topics.iter().cloned().partition(|topic| topic.starts_with('^'));
        let expressions = expressions
            .iter()
            .map(|e| regex::Regex::new(e))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            named,
            expressions,
            dlq: dlq.to_owned(),
        })
    }

    /// The topics that are named.
    pub fn named(&self) -> &[String] {
        &self.named
    }

    fn is_named(&self, topic: &str) -> bool {
        self.named.iter().any(|name| name == topic)
    }

    /// The expressions. The dead-letter topic is never consumed, even where one matches it.
    pub fn expressions(&self) -> &[regex::Regex] {
        &self.expressions
    }

    /// Whether records of the topic are consumed.
    pub fn matches(&self, topic: &str) -> bool {
        topic != self.dlq && (self.is_named(topic) || self.expressions.iter().any(|e| e.is_match(topic)))
    }
}

/// Commits of the group: position and metadata.
type Commits = HashMap<TopicPartition, (Position, String)>;

impl Resolver {
    /// Serves requests until nobody sends any more.
    pub fn run(self, requests: &Receiver<Vec<TopicPartition>>, answers: &Sender<Vec<Resolved>>) {
        let mut known = HashSet::new();
        for partitions in requests {
            let Some(resolved) = self.resolve_until_done(&partitions, &known) else {
                return;
            };
            known.extend(partitions.into_iter().map(|(topic, _)| topic));
            if answers.send(resolved).is_err() {
                return;
            }
        }
    }

    fn resolve_until_done(
        &self,
        partitions: &[TopicPartition],
        known: &HashSet<Arc<str>>,
    ) -> Option<Vec<Resolved>> {
        let mut delays = backon::ExponentialBuilder::default()
            .with_min_delay(MIN_BACKOFF)
            .with_max_delay(MAX_BACKOFF)
            .without_max_times()
            .with_jitter()
            .build();
        let mut reported = false;
        while !self.stop.load(Ordering::Relaxed) {
            match self.resolve(partitions, known) {
                Ok(resolved) => return Some(resolved),
                Err(error) if !reported => {
                    reported = true;
                    tracing::warn!(%error, "start positions can't be determined yet; trying again");
                }
                Err(error) => tracing::debug!(%error, "start positions can't be determined yet"),
            }
            std::thread::sleep(delays.next().unwrap_or(MAX_BACKOFF));
        }
        None
    }

    fn resolve(
        &self,
        partitions: &[TopicPartition],
        known: &HashSet<Arc<str>>,
    ) -> KafkaResult<Vec<Resolved>> {
        let mut commits = self.commits(partitions)?;
        let uncommitted: Vec<&TopicPartition> = partitions
            .iter()
            .filter(|partition| !commits.contains_key(*partition))
            .collect();
        let decisions = match uncommitted.as_slice() {
            [] => HashMap::new(),
            uncommitted => self.decide_all(uncommitted, &mut commits, known)?,
        };
        let beginnings = self.list_offsets(partitions.iter().map(|p| (p, BEGINNING)))?;
        let ends = self.list_offsets(partitions.iter().map(|p| (p, END)))?;
        let mut resolved = Vec::with_capacity(partitions.len());
        let mut to_commit = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            let range = (
                position_in(&beginnings, partition)?,
                position_in(&ends, partition)?,
            );
            let (start, changed) = match decisions.get(partition) {
                Some((position, note)) => {
                    // No record is that young yet: it starts at the end.
                    (
                        self.fresh(partition, position.unwrap_or(range.1), range.1, note),
                        true,
                    )
                }
                None => self.committed(partition, &commits, range),
            };
            if changed {
                add(&mut to_commit, &start)?;
            }
            resolved.push(start);
        }
        self.commit(&to_commit, &mut resolved)?;
        Ok(resolved)
    }

    fn fresh(
        &self,
        (topic, partition): &TopicPartition,
        position: Position,
        end: Position,
        note: &Note,
    ) -> Resolved {
        tracing::info!(topic = &**topic, partition, offset = position.0, "start decided");
        Resolved {
            topic: Arc::clone(topic),
            partition: *partition,
            position,
            committed: position,
            note: note.to_string().into(),
            end,
            fresh: true,
            lost: 0,
            fenced: false,
        }
    }

    /// A partition with a commit goes on there, unless the log has no such offset any more.
    fn committed(
        &self,
        key: &TopicPartition,
        commits: &Commits,
        (beginning, end): (Position, Position),
    ) -> (Resolved, bool) {
        let (topic, partition) = key;
        let (committed, note) = commits.get(key).cloned().unwrap_or((beginning, String::new()));
        let mut resolved = Resolved {
            topic: Arc::clone(topic),
            partition: *partition,
            position: committed,
            committed,
            note: note.into(),
            end,
            fresh: false,
            lost: 0,
            fenced: false,
        };
        if committed < beginning {
            resolved.lost = beginning.0 - committed.0;
            resolved.position = beginning;
            resolved.committed = beginning;
            tracing::warn!(
                topic = &**topic,
                partition,
                committed = committed.0,
                log_start = beginning.0,
                "retention has overtaken the committed offset; going on at the log start"
            );
        } else if committed > end {
            resolved.position = beginning;
            resolved.committed = beginning;
            tracing::warn!(
                topic = &**topic,
                partition,
                committed = committed.0,
                end = end.0,
                "the log ends before the committed offset, so it was made anew; reading it from its beginning"
            );
        }
        let changed = resolved.position != committed;
        (resolved, changed)
    }

    /// Start positions of partitions without a commit; `None` when no record is that young.
    fn decide_all(
        &self,
        uncommitted: &[&TopicPartition],
        commits: &mut Commits,
        known: &HashSet<Arc<str>>,
    ) -> KafkaResult<HashMap<TopicPartition, (Option<Position>, Note)>> {
        let counts = self.partition_counts()?;
        let of_interest: BTreeSet<Arc<str>> =
            uncommitted.iter().map(|(topic, _)| Arc::clone(topic)).collect();
        let all_named = of_interest.iter().all(|topic| self.topics.is_named(topic));
        let to_ask: Vec<TopicPartition> = counts
            .iter()
            .filter(|(topic, _)| !all_named || of_interest.contains(*topic))
            .flat_map(|(topic, &count)| (0..count).map(|partition| (Arc::clone(topic), partition)))
            .collect();
        commits.extend(self.commits(&to_ask)?);
        let notes: HashMap<&Arc<str>, Note> = commits
            .iter()
            .filter_map(|((topic, _), (_, metadata))| Some((topic, Note::parse(metadata)?)))
            .collect();
        let group = notes.values().min_by_key(|note| note.born_ms).copied();
        let now = now_ms();
        let mut starts = HashMap::new();
        let mut times = Vec::new();
        for &partition in uncommitted {
            let (topic, number) = partition;
            let view = TopicView {
                named: self.topics.is_named(topic),
                note: notes.get(topic).copied(),
                has_commits: commits.keys().any(|(other, _)| other == topic),
                known_before: known.contains(topic),
                appeared: !self.there_at_start.contains(&**topic),
            };
            let note = view.note.unwrap_or_else(|| Note {
                born_ms: group.map_or(now, |group| group.born_ms),
                seen_ms: now,
                partitions: counts.get(topic).copied().unwrap_or(number + 1),
                topics: group.map_or_else(|| topic_set(counts.keys()), |group| group.topics),
            });
            times.push((partition, self.time_of(decide(topic, *number, view, group))));
            starts.insert(partition.clone(), note);
        }
        let positions = self.list_offsets(times.into_iter())?;
        Ok(starts
            .into_iter()
            .map(|(partition, note)| {
                let position = positions.get(&partition).copied().flatten();
                (partition, (position, note))
            })
            .collect())
    }

    /// The time to ask ListOffsets for.
    fn time_of(&self, start: Start) -> i64 {
        match (start, self.start_from) {
            (Start::Beginning, _) | (_, StartFrom::Earliest) => BEGINNING,
            (_, StartFrom::Time(time)) => time.as_millisecond().max(0),
            (Start::Configured { as_of_ms }, StartFrom::Latest) => as_of_ms.unwrap_or(END),
        }
    }

    /// Every topic that is or could be ours, with its partition count.
    fn partition_counts(&self) -> KafkaResult<HashMap<Arc<str>, i32>> {
        let metadata = self.consumer.fetch_metadata(None, QUESTION_TIMEOUT)?;
        Ok(metadata
            .topics()
            .iter()
            .filter(|topic| self.topics.matches(topic.name()))
            .map(|topic| {
                (
                    Arc::from(topic.name()),
                    i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX),
                )
            })
            .collect())
    }

    fn commits(&self, partitions: &[TopicPartition]) -> KafkaResult<Commits> {
        if partitions.is_empty() {
            return Ok(Commits::new());
        }
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for (topic, partition) in partitions {
            list.add_partition(topic, *partition);
        }
        let list = self.consumer.committed_offsets(list, QUESTION_TIMEOUT)?;
        let names: HashMap<&str, &Arc<str>> = partitions.iter().map(|(topic, _)| (&**topic, topic)).collect();
        let mut commits = Commits::new();
        for element in list.elements() {
            element.error()?;
            if let (KafkaOffset::Offset(offset), Some(topic)) = (element.offset(), names.get(element.topic()))
            {
                let key = (Arc::clone(topic), element.partition());
                commits.insert(key, (Position(offset), element.metadata().to_owned()));
            }
        }
        Ok(commits)
    }

    fn list_offsets<'a>(
        &self,
        times: impl Iterator<Item = (&'a TopicPartition, i64)>,
    ) -> KafkaResult<HashMap<TopicPartition, Option<Position>>> {
        list_offsets(&self.consumer, times)
    }

    /// Commits start positions. A group that has moved on is told apart from a broker that has to be asked again.
    fn commit(&self, list: &TopicPartitionList, resolved: &mut [Resolved]) -> KafkaResult<()> {
        if list.count() == 0 {
            return Ok(());
        }
        match self.consumer.commit(list, CommitMode::Sync) {
            Ok(()) => Ok(()),
            Err(error) if is_fenced(&error) => {
                tracing::warn!(%error, "the group has moved on before the start was committed");
                resolved.iter_mut().for_each(|start| start.fenced = true);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

/// The offsets of these times (or [`BEGINNING`] or [`END`]) in one request for each broker, however many partitions.
/// `None` where no record is that young.
pub fn list_offsets<'a, C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    times: impl Iterator<Item = (&'a TopicPartition, i64)>,
) -> KafkaResult<HashMap<TopicPartition, Option<Position>>> {
    let mut list = TopicPartitionList::new();
    let mut names: HashMap<&str, &Arc<str>> = HashMap::new();
    for ((topic, partition), time) in times {
        list.add_partition_offset(topic, *partition, KafkaOffset::from_raw(time))?;
        names.insert(topic, topic);
    }
    if list.count() == 0 {
        return Ok(HashMap::new());
    }
    let list = consumer.offsets_for_times(list, QUESTION_TIMEOUT)?;
    let mut positions = HashMap::new();
    for element in list.elements() {
        element.error()?;
        let Some(topic) = names.get(element.topic()) else {
            continue;
        };
        let position = match element.offset() {
            KafkaOffset::Offset(offset) => Some(Position(offset)),
            _ => None,
        };
        positions.insert((Arc::clone(topic), element.partition()), position);
    }
    Ok(positions)
}

/// Whether a commit failed because this member doesn't count any more.
pub fn is_fenced(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::IllegalGeneration
                | RDKafkaErrorCode::UnknownMemberId
                | RDKafkaErrorCode::FencedInstanceId
                | RDKafkaErrorCode::StaleMemberEpoch
                | RDKafkaErrorCode::FencedMemberEpoch
        )
    )
}

fn topic_set<'a>(topics: impl Iterator<Item = &'a Arc<str>>) -> TopicSet {
    let mut set = TopicSet::default();
    topics.for_each(|topic| set.insert(topic));
    set
}

fn position_in(
    positions: &HashMap<TopicPartition, Option<Position>>,
    partition: &TopicPartition,
) -> KafkaResult<Position> {
    // A broker that leaves a partition out is asked again.
    positions
        .get(partition)
        .copied()
        .flatten()
        .ok_or(KafkaError::OffsetFetch(RDKafkaErrorCode::UnknownTopicOrPartition))
}

fn add(list: &mut TopicPartitionList, start: &Resolved) -> KafkaResult<()> {
    let mut element = list.add_partition(&start.topic, start.partition);
    element.set_offset(KafkaOffset::Offset(start.position.0))?;
    element.set_metadata(&*start.note);
    Ok(())
}
