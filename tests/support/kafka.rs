//! The Kafka side: topics, records, committed positions, dead letters.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList, TopicPartitionListElem};

use super::producer::{HeaderList, NewRecord, Producer};
use super::wait;

const TIMEOUT: Duration = Duration::from_secs(20);

/// A broker and how to reach it.
#[derive(Clone)]
pub struct Kafka {
    /// Its bootstrap servers.
    pub bootstrap: String,
    /// Client properties that every client of it needs, e.g. SASL.
    pub properties: Vec<(String, String)>,
    /// Clients that only ask, one for each group asked about: connecting takes longer than the question.
    askers: Arc<Mutex<HashMap<String, Arc<BaseConsumer>>>>,
}

/// A record that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadRecord {
    pub partition: i32,
    pub offset: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: HeaderList,
}

impl ReadRecord {
    /// The text of the last header of that name.
    pub fn header(&self, name: &str) -> Option<String> {
        let value = self.headers.iter().rev().find(|(n, _)| n == name)?.1.as_deref()?;
        Some(String::from_utf8_lossy(value).into_owned())
    }
}

impl Kafka {
    /// A broker that is there already.
    pub fn at(bootstrap: impl Into<String>, properties: &[(&str, &str)]) -> Self {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self {
            bootstrap: bootstrap.into(),
            properties: properties.iter().map(own).collect(),
            askers: Arc::default(),
        }
    }

    /// The broker that `make test` started; `None`, said loudly, when there is none and none is demanded.
    pub fn shared(test: &str) -> Option<Self> {
        match std::env::var("KAFKA_BOOTSTRAP_SERVERS") {
            Ok(bootstrap) if !bootstrap.is_empty() => Some(Self::at(bootstrap, &[])),
            _ => skipped(test, "no real Kafka"),
        }
    }

