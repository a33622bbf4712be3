//! The notification: `{"id":…,"type":…,"source_id":…}` and what a route adds.

use super::envelope::Envelope;
use super::extract::Kind;
use super::pass_on::{PassOn, PassedOn};
use super::source::{Datum, Input, Source};
use super::text::{checked, has_unpaired_surrogate, write_escaped, write_string};
use super::{Reason, Rejection};
use crate::record::Record;

/// An extra field of a route.
#[derive(Debug)]
pub(super) struct Field {
    /// `,"name":`, ready to be copied.
    pub(super) prefix: Vec<u8>,
    pub(super) source: Source,
}

/// What a notification has besides the envelope, and how long it may be.
pub(super) struct Shape<'a> {
    pub(super) fields: &'a [Field],
    pub(super) pass_on: &'a PassOn,
    pub(super) replayed: bool,
    pub(super) max_bytes: usize,
}

/// Writes the notification into `out` and returns what was passed on, and how many extra fields had to be left out.
///
/// The envelope always fits or the record is rejected; extra fields go in while they fit.
pub(super) fn write(
    out: &mut Vec<u8>,
    envelope: &Envelope<'_>,
    input: &Input<'_>,
    shape: &Shape<'_>,
) -> Result<PassedOn, Rejection> {
    let max_bytes = shape.max_bytes;
    let tail: &[u8] = if shape.replayed {
        b",\"replayed\":true}"
    } else {
        b"}"
    };
    let too_large = || {
        let detail = format!("over {max_bytes} bytes with id, type and source_id alone");
        Rejection::new(Reason::NotificationTooLarge, detail)
    };
    let room = max_bytes.checked_sub(tail.len()).ok_or_else(too_large)?;
    out.clear();
    let data = [envelope.id, envelope.kind, envelope.source_id];
    if data.iter().any(|&datum| least_len(datum) > room) {
        return Err(too_large());
    }
    out.extend_from_slice(b"{\"id\":");
    write_as_string(out, envelope.id, input.record);
    out.extend_from_slice(b",\"type\":");
    write_as_string(out, envelope.kind, input.record);
    out.extend_from_slice(b",\"source_id\":");
    write_as_string(out, envelope.source_id, input.record);
    if out.len() > room {
        return Err(too_large());
    }
    let fields = shape.fields.iter();
    let omitted: u64 = fields
        .map(|field| u64::from(!write_field(out, field, input, room)))
        .sum();
    let mut passed = shape.pass_on.write(out, shape.fields, input, room);
    passed.omitted += omitted;
    out.extend_from_slice(tail);
    Ok(passed)
}

/// Writes a field if it is there and fits; false when it had to be left out.
fn write_field(out: &mut Vec<u8>, field: &Field, input: &Input<'_>, room: usize) -> bool {
    let datum = input.datum(&field.source);
    match datum {
        Datum::Absent => return true,
        Datum::NotUtf8 => return false,
        Datum::Json { raw, kind } if kind.may_have_escapes() && has_unpaired_surrogate(raw) => return false,
        _ => {}
    }
    let start = out.len();
    if start + field.prefix.len() + least_len(datum) > room {
        return false;
    }
    out.extend_from_slice(&field.prefix);
    match datum {
        Datum::Json { raw, .. } => out.extend_from_slice(raw),
        Datum::Number(number) => out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes()),
        other => write_as_string(out, other, input.record),
    }
    if out.len() > room {
        out.truncate(start);
        return false;
    }
    true
}

/// A lower bound of what a value takes, known before anything is copied.
fn least_len(datum: Datum<'_>) -> usize {
    match datum {
        Datum::Json { raw, .. } => raw.len(),
        Datum::Text(text) => text.len(),
        Datum::Absent | Datum::Number(_) | Datum::Coordinates | Datum::NotUtf8 => 0,
    }
}

/// Writes a value of the envelope, which is a JSON string whatever it was in the record: JavaScript loses integers
/// beyond 2^53.
#[inline(always)]
fn write_as_string(out: &mut Vec<u8>, datum: Datum<'_>, record: &Record<'_>) {
    match datum {
        Datum::Json {
            raw,
            kind: Kind::String | Kind::EscapedString,
        } => out.extend_from_slice(raw),
        other => write_quoted(out, other, record),
    }
}

#[inline(never)]
fn write_quoted(out: &mut Vec<u8>, datum: Datum<'_>, record: &Record<'_>) {
    match datum {
        Datum::Json { raw, .. } => write_string(out, checked(raw)),
        Datum::Text(text) => write_string(out, text),
        Datum::Number(number) => write_string(out, itoa::Buffer::new().format(number)),
        Datum::Coordinates => {
            out.push(b'"');
            write_escaped(out, record.topic);
            for number in [i64::from(record.partition), record.offset] {
                out.push(b'-');
                out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
            }
            out.push(b'"');
        }
        // `Envelope::read` and `write_field` let neither through.
        Datum::Absent | Datum::NotUtf8 => out.extend_from_slice(b"null"),
    }
}
