//! What the present configuration makes of a dead letter.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::tally::Fate;
use crate::config::{Config, Kafka};
use crate::derive::{CommandSink, Derivation, Deriver, Limits, Options, Rejection, Route, Router};
use crate::dlq::filter::Filter;
use crate::dlq::letter::hex;
use crate::dlq::stored::{Origin, StoredLetter};
use crate::exit::Failure;
use crate::progress::Position;
use crate::source::message::MessageHeaders;
use crate::source::range::Reader;
use crate::source::span::{Span, Spans};

/// How long the source topic may take to give one record.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which dead letters are replayed, and where to.
#[derive(Debug, Clone)]
pub struct Choice {
    /// Those that are meant.
    pub filter: Filter,
    /// Those that were replayed so often are parked.
    pub max_replays: u32,
    /// Back to their topics, instead of to Redis.
    pub to_source: bool,
}

/// What is to be done with a dead letter.
#[derive(Debug)]
pub enum Judgement {
    /// Nothing.
    Leave(Fate),
    /// Its commands have gone to the sink.
    Publish(u16),
    /// It goes to its topic.
    ToSource,
    /// There is nothing to publish.
    Skip,
    /// It fails again.
    Reject(Rejection),
}

/// Judges one dead letter after the other.
pub struct Judge {
    choice: Choice,
    kafka: Kafka,
    router: Router,
    routes: HashMap<String, Option<Arc<Route>>>,
    deriver: Deriver,
    /// The topic that a value was last fetched from.
    source: Option<(String, Reader)>,
}

impl Judge {
    /// Judges as `config` says.
    pub fn new(config: &Config, choice: Choice) -> Result<Self, Failure> {
        let router = Router::compile(&config.kafka.topics, &config.routes).map_err(|problems| {
            let messages: Vec<_> = problems.into_iter().map(|problem| problem.message).collect();
            Failure::config(messages.join("\n"))
        })?;
        Ok(Self {
            choice,
            kafka: config.kafka.clone(),
            router,
            routes: HashMap::new(),
            deriver: Deriver::new(Limits {
                max_notification_bytes: config.delivery.max_notification_bytes,
            })
            .passing_on(config.trace.pass_on()),
            source: None,
        })
    }

    /// Judges one. A value that was left out is fetched from where the record failed and put back.
    pub fn judge<S: CommandSink>(
        &mut self,
        letter: &mut StoredLetter,
        sink: &mut S,
    ) -> Result<Judgement, Failure> {
        if !self.choice.filter.matches(letter) {
            return Ok(Judgement::Leave(Fate::Filtered));
        }
        if letter.replay_count.unwrap_or(0) >= self.choice.max_replays {
            return Ok(Judgement::Leave(Fate::Parked));
        }
        let Some(origin) = letter.origin.clone() else {
            return Ok(Judgement::Leave(Fate::Unreadable));
        };
        if letter.is_without_value() && !self.restore(letter, &origin)? {
            return Ok(Judgement::Leave(Fate::ValueGone));
        }
        if self.choice.to_source {
            return Ok(Judgement::ToSource);
        }
        let Some(route) = self.route(&origin.topic) else {
            return Ok(Judgement::Leave(Fate::NoRoute));
        };
        let Some(record) = letter.record() else {
            return Ok(Judgement::Leave(Fate::Unreadable));
        };
        let options = Options {
            replayed: true,
            ..Options::default()
        };
        Ok(match self.deriver.derive(&route, &record, options, sink) {
            Derivation::Ready { commands } => Judgement::Publish(commands),
            Derivation::Skip(_) => Judgement::Skip,
            Derivation::Reject(rejection) => Judgement::Reject(rejection),
        })
    }

    fn route(&mut self, topic: &str) -> Option<Arc<Route>> {
        if let Some(route) = self.routes.get(topic) {
            return route.clone();
        }
        let route = self.router.route_for(topic);
        self.routes.insert(topic.to_owned(), route.clone());
        route
    }

    /// Fetches what was left out, as long as it is still there and still the same.
    fn restore(&mut self, letter: &mut StoredLetter, origin: &Origin) -> Result<bool, Failure> {
        let Some(original) = self.fetch(origin)? else {
            return Ok(false);
        };
        let digest = original.value.as_deref().map(|value| hex(&Sha256::digest(value)));
        if digest != letter.value_sha256 {
            return Ok(false);
        }
        if letter.is_without_headers() {
            letter.headers = original.headers;
        }
        letter.key = original.key;
        letter.value = original.value;
        Ok(true)
    }

    /// The record at those coordinates; `None` when it isn't there any more.
    fn fetch(&mut self, origin: &Origin) -> Result<Option<Original>, Failure> {
        let reader = match self.source.take() {
            Some((topic, reader)) if topic == origin.topic => reader,
            _ => Reader::new(&self.kafka, &origin.topic)?.with_patience(PATIENCE),
        };
        let count = reader.partition_count()?.unwrap_or(0);
        if !(0..count).contains(&origin.partition) {
            return Ok(None);
        }
        let start = Position(origin.offset);
        let bounds = reader
            .bounds(&[origin.partition])?
            .get(&origin.partition)
            .copied();
        if !bounds.is_some_and(|log| log.start <= start && start < log.end) {
            self.source = Some((origin.topic.clone(), reader));
            return Ok(None);
        }
        let end = Position(origin.offset + 1);
        let mut reading = reader.start(&Spans::from([(origin.partition, Span { start, end })]))?;
        let mut found = None;
        let _ = reading.each(|message| {
            use rdkafka::message::Message as _;
            found = Some(Original {
                key: message.key().map(<[u8]>::to_vec),
                value: message.payload().map(<[u8]>::to_vec),
                headers: MessageHeaders::of(message).to_vec(),
            });
            Ok(ControlFlow::Break(()))
        })?;
        self.source = Some((origin.topic.clone(), reading.stop()));
        Ok(found)
    }
}

/// The record as its topic has it.
struct Original {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}
