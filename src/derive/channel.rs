//! Compiled channel templates, and the channels of one record.

mod fault;
mod look;

use fault::{Fault, Shape};
use look::Look;

use super::Rejection;
use super::envelope::{Envelope, Needed};
use super::extract::Kind;
use super::source::{Datum, Input};
use super::template::MAX_CHANNEL_BYTES;
use super::text::{Unescaped, checked, inside};

/// A channel template of a route.
#[derive(Debug)]
pub(super) struct Channel {
    /// As written, for rejections.
    pub(super) template: String,
    pub(super) parts: Vec<Part>,
}

/// A part of a compiled template.
#[derive(Debug)]
pub(super) enum Part {
    Literal(String),
    Type,
    SourceType,
    SourceId,
    /// Anything else, by its own source.
    Other(Needed),
}

/// The rendered channels of one record, in one buffer that is reused.
#[derive(Debug, Default)]
pub(super) struct Channels {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Channels {
    /// Renders all channels of a record, or says which can't be.
    pub(super) fn render(
        &mut self,
        channels: &[Channel],
        envelope: &Envelope<'_>,
        input: &Input<'_>,
    ) -> Result<(), Rejection> {
        self.bytes.clear();
        self.ends.clear();
        for channel in channels {
            self.render_one(channel, envelope, input)?;
            self.ends.push(self.bytes.len());
        }
        Ok(())
    }

    /// The rendered channels in the order of the route, with their indexes.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(start, &end)| &self.bytes[start..end])
            .enumerate()
    }

    /// Appends all parts and then looks at the whole; only when there is something odd, at part after part.
    #[inline(always)]
    fn render_one(
        &mut self,
        channel: &Channel,
        envelope: &Envelope<'_>,
        input: &Input<'_>,
    ) -> Result<(), Rejection> {
        let start = self.bytes.len();
        let mut is_complete = true;
        for part in &channel.parts {
            match part.content(envelope, input) {
                Content::Literal(text) => self.bytes.extend_from_slice(text.as_bytes()),
                Content::Datum(datum) => is_complete &= append(&mut self.bytes, datum),
            }
        }
        let look = Look::at(&mut self.bytes, start);
        if !is_complete || look.is_odd {
            first_fault(channel, envelope, input)?;
        }
        if self.bytes.len() - start > MAX_CHANNEL_BYTES {
            return Err(Shape::TooLong.reject(channel));
        }
        if look.has_empty_segment {
            return Err(Shape::EmptySegment.reject(channel));
        }
        Ok(())
    }
}

/// What a part puts into the channel of one record.
enum Content<'a> {
    Literal(&'a str),
    Datum(Datum<'a>),
}

impl Part {
    #[inline(always)]
    fn content<'a>(&'a self, envelope: &Envelope<'a>, input: &Input<'a>) -> Content<'a> {
        Content::Datum(match self {
            Self::Literal(text) => return Content::Literal(text),
            Self::Type => envelope.kind,
            Self::SourceType => envelope.source_type,
            Self::SourceId => envelope.source_id,
            Self::Other(needed) => input.datum(&needed.source),
        })
    }
}

/// The fault of the first part that has one. Characters that are not ASCII are odd, and no fault.
#[inline(never)]
fn first_fault(channel: &Channel, envelope: &Envelope<'_>, input: &Input<'_>) -> Result<(), Rejection> {
    for part in &channel.parts {
        if let Content::Datum(datum) = part.content(envelope, input) {
            Fault::check(datum).map_err(|fault| fault.reject(channel, part))?;
        }
    }
    Ok(())
}

/// Appends a value as it comes, and says whether it could.
#[inline(always)]
fn append(out: &mut Vec<u8>, datum: Datum<'_>) -> bool {
    match datum {
        Datum::Json {
            raw,
            kind: Kind::String,
        } => append_text(out, inside(raw)),
        other => append_other(out, other),
    }
}

#[inline(never)]
fn append_other(out: &mut Vec<u8>, datum: Datum<'_>) -> bool {
    match datum {
        Datum::Text(text) => append_text(out, text.as_bytes()),
        Datum::Json {
            raw,
            kind: Kind::String,
        } => append_text(out, inside(raw)),
        Datum::Json {
            raw,
            kind: Kind::EscapedString,
        } => append_escaped(out, checked(inside(raw))),
        Datum::Json {
            kind: Kind::Array | Kind::Object,
            ..
        }
        // Differs for every record: `Route::compile` lets no template have it.
        | Datum::Coordinates
        | Datum::Absent
        | Datum::NotUtf8 => false,
        Datum::Json { raw, .. } => append_text(out, raw),
        Datum::Number(number) => append_text(out, itoa::Buffer::new().format(number).as_bytes()),
    }
}

#[inline(always)]
fn append_text(out: &mut Vec<u8>, text: &[u8]) -> bool {
    // Beyond the limit nothing needs to be copied: the channel is refused by its length.
    out.extend_from_slice(text.get(..=MAX_CHANNEL_BYTES).unwrap_or(text));
    true
}

fn append_escaped(out: &mut Vec<u8>, raw: &str) -> bool {
    let start = out.len();
    for c in Unescaped::new(raw) {
        let Ok(c) = c else { return false };
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        if out.len() - start > MAX_CHANNEL_BYTES {
            break;
        }
    }
    true
}
