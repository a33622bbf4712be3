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
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionList;

use super::client::Consumer;
use super::offsets::{
    BEGINNING, Commits, END, QUESTION_TIMEOUT, TopicPartition, commits_of, list_offsets, position_in,
};
use super::resolved::Resolved;
use super::start::{Note, Start, TopicSet, TopicView, decide};
use super::topics::Topics;
use crate::config::StartFrom;
use crate::observe::metrics::now_ms;
use crate::progress::Position;

const MIN_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(2);

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
        let mut commits = commits_of(&self.consumer, partitions)?;
        let uncommitted: Vec<&TopicPartition> = partitions
            .iter()
            .filter(|partition| !commits.contains_key(*partition))
            .collect();
        let decisions = match uncommitted.as_slice() {
            [] => HashMap::new(),
            uncommitted => self.decide_all(uncommitted, &mut commits, known)?,
        };
        let beginnings = list_offsets(&self.consumer, partitions.iter().map(|p| (p, BEGINNING)))?;
        let ends = list_offsets(&self.consumer, partitions.iter().map(|p| (p, END)))?;
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
                        Resolved::fresh(partition, position.unwrap_or(range.1), range.1, note),
                        true,
                    )
                }
                None => Resolved::committed(partition, &commits, range),
            };
            if changed {
                start.add_to(&mut to_commit)?;
            }
            resolved.push(start);
        }
        self.commit(&to_commit, &mut resolved)?;
        Ok(resolved)
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
        commits.extend(commits_of(&self.consumer, &to_ask)?);
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
        let positions = list_offsets(&self.consumer, times.into_iter())?;
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

/// Whether a commit failed because this member doesn't count any more.
fn is_fenced(error: &KafkaError) -> bool {
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
