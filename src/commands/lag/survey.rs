//! The lag of the whole group at one moment: commits, ends, owners, and how old the next record is.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::BlockingRetryable as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::metadata::Metadata;
use rdkafka::topic_partition_list::{Offset as KafkaOffset, TopicPartitionList};

use super::describe::describe;
use super::members::Members;
use super::report::{Report, Row};
use super::start::Starts;
use crate::commands::outcome::kafka_exit;
use crate::config::Derivation;
use crate::exit::{Exit, Failure};
use crate::observe::metrics::now_ms;
use crate::progress::Position;
use crate::source::client::{INTERNAL_TOPICS, reader};
use crate::source::context::Quiet;
use crate::source::extent::extents;
use crate::source::offsets::TopicPartition;
use crate::source::peek::{First, Peeker};
use crate::source::topics::Topics;

/// One question may take this long.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait before the coordinator is asked again.
const PAUSE: Duration = Duration::from_millis(250);
/// Partitions that are looked at together.
const LOOKS: usize = 500;
/// How many events of librdkafka's are looked through for a reason.
const EVENTS: usize = 32;

/// A commit of the group and its note.
pub type Commits = HashMap<TopicPartition, (Position, String)>;

/// Asks again and again with the same connections.
pub struct Surveyor<'a> {
    config: &'a Derivation,
    topics: Topics,
    asker: BaseConsumer<Quiet>,
    /// Where nothing lags, nothing is looked at.
    peeker: Option<Peeker>,
}

impl<'a> Surveyor<'a> {
    /// Connects in the background.
    pub fn new(config: &'a Derivation, topics: Topics) -> Result<Self, Failure> {
        let asker = reader(&config.kafka)
            .create_with_context(Quiet::default())
            .map_err(|error| Failure::config(format!("kafka.properties: {error}")))?;
        Ok(Self {
            config,
            topics,
            asker,
            peeker: None,
        })
    }

    /// Everything as it is now.
    pub fn survey(&mut self) -> Result<Report, Failure> {
        let metadata = self
            .asker
            .fetch_metadata(None, QUESTION_TIMEOUT)
            .map_err(|error| self.failure("Kafka", &error))?;
        let all = partitions(&metadata);
        let subscribed: HashSet<&TopicPartition> = all
            .iter()
            .filter(|(topic, _)| self.topics.matches(topic))
            .collect();
        let commits = self.commits(&all)?;
        let shown: BTreeSet<TopicPartition> = all
            .iter()
            .filter(|partition| commits.contains_key(*partition) || subscribed.contains(partition))
            .cloned()
            .collect();
        let shown: Vec<TopicPartition> = shown.into_iter().collect();
        // Asked after the commits: none of them is beyond the end because it came later.
        let extents = extents(&self.asker, &shown, QUESTION_TIMEOUT)
            .map_err(|error| self.failure("the ends of the partitions", &error))?;
        let members = self.members();
        let starts = Starts::new(&self.topics, self.config.kafka.start_from, &commits);
        let mut rows: Vec<Row> = Vec::with_capacity(shown.len());
        for partition in shown {
            let committed = commits.get(&partition).map(|(position, _)| *position);
            let extent = extents.get(&partition).copied();
            let start = extent.filter(|_| committed.is_none() && starts.is_at_beginning(&partition));
            let from = committed.or(start.map(|extent| extent.log_start));
            let member = members.owner(&partition.0, partition.1);
            rows.push(Row::new(partition, committed, from, extent, member));
        }
        self.look(&mut rows)?;
        Ok(Report::new(&self.config.kafka.group_id, &members, rows))
    }

