//! What is passed on from a record's headers into its notification: trace context and correlation id.
//!
//! A field of the route with the same name wins where the record has it. A `traceparent` that isn't one is left out,
//! and a `tracestate` goes only behind the `traceparent` that it belongs to.

use super::notification::Field;
use super::source::{Datum, Input};
use super::text::write_string;
use crate::trace::context::{TRACEPARENT_BYTES, TraceContext, tracestate};

/// A header, and what it is called in the notification.
#[derive(Debug, Clone)]
pub struct PassedHeader {
    header: String,
    /// `,"name":`, ready to be copied; `None` when it is read and not written.
    prefix: Option<Vec<u8>>,
}

impl PassedHeader {
    /// The header of that name, as the field of that name; without a field it is only read.
    pub fn new(header: &str, field: Option<&str>) -> Self {
        Self {
            header: header.to_owned(),
            prefix: field.map(prefix),
        }
    }

    fn value<'a>(&self, input: &Input<'a>) -> Option<&'a [u8]> {
        let value = input.record.headers.last(&self.header).flatten();
        value.filter(|value| !value.is_empty())
    }

    /// The prefix, unless nothing is to be written or the route's own field of that name is there.
    fn wanted(&self, fields: &[Field], input: &Input<'_>) -> Option<&[u8]> {
        let prefix = self.prefix.as_deref()?;
        let own = fields.iter().find(|field| field.prefix == prefix);
        let is_there = own.is_some_and(|field| !matches!(input.datum(&field.source), Datum::Absent));
        (!is_there).then_some(prefix)
    }
}

/// `,"name":`, as a further member of an object begins.
pub(super) fn prefix(name: &str) -> Vec<u8> {
    let mut prefix = vec![b','];
    write_string(&mut prefix, name);
    prefix.push(b':');
    prefix
}

/// Which headers are passed on; by default none.
#[derive(Debug, Clone, Default)]
pub struct PassOn {
    /// W3C `traceparent`.
    pub traceparent: Option<PassedHeader>,
    /// W3C `tracestate`; only with a `traceparent` that is passed on.
    pub tracestate: Option<PassedHeader>,
    /// The correlation id: any text.
    pub correlation_id: Option<PassedHeader>,
}

/// What became of the headers of one record.
#[derive(Debug, Default)]
pub(super) struct PassedOn {
    /// What its `traceparent` says, written or not.
    pub(super) context: Option<TraceContext>,
    /// How many had to be left out: no room, or not what they should be.
    pub(super) omitted: u64,
}

impl PassOn {
    /// Adds members to the open object in `out` while they fit below `room`.
    pub(super) fn write(
        &self,
        out: &mut Vec<u8>,
        fields: &[Field],
        input: &Input<'_>,
        room: usize,
    ) -> PassedOn {
        let mut passed = PassedOn::default();
        let state_belongs = self.traceparent.as_ref().is_some_and(|header| {
            let Some(text) = header.value(input) else {
                return false;
            };
            passed.context = TraceContext::parse(text);
            let Some(prefix) = header.wanted(fields, input) else {
                return false;
            };
            let written = passed.context.is_some_and(|context| {
                let fits = out.len() + prefix.len() + TRACEPARENT_BYTES + 2 <= room;
                if fits {
                    out.extend_from_slice(prefix);
                    out.push(b'"');
                    context.write(out);
                    out.push(b'"');
                }
                fits
            });
            passed.omitted += u64::from(!written);
            written
        });
        let as_text = |text| std::str::from_utf8(text).ok();
        passed.omitted += text(self.correlation_id.as_ref(), out, fields, input, room, as_text);
        if state_belongs {
            // The last, since it is the longest: it takes room from nothing else.
            passed.omitted += text(self.tracestate.as_ref(), out, fields, input, room, tracestate);
        }
        passed
    }
}

/// Writes a header as a JSON string; returns 1 when it is there and had to be left out.
fn text<'a>(
    header: Option<&PassedHeader>,
    out: &mut Vec<u8>,
    fields: &[Field],
    input: &Input<'a>,
    room: usize,
    read: impl Fn(&'a [u8]) -> Option<&'a str>,
) -> u64 {
    let Some(header) = header else { return 0 };
    let Some(value) = header.value(input) else {
        return 0;
    };
    let Some(prefix) = header.wanted(fields, input) else {
        return 0;
    };
    let start = out.len();
    if let Some(value) = read(value).filter(|value| !value.is_empty())
        && start + prefix.len() + value.len() + 2 <= room
    {
        out.extend_from_slice(prefix);
        write_string(out, value);
        if out.len() <= room {
            return 0;
        }
        out.truncate(start);
    }
    1
}
