//! Redis' replies in arbitrary pieces: anything, what a server could have sent, and that with damage.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;

#[path = "../../tests/checks/replies.rs"]
mod checks;

use checks::Sent;

/// A reply at most as deep as those that are read.
#[derive(Arbitrary, Debug)]
enum Flat {
    Integer(i64),
    Text(Vec<u8>),
    Error(Vec<u8>),
    Nil,
}

#[derive(Arbitrary, Debug)]
enum Nested {
    Flat(Flat),
    Array(Vec<Flat>),
    Arrays(Vec<Vec<Flat>>),
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    raw: &'a [u8],
    pieces: &'a [u8],
    replies: Vec<Nested>,
    damage: Option<(u16, u8)>,
}

impl From<Flat> for Sent {
    fn from(reply: Flat) -> Self {
        match reply {
            Flat::Integer(number) => Self::Integer(number),
            Flat::Text(text) => Self::Text(text),
            // An error is a line.
            Flat::Error(line) => {
                Self::Error(line.into_iter().filter(|byte| !b"\r\n".contains(byte)).collect())
            }
            Flat::Nil => Self::Nil,
        }
    }
}

impl From<Nested> for Sent {
    fn from(reply: Nested) -> Self {
        let array = |items: Vec<Flat>| Self::Array(items.into_iter().map(Self::from).collect());
        match reply {
            Nested::Flat(flat) => flat.into(),
            Nested::Array(items) => array(items),
            Nested::Arrays(arrays) => Self::Array(arrays.into_iter().map(array).collect()),
        }
    }
}

fuzz_target!(|input: Input<'_>| {
    checks::cuts_change_nothing(input.raw, input.pieces);
    let arguments: Vec<&[u8]> = input.raw.split(|&byte| byte == 0).collect();
    if arguments.len() <= 1024 {
        checks::a_command_reads_back(&arguments);
    }
    let replies: Vec<Sent> = input.replies.into_iter().map(Sent::from).collect();
    let Some((at, byte)) = input.damage else {
        return checks::arrives_as_sent(&replies, input.pieces);
    };
    let mut bytes = Vec::new();
    replies.iter().for_each(|reply| reply.write(&mut bytes));
    if let Some(damaged) = bytes.get_mut(usize::from(at)) {
        *damaged = byte;
    }
    checks::cuts_change_nothing(&bytes, input.pieces);
});
