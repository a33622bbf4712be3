//! Configuration files for the bridge under test.

use std::path::Path;

use toml::{Table, Value};

use super::kafka::Kafka;

/// A configuration in the making.
#[derive(Clone)]
pub struct Config {
    root: Table,
}

impl Config {
    /// The group on the topics, publishing to `redis_url`; everything else as it comes, but quick to notice changes.
    pub fn new(kafka: &Kafka, group: &str, topics: &[&str], redis_url: &str) -> Self {
        let topics: Vec<Value> = topics.iter().map(|topic| Value::from(*topic)).collect();
        let mut config = Self { root: Table::new() }
            .set("kafka.bootstrap_servers", kafka.bootstrap.as_str())
            .set("kafka.group_id", group)
            .set("kafka.topics", topics)
            .set("redis.url", redis_url)
            .set("http.listen", "127.0.0.1:0")
            .property("topic.metadata.refresh.interval.ms", "1000");
        for (name, value) in &kafka.properties {
            config = config.property(name, value);
        }
        config
    }

    /// Sets a key such as `delivery.mode`.
    pub fn set(mut self, path: &str, value: impl Into<Value>) -> Self {
        let (mut table, mut path) = (&mut self.root, path);
        while let Some((section, rest)) = path.split_once('.') {
            let entry = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            (table, path) = (entry.as_table_mut().unwrap(), rest);
        }
        table.insert(path.to_owned(), value.into());
        self
    }

    /// Sets a librdkafka property.
    pub fn property(mut self, name: &str, value: &str) -> Self {
        let kafka = self
            .root
            .entry("kafka")
            .or_insert_with(|| Value::Table(Table::new()));
        let properties = kafka.as_table_mut().unwrap().entry("properties");
        let properties = properties.or_insert_with(|| Value::Table(Table::new()));
        properties
            .as_table_mut()
            .unwrap()
            .insert(name.to_owned(), value.into());
        self
    }

    /// The mode that loses nothing.
    pub fn at_least_once(self) -> Self {
        self.set("delivery.mode", "at_least_once")
    }

    /// From the beginning of each topic.
    pub fn earliest(self) -> Self {
        self.set("kafka.start_from", "earliest")
    }

    /// A dead member is noticed as soon as a broker allows.
    pub fn short_session(self) -> Self {
        self.property("session.timeout.ms", "6000")
            .property("heartbeat.interval.ms", "1000")
    }

    /// Appends a `[[routes]]` table.
    pub fn route(mut self, toml: &str) -> Self {
        let route: Table = toml.parse().unwrap();
        let routes = self
            .root
            .entry("routes")
            .or_insert_with(|| Value::Array(Vec::new()));
        routes.as_array_mut().unwrap().push(Value::Table(route));
        self
    }

    /// The file's text.
    pub fn text(&self) -> String {
        toml::to_string(&self.root).unwrap()
    }

    /// Writes the file.
    pub fn write(&self, path: &Path) {
        std::fs::write(path, self.text()).unwrap();
    }
}
