//! Ended batches as OTLP: spans with the names of OpenTelemetry's conventions for messaging
//! (<https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/>).

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, SpanFlags, Status};

use super::batch::{Ending, Origin};
use super::context::TraceContext;
use super::spans::EndedSpan;

/// The flag of a span that is recorded.
const SAMPLED: u32 = 1;

/// Who exports.
#[derive(Debug, Clone)]
pub struct Identity {
    /// `service.name`.
    pub service_name: String,
    /// `service.instance.id`: tells copies apart.
    pub instance_id: String,
    /// `messaging.consumer.group.name`.
    pub group_id: String,
}

impl Identity {
    /// Of this process.
    pub fn new(service_name: &str, group_id: &str) -> Self {
        Self {
            service_name: service_name.to_owned(),
            instance_id: format!("{:032x}", fastrand::u128(..)),
            group_id: group_id.to_owned(),
        }
    }

    /// All of these spans as one request.
    pub fn request(&self, spans: &[EndedSpan]) -> ExportTraceServiceRequest {
        let resource = Resource {
            attributes: vec![
                text("service.name", &self.service_name),
                text("service.version", env!("CARGO_PKG_VERSION")),
                text("service.instance.id", &self.instance_id),
            ],
            ..Resource::default()
        };
        let scope = InstrumentationScope {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(resource),
                scope_spans: vec![ScopeSpans {
                    scope: Some(scope),
                    spans: spans.iter().map(|ended| self.span(ended)).collect(),
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        }
    }

    /// A root span: a batch belongs to as many traces as it has records, so it is linked to them and child of none.
    fn span(&self, ended: &EndedSpan) -> Span {
        let trace = &ended.trace;
        let mut attributes = vec![
            text("messaging.system", "kafka"),
            text("messaging.operation.name", "process"),
            text("messaging.operation.type", "process"),
            text("messaging.consumer.group.name", &self.group_id),
            attribute(
                "messaging.batch.message_count",
                Value::IntValue(trace.records.into()),
            ),
        ];
        let mut name = "process".to_owned();
        if let Origin::Partition(topic, _) | Origin::Topic(topic) = &trace.origin {
            name = format!("process {topic}");
            attributes.push(text("messaging.destination.name", topic));
        }
        if let Origin::Partition(_, number) = &trace.origin {
            attributes.push(text("messaging.destination.partition.id", &number.to_string()));
        }
        if let Ending::Failed(why) = ended.ending {
            attributes.push(text("error.type", why));
        }
        Span {
            // Neither may be all zero.
            trace_id: fastrand::u128(1..).to_be_bytes().to_vec(),
            span_id: fastrand::u64(1..).to_be_bytes().to_vec(),
            flags: SAMPLED | SpanFlags::ContextHasIsRemoteMask as u32,
            name,
            kind: SpanKind::Consumer.into(),
            start_time_unix_nano: nanoseconds(trace.started),
            end_time_unix_nano: nanoseconds(ended.ended),
            attributes,
            links: trace.links.iter().map(link).collect(),
            dropped_links_count: trace.dropped_links,
            status: Some(status(&ended.ending)),
            ..Span::default()
        }
    }
}

fn link(context: &TraceContext) -> Link {
    let remote = SpanFlags::ContextHasIsRemoteMask as u32 | SpanFlags::ContextIsRemoteMask as u32;
    Link {
        trace_id: context.trace_id.to_vec(),
        span_id: context.span_id.to_vec(),
        flags: u32::from(context.flags) | remote,
        ..Link::default()
    }
}

/// A success leaves the status unset, as the conventions ask.
fn status(ending: &Ending) -> Status {
    match ending {
        Ending::Published => Status::default(),
        Ending::Failed(why) => Status {
            code: StatusCode::Error.into(),
            message: format!("not published: {why}"),
        },
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn nanoseconds(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
