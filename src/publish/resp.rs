//! The Redis protocol (RESP2) as far as this service speaks it: writing PUBLISH, reading replies.
//!
//! <https://redis.io/docs/latest/develop/reference/protocol-spec/>

/// How deep a reply may nest: HELLO needs two levels.
const MAX_DEPTH: usize = 4;
/// How long one reply may be, so that a peer that isn't Redis can't make the buffer grow without end.
pub const MAX_REPLY_BYTES: usize = 1 << 20;

/// The command that reports the role of the server; it is allowed whatever the ACL says.
pub const HELLO: &[u8] = b"*1\r\n$5\r\nHELLO\r\n";

/// Appends `PUBLISH channel payload`.
pub fn encode_publish(out: &mut Vec<u8>, channel: &[u8], payload: &[u8]) {
    out.reserve(64 + channel.len() + payload.len());
    out.extend_from_slice(b"*3\r\n$7\r\nPUBLISH\r\n");
    encode_bulk(out, channel);
    encode_bulk(out, payload);
}

/// Appends a command of any kind.
pub fn encode_command(out: &mut Vec<u8>, arguments: &[&[u8]]) {
    out.push(b'*');
    out.extend_from_slice(itoa::Buffer::new().format(arguments.len()).as_bytes());
    out.extend_from_slice(b"\r\n");
    for argument in arguments {
        encode_bulk(out, argument);
    }
}

fn encode_bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'$');
    out.extend_from_slice(itoa::Buffer::new().format(bytes.len()).as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// A reply, borrowed from the buffer it was read into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply<'a> {
    /// An integer: what PUBLISH answers.
    Integer(i64),
    /// A simple or bulk string.
    Text(&'a [u8]),
    /// An error line without its leading `-`.
    Error(&'a [u8]),
    /// Null.
    Nil,
    /// An array.
    Array(Vec<Reply<'a>>),
}

/// What the buffer starts with isn't RESP2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer is not in the Redis protocol")]
pub struct NotResp;

/// Reads the reply at the start of `bytes` and tells how long it is; `None` when it isn't there whole.
pub fn parse(bytes: &[u8]) -> Result<Option<(Reply<'_>, usize)>, NotResp> {
    match parse_at(bytes, 0, 0) {
        Ok(None) if bytes.len() > MAX_REPLY_BYTES => Err(NotResp),
        other => other,
    }
}

fn parse_at(bytes: &[u8], start: usize, depth: usize) -> Result<Option<(Reply<'_>, usize)>, NotResp> {
    let Some(&kind) = bytes.get(start) else {
        return Ok(None);
    };
    if !matches!(kind, b':' | b'+' | b'-' | b'$' | b'*') || depth > MAX_DEPTH {
        return Err(NotResp);
    }
    let Some(length) = memchr::memchr(b'\n', &bytes[start..]) else {
        return Ok(None);
    };
    let end = start + length + 1;
    let line = bytes[start + 1..end].strip_suffix(b"\r\n").ok_or(NotResp)?;
    match kind {
        b':' => Ok(Some((Reply::Integer(number(line)?), end))),
        b'+' => Ok(Some((Reply::Text(line), end))),
        b'-' => Ok(Some((Reply::Error(line), end))),
        b'$' => parse_bulk(bytes, number(line)?, end),
        _ => parse_array(bytes, number(line)?, end, depth),
    }
}

fn parse_bulk(bytes: &[u8], length: i64, start: usize) -> Result<Option<(Reply<'_>, usize)>, NotResp> {
    if length == -1 {
        return Ok(Some((Reply::Nil, start)));
    }
    let length = usize::try_from(length)
        .ok()
        .filter(|&n| n <= MAX_REPLY_BYTES)
        .ok_or(NotResp)?;
    let end = start + length + 2;
    match bytes.get(start + length..end) {
        Some(b"\r\n") => Ok(Some((Reply::Text(&bytes[start..start + length]), end))),
        Some(_) => Err(NotResp),
        None => Ok(None),
    }
}

fn parse_array(
    bytes: &[u8],
    length: i64,
    start: usize,
    depth: usize,
) -> Result<Option<(Reply<'_>, usize)>, NotResp> {
    if length == -1 {
        return Ok(Some((Reply::Nil, start)));
    }
    let length = usize::try_from(length)
        .ok()
        .filter(|&n| n <= 1024)
        .ok_or(NotResp)?;
    let mut items = Vec::with_capacity(length);
    let mut at = start;
    for _ in 0..length {
        let Some((item, end)) = parse_at(bytes, at, depth + 1)? else {
            return Ok(None);
        };
        items.push(item);
        at = end;
    }
    Ok(Some((Reply::Array(items), at)))
}

fn number(digits: &[u8]) -> Result<i64, NotResp> {
    // One digit is what PUBLISH answers nearly always.
    if let [digit @ b'0'..=b'9'] = digits {
        return Ok(i64::from(digit - b'0'));
    }
    std::str::from_utf8(digits)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or(NotResp)
}

/// The text of the field `name` in HELLO's reply, a flat array of names and values.
pub fn field<'a>(reply: &Reply<'a>, name: &[u8]) -> Option<&'a [u8]> {
    let Reply::Array(items) = reply else { return None };
    items.chunks_exact(2).find_map(|pair| match (&pair[0], &pair[1]) {
        (Reply::Text(key), Reply::Text(value)) if *key == name => Some(*value),
        _ => None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HELLO_REPLY: &[u8] = b"*14\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:2\r\n\
        $2\r\nid\r\n:3\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n";

    #[test]
    fn publish_is_encoded_as_an_array_of_bulk_strings() {
        let mut out = Vec::new();
        encode_publish(&mut out, b"events:user:a", b"{}");
        assert_eq!(
            out,
            b"*3\r\n$7\r\nPUBLISH\r\n$13\r\nevents:user:a\r\n$2\r\n{}\r\n"
        );
    }

    #[test]
    fn replies_are_read_with_their_length() {
        assert_eq!(parse(b":12\r\n:3\r\n"), Ok(Some((Reply::Integer(12), 5))));
        assert_eq!(parse(b"-ERR no\r\n"), Ok(Some((Reply::Error(b"ERR no"), 9))));
        assert_eq!(parse(b"$-1\r\n"), Ok(Some((Reply::Nil, 5))));
        assert_eq!(parse(b"$3\r\na\r\nx"), Ok(None));
    }

    #[test]
    fn the_role_is_found_in_the_answer_to_hello() {
        let (reply, length) = parse(HELLO_REPLY).unwrap().unwrap();
        assert_eq!(length, HELLO_REPLY.len());
        assert_eq!(field(&reply, b"role"), Some(&b"master"[..]));
    }

    #[test]
    fn what_is_not_the_protocol_is_refused() {
        assert_eq!(parse(b"HTTP/1.1 400 Bad Request\r\n"), Err(NotResp));
        assert_eq!(parse(b":x\r\n"), Err(NotResp));
        assert_eq!(parse(b"*9999999\r\n"), Err(NotResp));
        assert_eq!(parse(b"$3\r\nmasterOK\r\n"), Err(NotResp));
    }

    proptest! {
        #[test]
        fn an_incomplete_reply_is_never_misread(cut in 0..HELLO_REPLY.len()) {
            prop_assert_eq!(parse(&HELLO_REPLY[..cut]), Ok(None));
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }
    }
}
