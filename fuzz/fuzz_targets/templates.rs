//! Channel templates: any text, or pieces that are likely to make one.
#![no_main]

use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;

#[path = "../../tests/checks"]
mod checks {
    pub mod derive;
    pub mod templates;
}

use checks::templates::{Routed, SELECTORS, renders_as_it_reads};

#[derive(Arbitrary, Debug)]
enum Piece<'a> {
    Any(&'a str),
    Colon,
    Open,
    Close,
    Placeholder(u8),
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    id: u8,
    kind: u8,
    source_type: u8,
    source_id: u8,
    fields: Vec<(u8, u8)>,
    channels: Vec<Vec<Piece<'a>>>,
    words: [&'a str; 8],
}

/// Placeholders and names of fields alike: where they meet, the route has to decide.
fn name(index: u8) -> &'static str {
    const NAMES: [&str; 12] = [
        "type",
        "source_type",
        "source_id",
        "topic",
        "partition",
        "key",
        "id",
        "offset",
        "timestamp",
        "coordinates",
        "extra",
        "",
    ];
    NAMES[usize::from(index) % NAMES.len()]
}

impl Piece<'_> {
    fn write(&self, out: &mut String) {
        match self {
            Self::Any(text) => out.push_str(text),
            Self::Colon => out.push(':'),
            Self::Open => out.push('{'),
            Self::Close => out.push('}'),
            Self::Placeholder(index) => {
                out.push('{');
                out.push_str(name(*index));
                out.push('}');
            }
        }
    }
}

fuzz_target!(|input: Input<'_>| {
    let selector = |index: u8| usize::from(index) % SELECTORS.len();
    let fields = input.fields.iter();
    let channels = input.channels.iter().map(|pieces| {
        let mut template = String::new();
        pieces.iter().for_each(|piece| piece.write(&mut template));
        template
    });
    let routed = Routed {
        id: selector(input.id),
        kind: selector(input.kind),
        source_type: selector(input.source_type),
        source_id: selector(input.source_id),
        fields: fields
            .map(|&(field, index)| (name(field).to_owned(), selector(index)))
            .collect::<BTreeMap<_, _>>(),
        channels: channels.collect(),
    };
    renders_as_it_reads(&routed, &input.words);
});
