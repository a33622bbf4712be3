//! As much of the Redis protocol as a proxy and a recorder need: where a frame ends, and what an array holds.

/// A parsed frame. Simple strings, errors and numbers keep their text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// `+`, `:`, `,`, `#`, `(` and `_`: the text of the line.
    Line(String),
    /// `-`: an error.
    Error(String),
    /// `$`, `=`, `!`: bytes, or null.
    Bulk(Option<Vec<u8>>),
    /// `*`, `~`, `>`, `%`, `|`: items, keys and values of a map one after another.
    Items(Vec<Frame>),
}

impl Frame {
    /// The bytes of a string, whichever way it was sent.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bulk(Some(bytes)) => Some(bytes),
            Self::Line(text) | Self::Error(text) => Some(text.as_bytes()),
            _ => None,
        }
    }

    /// The items of an array, or nothing.
    pub fn items(&self) -> &[Frame] {
        match self {
            Self::Items(items) => items,
            _ => &[],
        }
    }
}

/// The first frame of `buffer` and its length in bytes; `None` while it is incomplete.
pub fn parse(buffer: &[u8]) -> Option<(Frame, usize)> {
    let line_end = buffer.windows(2).position(|pair| pair == b"\r\n")?;
    let line = String::from_utf8_lossy(buffer.get(1..line_end)?).into_owned();
    let after = line_end + 2;
    let count: i64 = line.parse().unwrap_or(-1);
    match buffer[0] {
        b'-' => Some((Frame::Error(line), after)),
        b'$' | b'=' | b'!' => {
            let Ok(length) = usize::try_from(count) else {
                return Some((Frame::Bulk(None), after));
            };
            let body = buffer.get(after..after + length + 2)?;
            Some((Frame::Bulk(Some(body[..length].to_vec())), after + length + 2))
        }
        kind @ (b'*' | b'~' | b'>' | b'%' | b'|') => {
            let each = if matches!(kind, b'%' | b'|') { 2 } else { 1 };
            let (mut items, mut at) = (Vec::new(), after);
            for _ in 0..count.max(0) * each {
                let (item, length) = parse(&buffer[at..])?;
                items.push(item);
                at += length;
            }
            Some((Frame::Items(items), at))
        }
        _ => Some((Frame::Line(line), after)),
    }
}

/// A command as an array of bulk strings.
pub fn command(parts: &[&str]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", parts.len()).into_bytes();
    for part in parts {
        out.extend_from_slice(format!("${}\r\n{part}\r\n", part.len()).as_bytes());
    }
    out
}