    /// The configuration of a client.
    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config
    }

    /// Creates a topic with a fresh name and returns the name.
    pub fn topic(&self, partitions: i32) -> String {
        let name = fresh("events");
        self.create_topic(&name, partitions, &[]);
        name
    }

    /// Creates a topic and waits until it can be seen.
    pub fn create_topic(&self, name: &str, partitions: i32, options: &[(&str, &str)]) {
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        for (key, value) in options {
            topic = topic.set(key, value);
        }
        let created = block_on(self.admin().create_topics([&topic], &AdminOptions::new())).unwrap();
        created[0].as_ref().unwrap();
        self.wait_partitions(name, usize::try_from(partitions).unwrap());
    }

    /// Deletes a topic and waits until it is gone.
    pub fn delete_topic(&self, name: &str) {
        let deleted = block_on(self.admin().delete_topics(&[name], &AdminOptions::new())).unwrap();
        deleted[0].as_ref().unwrap();
        wait::until_true("the topic is gone", TIMEOUT, || self.partitions(name) == 0);
    }

    /// Lets a topic grow to that many partitions.
    pub fn grow_topic(&self, name: &str, partitions: usize) {
        let wanted = NewPartitions::new(name, partitions);
        block_on(self.admin().create_partitions([&wanted], &AdminOptions::new())).unwrap()[0]
            .as_ref()
            .unwrap();
        self.wait_partitions(name, partitions);
    }

    /// Deletes the records before these offsets, as retention would.
    pub fn delete_records(&self, topic: &str, before: &[(i32, i64)]) {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in before {
            list.add_partition_offset(topic, *partition, Offset::Offset(*offset))
                .unwrap();
        }
        block_on(self.admin().delete_records(&list, &AdminOptions::new())).unwrap();
    }

    /// The settings of a topic.
    pub fn topic_settings(&self, name: &str) -> BTreeMap<String, String> {
        use rdkafka::admin::ResourceSpecifier::Topic;
        let found = block_on(
            self.admin()
                .describe_configs([&Topic(name)], &AdminOptions::new()),
        )
        .unwrap();
        let entries = &found[0].as_ref().unwrap().entries;
        entries
            .iter()
            .map(|e| (e.name.clone(), e.value.clone().unwrap_or_default()))
            .collect()
    }

    /// How many partitions a topic has; 0 when it isn't there.
    pub fn partitions(&self, name: &str) -> usize {
        self.try_partitions(name).unwrap()
    }

    fn try_partitions(&self, name: &str) -> Result<usize, KafkaError> {
        let metadata = self.asker("").fetch_metadata(Some(name), TIMEOUT)?;
        let found = metadata.topics().iter().find(|t| t.error().is_none());
        Ok(found.map_or(0, |t| t.partitions().len()))
    }

    /// The broker that leads this partition, once there is one.
    pub fn leader(&self, topic: &str, partition: i32) -> i32 {
        wait::until("the partition has a leader", TIMEOUT, || {
            let metadata = self.asker("").fetch_metadata(Some(topic), TIMEOUT).ok()?;
            let topic = metadata.topics().first()?;
            let found = topic.partitions().iter().find(|p| p.id() == partition)?;
            Some(found.leader()).filter(|leader| *leader >= 0)
        })
    }

    fn wait_partitions(&self, name: &str, partitions: usize) {
        wait::until_true("the partitions are there", TIMEOUT, || {
            self.partitions(name) == partitions && self.try_ends(name).is_ok()
        });
    }

    /// Writes these records and waits for the acknowledgements.
    pub fn produce(&self, topic: &str, records: impl IntoIterator<Item = NewRecord>) {
        let producer = self.producer();
        for record in records {
            producer.send(topic, &record);
        }
        producer.flush();
    }

    /// A producer for many records.
    pub fn producer(&self) -> Producer {
        Producer::of(self.client())
    }

    /// The end offset of each partition.
    pub fn ends(&self, topic: &str) -> BTreeMap<i32, i64> {
        self.try_ends(topic).unwrap()
    }

    /// The same from a broker that may not answer.
    pub fn try_ends(&self, topic: &str) -> Result<BTreeMap<i32, i64>, KafkaError> {
        let reader = self.asker("");
        let partitions = i32::try_from(self.try_partitions(topic)?).unwrap();
        (0..partitions)
            .map(|p| Ok((p, reader.fetch_watermarks(topic, p, TIMEOUT)?.1)))
            .collect()
    }

    /// The position that the group has committed for each partition; absent where it has none.
    pub fn committed(&self, group: &str, topic: &str) -> BTreeMap<i32, i64> {
        self.try_committed(group, topic).unwrap()
    }

    /// The same from a broker that may not answer.
    pub fn try_committed(&self, group: &str, topic: &str) -> Result<BTreeMap<i32, i64>, KafkaError> {
        let commits = self.try_commits(group, topic)?;
        Ok(commits
            .into_iter()
            .map(|(partition, (offset, _))| (partition, offset))
            .collect())
    }

    /// The same with the metadata.
    pub fn commits(&self, group: &str, topic: &str) -> BTreeMap<i32, (i64, String)> {
        self.try_commits(group, topic).unwrap()
    }

    fn try_commits(&self, group: &str, topic: &str) -> Result<BTreeMap<i32, (i64, String)>, KafkaError> {
        let mut list = TopicPartitionList::new();
        for partition in 0..self.try_partitions(topic)? {
            list.add_partition(topic, i32::try_from(partition).unwrap());
        }
        let committed = self.asker(group).committed_offsets(list, TIMEOUT)?;
        let commit = |e: &TopicPartitionListElem<'_>| {
            let offset = e.offset().to_raw().filter(|raw| *raw >= 0)?;
            Some((e.partition(), (offset, e.metadata().to_owned())))
        };
        Ok(committed.elements().iter().filter_map(commit).collect())
    }

    /// Reads a topic from its beginning to its present end; nothing when it isn't there.
    pub fn read(&self, topic: &str) -> Vec<ReadRecord> {
        let ends = self.ends(topic);
        let consumer = self.reader("");
        let mut list = TopicPartitionList::new();
        for partition in ends.keys() {
            list.add_partition_offset(topic, *partition, Offset::Beginning)
                .unwrap();
        }
        consumer.assign(&list).unwrap();
        let lows = ends
            .keys()
            .map(|p| consumer.fetch_watermarks(topic, *p, TIMEOUT).unwrap().0);
        let expected: i64 = ends.values().zip(lows).map(|(end, low)| end - low).sum();
        let mut records = Vec::new();
        wait::until_true("the topic is read to its end", TIMEOUT, || {
            while let Some(message) = consumer.poll(Duration::from_millis(50)) {
                let message = message.unwrap();
                records.push(ReadRecord {
                    partition: message.partition(),
                    offset: message.offset(),
                    key: message.key().map(<[u8]>::to_vec),
                    value: message.payload().map(<[u8]>::to_vec),
                    headers: message.headers().map(header_list).unwrap_or_default(),
                });
            }
            i64::try_from(records.len()).unwrap() >= expected
        });
        records
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().unwrap()
    }

    fn asker(&self, group: &str) -> Arc<BaseConsumer> {
        let mut askers = self.askers.lock().unwrap();
        Arc::clone(
            askers
                .entry(group.to_owned())
                .or_insert_with(|| Arc::new(self.reader(group))),
        )
    }

    fn reader(&self, group: &str) -> BaseConsumer {
        let group = if group.is_empty() { "test-reader" } else { group };
        let mut config = self.client();
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("fetch.wait.max.ms", "20");
        config
            .set("fetch.message.max.bytes", "4000000")
            .set("log_level", "3");
        config.create().unwrap()
    }
}

fn header_list(headers: &impl Headers) -> HeaderList {
    headers
        .iter()
        .map(|h| (h.key.to_owned(), h.value.map(<[u8]>::to_vec)))
        .collect()
}

/// A name that no other test and no earlier run uses.
pub fn fresh(what: &str) -> String {
    format!("{what}-{:012x}", fastrand::u64(..) >> 16)
}

/// Says that a test doesn't run, or fails it where real services are demanded.
pub fn skipped<T>(test: &str, why: &str) -> Option<T> {
    let test = test.trim_end_matches("::here");
    assert!(
        std::env::var("REQUIRE_REAL_KAFKA").as_deref() != Ok("1"),
        "{test} can't run: {why}"
    );
    eprintln!("SKIPPED: {test}: {why}");
    None
}

/// Runs a call of the admin client.
pub fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}
