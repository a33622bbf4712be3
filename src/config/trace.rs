//! `[trace]`: what a record's headers say about its trace, and where that goes.

use serde::{Deserialize, Serialize};

use super::otlp::Otlp;
use super::problem::Problems;
use crate::derive::{PassOn, PassedHeader, RESERVED_FIELDS};

/// The most bytes a header's name may have.
const MAX_HEADER_BYTES: usize = 256;

/// The `[trace]` section.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Trace {
    /// What is passed on from a record's headers into its notification, when the header is there.
    pub propagate: Vec<Passed>,
    /// Which headers these are.
    pub headers: Names,
    /// What they are called in the notification.
    pub fields: Names,
    /// Where the spans of batches go.
    pub otlp: Otlp,
}

/// What can be passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Passed {
    /// W3C `traceparent`.
    Traceparent,
    /// W3C `tracestate`, which belongs to a `traceparent`.
    Tracestate,
    /// A correlation id.
    CorrelationId,
}

/// A name for each of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Names {
    /// Of W3C `traceparent`.
    pub traceparent: String,
    /// Of W3C `tracestate`.
    pub tracestate: String,
    /// Of the correlation id.
    pub correlation_id: String,
}

impl Default for Trace {
    fn default() -> Self {
        Self {
            propagate: vec![Passed::Traceparent, Passed::Tracestate, Passed::CorrelationId],
            headers: Names::default(),
            fields: Names::default(),
            otlp: Otlp::default(),
        }
    }
}

impl Default for Names {
    fn default() -> Self {
        Self {
            traceparent: "traceparent".to_owned(),
            tracestate: "tracestate".to_owned(),
            correlation_id: "correlation_id".to_owned(),
        }
    }
}

impl Names {
    fn all(&self) -> [(&'static str, &str); 3] {
        [
            ("traceparent", &self.traceparent),
            ("tracestate", &self.tracestate),
            ("correlation_id", &self.correlation_id),
        ]
    }
}

impl Trace {
    /// What derivation passes on.
    pub fn pass_on(&self) -> PassOn {
        let passed = |what, header: &str, field: &str| {
            let propagated = self.propagate.contains(&what);
            propagated.then(|| PassedHeader::new(header, Some(field)))
        };
        let (headers, fields) = (&self.headers, &self.fields);
        let parent = passed(Passed::Traceparent, &headers.traceparent, &fields.traceparent);
        // Links need it, passed on or not.
        let read = self.otlp.endpoint.is_some();
        let read = read.then(|| PassedHeader::new(&headers.traceparent, None));
        PassOn {
            traceparent: parent.or(read),
            tracestate: passed(Passed::Tracestate, &headers.tracestate, &fields.tracestate),
            correlation_id: passed(
                Passed::CorrelationId,
                &headers.correlation_id,
                &fields.correlation_id,
            ),
        }
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        if self.propagate.contains(&Passed::Tracestate) && !self.propagate.contains(&Passed::Traceparent) {
            let message = "a tracestate means nothing without its traceparent; add \"traceparent\" or leave out \
                           \"tracestate\"";
            problems.add("trace.propagate", message);
        }
        for (name, header) in self.headers.all() {
            if header.is_empty() || header.len() > MAX_HEADER_BYTES || header.contains('\0') {
                let message = format!(
                    "a header has a name of 1 to {MAX_HEADER_BYTES} bytes without a zero among them; to pass nothing on, \
                     leave it out of trace.propagate"
                );
                problems.add(&format!("trace.headers.{name}"), message);
            }
        }
        self.otlp.check(problems);
        let fields = self.fields.all();
        for (n, (name, field)) in fields.iter().enumerate() {
            let key = format!("trace.fields.{name}");
            if field.is_empty() {
                let message = "a field needs a name; to pass nothing on, leave it out of trace.propagate";
                problems.add(&key, message);
            } else if RESERVED_FIELDS.contains(field) {
                let message = format!("every notification has its own `{field}`; choose another name");
                problems.add(&key, message);
            } else if fields[..n].iter().any(|(_, other)| other == field) {
                problems.add(&key, format!("`{field}` is there twice; choose another name"));
            }
        }
    }
}
