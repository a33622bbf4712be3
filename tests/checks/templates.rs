//! Channel templates: what they render, and that no event gets a channel of its own.

use std::collections::BTreeMap;

use kafka_redis_bridge::derive::{MAX_CHANNELS, Route, RouteSpec};
use kafka_redis_bridge::record::Record;
use serde_json::json;

use super::derive::{derive, record};

/// The selectors that take part.
pub const SELECTORS: [&str; 14] = [
    "/id",
    "/type",
    "/source_type",
    "/source_id",
    "/extra",
    "key",
    "header:Id",
    "header:H",
    "offset",
    "timestamp",
    "topic",
    "partition",
    "literal:x",
    "coordinates",
];

/// A route under test: selectors as indexes into [`SELECTORS`].
#[derive(Debug)]
pub struct Routed {
    pub id: usize,
    pub kind: usize,
    pub source_type: usize,
    pub source_id: usize,
    pub fields: BTreeMap<String, usize>,
    pub channels: Vec<String>,
}

/// What each selector gives for one record.
type Event = [String; SELECTORS.len()];

impl Routed {
    fn spec(&self) -> RouteSpec {
        let selector = |index: usize| Some(SELECTORS[index].to_owned());
        let fields = self.fields.iter();
        RouteSpec {
            id: selector(self.id),
            r#type: selector(self.kind),
            source_type: selector(self.source_type),
            source_id: selector(self.source_id),
            channels: Some(self.channels.clone()),
            fields: fields
                .map(|(name, &index)| (name.clone(), SELECTORS[index].to_owned()))
                .collect(),
            ..RouteSpec::default()
        }
    }

    /// What a placeholder stands for.
    fn placeholder<'e>(&self, name: &str, event: &'e Event) -> &'e str {
        let of = |selector: &str| SELECTORS.iter().position(|known| *known == selector).unwrap();
        let index = match name {
            "type" => self.kind,
            "source_type" => self.source_type,
            "source_id" => self.source_id,
            "topic" | "partition" | "key" => of(name),
            field => self.fields[field],
        };
        &event[index]
    }

    fn render(&self, template: &str, event: &Event) -> String {
        let mut chars = template.chars().peekable();
        let mut channel = String::new();
        while let Some(c) = chars.next() {
            match c {
                '{' | '}' if chars.peek() == Some(&c) => {
                    channel.push(c);
                    chars.next();
                }
                '{' => {
                    let name: String = chars.by_ref().take_while(|&c| c != '}').collect();
                    channel.push_str(self.placeholder(&name, event));
                }
                c => channel.push(c),
            }
        }
        channel
    }
}

/// A record in which each selector gives its word; the words of fixed ones are filled in.
fn derive_event(route: &Route, event: &Event) -> Vec<String> {
    let value = json!({"id": event[0], "type": event[1], "source_type": event[2], "source_id": event[3], "extra": event[4]});
    let bytes = |text: &String| Some(text.clone().into_bytes());
    let headers = vec![
        ("Id".to_owned(), bytes(&event[6])),
        ("H".to_owned(), bytes(&event[7])),
    ];
    let value = value.to_string();
    let record = Record {
        offset: event[8].parse().unwrap(),
        timestamp_ms: Some(event[9].parse().unwrap()),
        headers: &headers,
        ..record(Some(event[5].as_bytes()), value.as_bytes())
    };
    let (_, commands) = derive(route, &record, usize::MAX);
    commands.into_iter().map(|(channel, _)| channel).collect()
}

/// The event with another id, offset and timestamp: `number` makes them.
fn event(words: &[&str; 8], number: u32, id: usize) -> Event {
    let mut event: Event =
        std::array::from_fn(|index| words.get(index).map_or(String::new(), |word| (*word).to_owned()));
    if let Some(word) = event[..words.len()].get_mut(id) {
        word.push_str(&format!("~{number}"));
    }
    event[8] = number.to_string();
    event[9] = (1000 + number).to_string();
    event[10] = "topic".to_owned();
    event[11] = "0".to_owned();
    event[12] = "x".to_owned();
    event[13] = format!("topic-0-{number}");
    event
}

/// Templates are refused, or render as they read, and the next event of the same source has the same channels.
pub fn renders_as_it_reads(routed: &Routed, words: &[&str; 8]) {
    let route = match Route::compile(&routed.spec()) {
        Ok(route) => route,
        Err(problems) => {
            assert!(
                problems
                    .iter()
                    .all(|problem| !problem.key.is_empty() && !problem.message.is_empty())
            );
            return;
        }
    };
    assert!((1..=MAX_CHANNELS).contains(&routed.channels.len()));
    let [first, second] = [1, 2].map(|number| event(words, number, routed.id));
    let channels = derive_event(&route, &first);
    if channels.is_empty() {
        return;
    }
    let expected: Vec<String> = routed
        .channels
        .iter()
        .map(|template| routed.render(template, &first))
        .collect();
    assert_eq!(channels, expected);
    assert_eq!(
        derive_event(&route, &second),
        channels,
        "an event has a channel of its own: {routed:?}"
    );
}
