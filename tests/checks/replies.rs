//! Reading Redis' replies, however the network cuts them up.

use kafka_redis_bridge::publish::error::Fault;
use kafka_redis_bridge::publish::resp::{self, NotResp, Reply};

/// A reply that doesn't borrow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    Integer(i64),
    Text(Vec<u8>),
    Error(Vec<u8>),
    Nil,
    Array(Vec<Sent>),
}

impl From<&Reply<'_>> for Sent {
    fn from(reply: &Reply<'_>) -> Self {
        match reply {
            Reply::Integer(number) => Self::Integer(*number),
            Reply::Text(text) => Self::Text(text.to_vec()),
            Reply::Error(line) => Self::Error(line.to_vec()),
            Reply::Nil => Self::Nil,
            Reply::Array(items) => Self::Array(items.iter().map(Self::from).collect()),
        }
    }
}

impl Sent {
    /// As a server writes it: text as a bulk string.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Integer(number) => out.extend_from_slice(format!(":{number}\r\n").as_bytes()),
            Self::Text(text) => {
                out.extend_from_slice(format!("${}\r\n", text.len()).as_bytes());
                out.extend_from_slice(text);
                out.extend_from_slice(b"\r\n");
            }
            Self::Error(line) => {
                out.push(b'-');
                out.extend_from_slice(line);
                out.extend_from_slice(b"\r\n");
            }
            Self::Nil => out.extend_from_slice(b"$-1\r\n"),
            Self::Array(items) => {
                out.extend_from_slice(format!("*{}\r\n", items.len()).as_bytes());
                items.iter().for_each(|item| item.write(out));
            }
        }
    }
}

/// Feeds `bytes` in pieces of these lengths, one after the other and from the start again, as a connection does.
/// Returns the replies, and how it ended: an error, or how many bytes are left over.
pub fn feed(bytes: &[u8], pieces: &[u8]) -> (Vec<Sent>, Result<usize, NotResp>) {
    let mut lengths = pieces.iter().map(|&length| usize::from(length) + 1).cycle();
    let mut replies = Vec::new();
    let mut buffer = Vec::new();
    let mut rest = bytes;
    loop {
        match resp::parse(&buffer) {
            Ok(Some((reply, length))) => {
                if let Reply::Error(line) = &reply {
                    let fault = Fault::of_reply(line);
                    assert!(!fault.class.as_str().is_empty() && !fault.class.advice().is_empty());
                }
                replies.push(Sent::from(&reply));
                assert!(length > 0 && length <= buffer.len());
                buffer.drain(..length);
            }
            Err(error) => return (replies, Err(error)),
            Ok(None) if rest.is_empty() => return (replies, Ok(buffer.len())),
            Ok(None) => {
                let length = lengths.next().unwrap_or(usize::MAX).min(rest.len());
                buffer.extend_from_slice(&rest[..length]);
                rest = &rest[length..];
            }
        }
    }
}

/// However the bytes are cut, the replies are the same, and so is the end.
pub fn cuts_change_nothing(bytes: &[u8], pieces: &[u8]) {
    assert_eq!(feed(bytes, pieces), feed(bytes, &[]));
}

/// What a server sends arrives as it was sent.
pub fn arrives_as_sent(replies: &[Sent], pieces: &[u8]) {
    let mut bytes = Vec::new();
    replies.iter().for_each(|reply| reply.write(&mut bytes));
    assert_eq!(feed(&bytes, pieces), (replies.to_vec(), Ok(0)));
}

/// Commands read back as the array of their arguments.
pub fn a_command_reads_back(arguments: &[&[u8]]) {
    let mut bytes = Vec::new();
    resp::encode_command(&mut bytes, arguments);
    let sent = Sent::Array(
        arguments
            .iter()
            .map(|argument| Sent::Text(argument.to_vec()))
            .collect(),
    );
    assert_eq!(feed(&bytes, &[]), (vec![sent], Ok(0)));
}
