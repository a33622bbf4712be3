//! What derivation promises, rule by rule. Each submodule holds one part of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod channels;
mod configuration;
mod documents;
mod envelope;
mod fields;
mod pass_on;
mod routing;
mod selectors;

use super::*;
use crate::record::{Headers, Record};

/// Commands as they arrive.
#[derive(Default)]
struct Collected(Vec<(String, String)>);

impl CommandSink for Collected {
    fn publish(&mut self, channel: &[u8], payload: &[u8]) {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        self.0.push((text(channel), text(payload)));
    }
}

type Header = (String, Option<Vec<u8>>);

/// A record to be derived, with a route and options; the defaults are those of the program.
struct Case {
    spec: Option<RouteSpec>,
    key: Option<Vec<u8>>,
    headers: Vec<Header>,
    timestamp_ms: Option<i64>,
    limits: Limits,
    pass_on: PassOn,
}

impl Headers for Case {
    fn last(&self, name: &str) -> Option<Option<&[u8]>> {
        Headers::last(&self.headers, name)
    }
}

/// The default envelope.
fn default() -> Case {
    Case {
        spec: None,
        key: None,
        headers: Vec::new(),
        timestamp_ms: None,
        limits: Limits::default(),
        pass_on: PassOn::default(),
    }
}

/// A route written in TOML.
fn route(toml: &str) -> Case {
    Case {
        spec: Some(spec(toml)),
        ..default()
    }
}

fn spec(toml: &str) -> RouteSpec {
    toml::from_str(&format!("topics = ['t']\n{toml}")).unwrap()
}

impl Case {
    fn key(self, key: impl AsRef<[u8]>) -> Self {
        Self {
            key: Some(key.as_ref().to_vec()),
            ..self
        }
    }

    fn header(mut self, name: &str, value: Option<&[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.map(<[u8]>::to_vec)));
        self
    }

    fn timestamp(self, ms: i64) -> Self {
        Self {
            timestamp_ms: Some(ms),
            ..self
        }
    }

    fn cap(self, max_notification_bytes: usize) -> Self {
        Self {
            limits: Limits {
                max_notification_bytes,
            },
            ..self
        }
    }

    fn compiled(&self) -> Route {
        match &self.spec {
            None => Route::default_envelope().unwrap(),
            Some(spec) => Route::compile(spec).unwrap_or_else(|problems| panic!("{problems:#?}")),
        }
    }

    fn record<'a>(&'a self, value: Option<&'a [u8]>) -> Record<'a> {
        Record {
            topic: "t",
            partition: 3,
            offset: 42,
            timestamp_ms: self.timestamp_ms,
            key: self.key.as_deref(),
            value,
            headers: self,
        }
    }

    /// Derives one value; a rejected record must have published nothing.
    fn run(&self, value: Option<&[u8]>, options: Options<'_>) -> (Derivation, Vec<(String, String)>, u64) {
        let mut sink = Collected::default();
        let mut deriver = Deriver::new(self.limits).passing_on(self.pass_on.clone());
        let derivation = deriver.derive(&self.compiled(), &self.record(value), options, &mut sink);
        match &derivation {
            Derivation::Ready { commands } => assert_eq!(usize::from(*commands), sink.0.len()),
            Derivation::Skip(_) => assert!(sink.0.is_empty()),
            Derivation::Reject(rejection) => {
                assert!(sink.0.is_empty(), "all or none");
                assert!(rejection.detail.len() <= MAX_DETAIL_BYTES);
            }
        }
        (derivation, sink.0, deriver.fields_omitted())
    }

    fn ready(&self, value: impl AsRef<[u8]>) -> Vec<(String, String)> {
        match self.run(Some(value.as_ref()), Options::default()) {
            (Derivation::Ready { .. }, commands, _) => commands,
            (other, ..) => panic!("{other:?}"),
        }
    }

    /// The notification of a record that is ready.
    fn notification(&self, value: impl AsRef<[u8]>) -> String {
        self.ready(value).swap_remove(0).1
    }

    /// The channels of a record that is ready.
    fn channels(&self, value: impl AsRef<[u8]>) -> Vec<String> {
        self.ready(value)
            .into_iter()
            .map(|(channel, _)| channel)
            .collect()
    }

    fn rejection(&self, value: impl AsRef<[u8]>) -> Rejection {
        match self.run(Some(value.as_ref()), Options::default()) {
            (Derivation::Reject(rejection), ..) => rejection,
            (other, ..) => panic!("{other:?}"),
        }
    }

    fn reason(&self, value: impl AsRef<[u8]>) -> Reason {
        self.rejection(value).reason
    }

    /// The only problem of a route that can't be compiled: its key and message.
    fn problem(&self) -> (String, String) {
        let problems = Route::compile(self.spec.as_ref().unwrap()).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:#?}");
        (problems[0].key.clone(), problems[0].message.clone())
    }
}

/// A complete default envelope with this in place of the `source_id`.
fn with_source_id(json: &str) -> String {
    format!(r#"{{"id":"1","type":"t","source_type":"user","source_id":{json}}}"#)
}

#[test]
fn reasons_have_the_names_that_dead_letters_carry() {
    let names = Reason::ALL.map(Reason::as_str);
    let documented = [
        "invalid_json",
        "not_an_object",
        "missing_field",
        "wrong_type",
        "invalid_channel",
        "channel_denied",
        "notification_too_large",
    ];
    assert_eq!(names, documented);
    assert_eq!(Skip::Tombstone.as_str(), "tombstone");
}

#[test]
fn a_detail_that_is_too_long_is_cut_between_characters() {
    let rejection = Rejection::new(Reason::MissingField, "é".repeat(400) + "x");
    assert_eq!(rejection.detail, "é".repeat(256));
}
