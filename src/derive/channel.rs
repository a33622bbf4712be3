//! Compiled channel templates, and the channels of one record.

use super::envelope::{Envelope, Needed};
use super::extract::Kind;
use super::source::{Datum, Input};
use super::template::MAX_CHANNEL_BYTES;
use super::text::Unescaped;
use super::{Reason, Rejection};

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

    fn render_one(
        &mut self,
        channel: &Channel,
        envelope: &Envelope<'_>,
        input: &Input<'_>,
    ) -> Result<(), Rejection> {
        let start = self.bytes.len();
        for part in &channel.parts {
            let datum = match part {
                Part::Literal(text) => {
                    self.bytes.extend_from_slice(text.as_bytes());
                    continue;
                }
                Part::Type => envelope.kind,
                Part::SourceType => envelope.source_type,
                Part::SourceId => envelope.source_id,
                Part::Other(needed) => input.datum(&needed.source),
            };
            append(&mut self.bytes, datum).map_err(|fault| fault.reject(channel, part))?;
        }
        check_whole(&self.bytes[start..]).map_err(|fault| {
            Rejection::new(
                Reason::InvalidChannel,
                format!("the channel of `{}` {fault}", channel.template),
            )
        })
    }
}

/// Segments are what lies between the colons of the finished channel, wherever the colons came from: a value may
/// hold some, as long as no segment is left empty.
fn check_whole(channel: &[u8]) -> Result<(), &'static str> {
    const _: () = assert!(MAX_CHANNEL_BYTES == 512, "the text below names it");
    if channel.len() > MAX_CHANNEL_BYTES {
        return Err("has more than 512 bytes");
    }
    if channel.split(|&byte| byte == b':').any(<[u8]>::is_empty) {
        return Err("has an empty segment");
    }
    Ok(())
}

/// Why a value can't be part of a channel.
#[derive(Clone, Copy)]
enum Fault {
    Absent,
    NotUtf8,
    Kind(Kind),
    UnpairedSurrogate,
    Brace,
    Control,
}

impl Fault {
    #[cold]
    fn reject(self, channel: &Channel, part: &Part) -> Rejection {
        let (reason, fault) = match self {
            Self::Absent => (Reason::MissingField, "is absent or null"),
            Self::NotUtf8 => (Reason::WrongType, "is not UTF-8 text"),
            Self::Kind(Kind::Array) => (Reason::WrongType, "is an array"),
            Self::Kind(_) => (Reason::WrongType, "is an object"),
            Self::UnpairedSurrogate => (Reason::InvalidJson, "has half a surrogate pair, which is no text"),
            Self::Brace => (Reason::InvalidChannel, "has a brace"),
            Self::Control => (Reason::InvalidChannel, "has a control character"),
        };
        let label = match part {
            Part::Literal(_) => "its text",
            Part::Type => "type",
            Part::SourceType => "source_type",
            Part::SourceId => "source_id",
            Part::Other(needed) => &needed.label,
        };
        Rejection::new(
            reason,
            format!("{label} {fault}; the channel template is `{}`", channel.template),
        )
    }
}

fn append(out: &mut Vec<u8>, datum: Datum<'_>) -> Result<(), Fault> {
    match datum {
        Datum::Text(text) => append_text(out, text),
        Datum::Json {
            raw,
            kind: Kind::String,
        } => append_text(out, inside(raw)),
        Datum::Json {
            raw,
            kind: Kind::EscapedString,
        } => append_escaped(out, inside(raw)),
        Datum::Json {
            kind: kind @ (Kind::Array | Kind::Object),
            ..
        } => Err(Fault::Kind(kind)),
        Datum::Json { raw, .. } => append_text(out, raw),
        Datum::Number(number) => append_text(out, itoa::Buffer::new().format(number)),
        // Differs for every record: `Route::compile` lets no template have it.
        Datum::Absent | Datum::Coordinates => Err(Fault::Absent),
        Datum::NotUtf8 => Err(Fault::NotUtf8),
    }
}

/// What stands between the quotes of a JSON string.
fn inside(raw: &str) -> &str {
    raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default()
}

fn append_text(out: &mut Vec<u8>, text: &str) -> Result<(), Fault> {
    // Beyond the limit nothing needs to be looked at, nor copied: `check_whole` refuses it by its length.
    let text = text.get(..=MAX_CHANNEL_BYTES).unwrap_or(text);
    let plain = text
        .bytes()
        .all(|b| matches!(b, b' '..=b'~') && b != b'{' && b != b'}');
    if !plain {
        text.chars().try_for_each(check_char)?;
    }
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

fn append_escaped(out: &mut Vec<u8>, raw: &str) -> Result<(), Fault> {
    let start = out.len();
    for c in Unescaped::new(raw) {
        let c = c.map_err(|_| Fault::UnpairedSurrogate)?;
        check_char(c)?;
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        if out.len() - start > MAX_CHANNEL_BYTES {
            break;
        }
    }
    Ok(())
}

fn check_char(c: char) -> Result<(), Fault> {
    match c {
        '{' | '}' => Err(Fault::Brace),
        c if c.is_control() => Err(Fault::Control),
        _ => Ok(()),
    }
}
