//! What is wrong with a channel, found part by part: the first fault names the dead letter.

use super::super::extract::Kind;
use super::super::source::Datum;
use super::super::template::MAX_CHANNEL_BYTES;
use super::super::text::{Unescaped, checked, inside};
use super::super::{Reason, Rejection};
use super::{Channel, Part};

/// Why a value can't be part of a channel.
#[derive(Clone, Copy)]
pub(super) enum Fault {
    Absent,
    NotUtf8,
    Kind(Kind),
    UnpairedSurrogate,
    Brace,
    Control,
}

impl Fault {
    /// Whether a value can be part of a channel.
    pub(super) fn check(datum: Datum<'_>) -> Result<(), Self> {
        match datum {
            Datum::Text(text) => check_text(text),
            Datum::Json {
                raw,
                kind: Kind::String,
            } => check_text(checked(inside(raw))),
            Datum::Json {
                raw,
                kind: Kind::EscapedString,
            } => check_escaped(checked(inside(raw))),
            Datum::Json {
                kind: kind @ (Kind::Array | Kind::Object),
                ..
            } => Err(Self::Kind(kind)),
            // Digits and words.
            Datum::Json { .. } | Datum::Number(_) => Ok(()),
            // Differs for every record: `Route::compile` lets no template have it.
            Datum::Absent | Datum::Coordinates => Err(Self::Absent),
            Datum::NotUtf8 => Err(Self::NotUtf8),
        }
    }

    #[cold]
    pub(super) fn reject(self, channel: &Channel, part: &Part) -> Rejection {
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

fn check_text(text: &str) -> Result<(), Fault> {
    // Beyond the limit nothing needs to be looked at: the channel is refused by its length.
    let text = text.get(..=MAX_CHANNEL_BYTES).unwrap_or(text);
    text.chars().try_for_each(check_char)
}

fn check_escaped(raw: &str) -> Result<(), Fault> {
    let mut length = 0;
    for c in Unescaped::new(raw) {
        let c = c.map_err(|_| Fault::UnpairedSurrogate)?;
        check_char(c)?;
        length += c.len_utf8();
        if length > MAX_CHANNEL_BYTES {
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

/// Why a channel as a whole can't be published to. Segments are what lies between the colons of the finished channel,
/// wherever the colons came from: a value may hold some, as long as no segment is left empty.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    TooLong,
    EmptySegment,
}

impl Shape {
    #[cold]
    pub(super) fn reject(self, channel: &Channel) -> Rejection {
        const _: () = assert!(MAX_CHANNEL_BYTES == 512, "the text below names it");
        let fault = match self {
            Self::TooLong => "has more than 512 bytes",
            Self::EmptySegment => "has an empty segment",
        };
        Rejection::new(
            Reason::InvalidChannel,
            format!("the channel of `{}` {fault}", channel.template),
        )
    }
}