    /// The group's commits. A coordinator that is still loading, or not chosen yet, is asked again.
    fn commits(&self, partitions: &[TopicPartition]) -> Result<Commits, Failure> {
        let mut commits = Commits::new();
        if partitions.is_empty() {
            return Ok(commits);
        }
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for (topic, partition) in partitions {
            list.add_partition(topic, *partition);
        }
        let deadline = Instant::now() + QUESTION_TIMEOUT;
        let asked = (|| self.asker.committed_offsets(list.clone(), QUESTION_TIMEOUT))
            .retry(
                backon::ConstantBuilder::default()
                    .with_delay(PAUSE)
                    .without_max_times(),
            )
            .when(|error| kafka_exit(error) == Exit::Unavailable && Instant::now() < deadline)
            .call();
        let group = || format!("group {}", self.config.kafka.group_id);
        let list = asked.map_err(|error| self.failure(&group(), &self.refusal().unwrap_or(error)))?;
        let names: HashMap<&str, &Arc<str>> = partitions.iter().map(|(topic, _)| (&**topic, topic)).collect();
        for element in list.elements() {
            // What this user may not see of other topics is not theirs to ask for.
            if element.error().is_ok()
                && let KafkaOffset::Offset(offset) = element.offset()
                && let Some(topic) = names.get(element.topic())
            {
                let key = (Arc::clone(topic), element.partition());
                commits.insert(key, (Position(offset), element.metadata().to_owned()));
            }
        }
        Ok(commits)
    }

    /// A coordinator that refuses to serve the user is told as an event; the question itself only times out.
    fn refusal(&self) -> Option<KafkaError> {
        let events = (0..EVENTS).filter_map(|_| self.asker.poll(Duration::ZERO));
        events
            .filter_map(Result::err)
            .find(|error| kafka_exit(error) == Exit::Config)
    }

    /// Owners are good to know, and no reason to fail.
    fn members(&self) -> Members {
        let group = &self.config.kafka.group_id;
        match describe(self.asker.client(), group, QUESTION_TIMEOUT) {
            Ok(members) => members,
            Err(error) => {
                eprintln!("the members of group {group} could not be asked for: {error}");
                Members::default()
            }
        }
    }

    /// Fetches one record of each partition that lags: its age is the lag in seconds.
    fn look(&mut self, rows: &mut [Row]) -> Result<(), Failure> {
        let mut lagging: Vec<&mut Row> = rows.iter_mut().filter(|row| row.is_lagging()).collect();
        for rows in lagging.chunks_mut(LOOKS) {
            let wanted: Vec<(TopicPartition, Position)> = rows.iter().filter_map(|row| row.next()).collect();
            let firsts = self
                .firsts(&wanted)
                .map_err(|error| self.failure("the next records", &error))?;
            let now = now_ms();
            for row in rows {
                if let Some(first) = row.next().and_then(|(partition, _)| firsts.get(&partition)) {
                    row.note(*first, now);
                }
            }
        }
        Ok(())
    }

    fn firsts(
        &mut self,
        wanted: &[(TopicPartition, Position)],
    ) -> KafkaResult<HashMap<TopicPartition, First>> {
        let peeker = match self.peeker.take() {
            Some(peeker) => peeker,
            None => Peeker::new(&self.config.kafka)?,
        };
        let firsts = peeker.first(wanted, QUESTION_TIMEOUT);
        self.peeker = Some(peeker);
        firsts
    }

    fn failure(&self, what: &str, error: &KafkaError) -> Failure {
        let servers = &self.config.kafka.bootstrap_servers;
        match kafka_exit(error) {
            Exit::Config => Failure::config(format!(
                "{what}: {servers} refuses: {error}; grant this user Describe on the group and the topics, and Read \
                 on the topics"
            )),
            exit => {
                let reason = self.asker.context().last_error();
                let reason = reason.unwrap_or_else(|| error.to_string());
                Failure::new(exit, format!("{what}: no answer from {servers}: {reason}"))
            }
        }
    }
}

/// Every partition of every topic that isn't Kafka's own.
fn partitions(metadata: &Metadata) -> Vec<TopicPartition> {
    let topics = metadata
        .topics()
        .iter()
        .filter(|topic| topic.error().is_none() && !INTERNAL_TOPICS.contains(&topic.name()));
    topics
        .flat_map(|topic| {
            let name: Arc<str> = Arc::from(topic.name());
            let partitions = topic.partitions().iter();
            partitions.map(move |partition| (Arc::clone(&name), partition.id()))
        })
        .collect()
}
