//! Where a value comes from, compiled, and what it is for one record.

use super::extract::{Kind, Leaf};
use super::pointer::Paths;
use super::selector::Selector;
use crate::record::Record;

/// A selector whose pointer has become a slot.
#[derive(Debug)]
pub(super) enum Source {
    Value(usize),
    Key,
    KeyJson(usize),
    Header(String),
    Topic,
    Partition,
    Offset,
    Timestamp,
    Literal(String),
    Coordinates,
}

/// The two documents of a record that pointers may point into.
#[derive(Debug, Default)]
pub(super) struct Documents {
    pub(super) value: Paths,
    pub(super) key: Paths,
}

impl Documents {
    /// Turns a selector into a source, noting what has to be read for it.
    pub(super) fn source(&mut self, selector: &Selector) -> Source {
        match selector {
            Selector::Value(pointer) => Source::Value(self.value.add(pointer)),
            Selector::KeyJson(pointer) => Source::KeyJson(self.key.add(pointer)),
            Selector::Key => Source::Key,
            Selector::Header(name) => Source::Header(name.clone()),
            Selector::Topic => Source::Topic,
            Selector::Partition => Source::Partition,
            Selector::Offset => Source::Offset,
            Selector::Timestamp => Source::Timestamp,
            Selector::Literal(text) => Source::Literal(text.clone()),
            Selector::Coordinates => Source::Coordinates,
        }
    }
}

/// A document of one record, read: the text is known to be UTF-8.
#[derive(Clone, Copy, Default)]
pub(super) struct Document<'a> {
    pub(super) text: &'a [u8],
    pub(super) leaves: &'a [Leaf],
}

impl<'a> Document<'a> {
    #[inline(always)]
    fn datum(&self, slot: usize) -> Datum<'a> {
        match self.leaves.get(slot) {
            None
            | Some(Leaf {
                kind: Kind::Absent | Kind::Null,
                ..
            }) => Datum::Absent,
            Some(leaf) => Datum::Json {
                raw: leaf.raw(self.text),
                kind: leaf.kind,
            },
        }
    }
}

/// Everything a source may draw on.
#[derive(Clone, Copy)]
pub(super) struct Input<'a> {
    pub(super) record: &'a Record<'a>,
    pub(super) value: Document<'a>,
    pub(super) key: Document<'a>,
}

/// What a source gave for one record.
#[derive(Debug, Clone, Copy)]
pub(super) enum Datum<'a> {
    /// Nothing, or null.
    Absent,
    /// JSON as it stands in the record, quotes and escapes included; UTF-8.
    Json {
        raw: &'a [u8],
        kind: Kind,
    },
    /// Plain text.
    Text(&'a str),
    Number(i64),
    /// Topic, partition and offset, as the record has them.
    Coordinates,
    /// Bytes that should have been text.
    NotUtf8,
}

impl<'a> Input<'a> {
    /// What `source` gives for this record.
    #[inline(always)]
    pub(super) fn datum(&self, source: &'a Source) -> Datum<'a> {
        match source {
            Source::Value(slot) => self.value.datum(*slot),
            other => self.other_datum(other),
        }
    }

    #[inline(never)]
    fn other_datum(&self, source: &'a Source) -> Datum<'a> {
        let record = self.record;
        match source {
            Source::Value(slot) => self.value.datum(*slot),
            Source::KeyJson(slot) => self.key.datum(*slot),
            Source::Key => text(record.key),
            Source::Header(name) => text(record.headers.last(name).flatten()),
            Source::Topic => Datum::Text(record.topic),
            Source::Partition => Datum::Number(record.partition.into()),
            Source::Offset => Datum::Number(record.offset),
            Source::Timestamp => record.timestamp_ms.map_or(Datum::Absent, Datum::Number),
            Source::Literal(text) => Datum::Text(text),
            Source::Coordinates => Datum::Coordinates,
        }
    }
}

fn text(bytes: Option<&[u8]>) -> Datum<'_> {
    let Some(bytes) = bytes else { return Datum::Absent };
    simdutf8::basic::from_utf8(bytes).map_or(Datum::NotUtf8, Datum::Text)
}
