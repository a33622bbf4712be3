//! Selectors on records whose value and key are JSON, nearly JSON, or anything.
#![no_main]

use std::fmt::Write as _;

use arbitrary::Arbitrary;
use kafka_redis_bridge::record::Record;
use libfuzzer_sys::fuzz_target;

#[path = "../../tests/checks"]
mod checks {
    pub mod derive;
    pub mod judge;
    pub mod selectors;
}

/// A member's name, or a step of a pointer: few, so that pointers meet members.
#[derive(Arbitrary, Debug)]
enum Name<'a> {
    A,
    B,
    Index(u8),
    Tilde,
    Any(&'a str),
}

#[derive(Arbitrary, Debug)]
enum Json<'a> {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(&'a str),
    Array(Vec<Json<'a>>),
    Object(Vec<(Name<'a>, Json<'a>)>),
}

#[derive(Arbitrary, Debug)]
enum Bytes<'a> {
    Raw(&'a [u8]),
    Json(Json<'a>),
    Damaged(Json<'a>, u16, u8),
}

#[derive(Arbitrary, Debug)]
enum Selector<'a> {
    Any(&'a str),
    Pointer(Vec<Name<'a>>),
    KeyPointer(Vec<Name<'a>>),
    Header(&'a str),
    Fixed(u8),
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    selector: Selector<'a>,
    value: Bytes<'a>,
    key: Option<Bytes<'a>>,
    headers: Vec<(&'a str, Option<&'a [u8]>)>,
    timestamp_ms: Option<i64>,
}

impl Name<'_> {
    fn text(&self) -> String {
        match self {
            Self::A => "a".to_owned(),
            Self::B => "b".to_owned(),
            Self::Index(index) => index.to_string(),
            Self::Tilde => "~/".to_owned(),
            Self::Any(text) => (*text).to_owned(),
        }
    }
}

impl Json<'_> {
    fn write(&self, out: &mut String) {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(flag) => write!(out, "{flag}").unwrap(),
            Self::Integer(number) => write!(out, "{number}").unwrap(),
            Self::Float(number) => out.push_str(&serde_json::Value::from(*number).to_string()),
            Self::Text(text) => out.push_str(&quoted(text)),
            Self::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    out.push(if index == 0 { '[' } else { ',' });
                    item.write(out);
                }
                out.push_str(if items.is_empty() { "[]" } else { "]" });
            }
            Self::Object(members) => {
                for (index, (name, value)) in members.iter().enumerate() {
                    out.push(if index == 0 { '{' } else { ',' });
                    write!(out, "{}:", quoted(&name.text())).unwrap();
                    value.write(out);
                }
                out.push_str(if members.is_empty() { "{}" } else { "}" });
            }
        }
    }
}

impl Bytes<'_> {
    fn bytes(&self) -> Vec<u8> {
        let written = |json: &Json<'_>| {
            let mut text = String::new();
            json.write(&mut text);
            text.into_bytes()
        };
        match self {
            Self::Raw(bytes) => bytes.to_vec(),
            Self::Json(json) => written(json),
            Self::Damaged(json, at, byte) => {
                let mut bytes = written(json);
                let at = usize::from(*at) % bytes.len();
                bytes[at] = *byte;
                bytes
            }
        }
    }
}

impl Selector<'_> {
    fn text(&self) -> String {
        const FIXED: [&str; 6] = ["key", "topic", "partition", "offset", "timestamp", "coordinates"];
        let pointer = |names: &[Name<'_>]| -> String {
            let escaped = names
                .iter()
                .map(|name| name.text().replace('~', "~0").replace('/', "~1"));
            escaped.map(|token| format!("/{token}")).collect()
        };
        match self {
            Self::Any(text) => (*text).to_owned(),
            Self::Pointer(names) => pointer(names),
            Self::KeyPointer(names) => format!("key:{}", pointer(names)),
            Self::Header(name) => format!("header:{name}"),
            Self::Fixed(index) => FIXED[usize::from(*index) % FIXED.len()].to_owned(),
        }
    }
}

fuzz_target!(|input: Input<'_>| {
    let selector = input.selector.text();
    let (value, key) = (input.value.bytes(), input.key.map(|key| key.bytes()));
    let headers = input.headers.iter();
    let headers: Vec<(String, Option<Vec<u8>>)> = headers
        .map(|(name, value)| ((*name).to_owned(), value.map(<[u8]>::to_vec)))
        .collect();
    let record = Record {
        timestamp_ms: input.timestamp_ms,
        headers: &headers,
        ..checks::derive::record(key.as_deref(), &value)
    };
    checks::selectors::finds_as_expected(&selector, &record);
    checks::selectors::serves_a_channel_as_expected(&selector, &record);
});
