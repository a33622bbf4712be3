//! A message of librdkafka as a [`Record`], borrowed.

use std::cell::OnceCell;
use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr;

use rdkafka::bindings as sys;
use rdkafka::message::{BorrowedHeaders, BorrowedMessage};

use crate::record::{Headers, Record};

/// A message in librdkafka's memory, whoever holds it: rdkafka's `BorrowedMessage` or our own
/// [`Fetched`](super::records::Fetched). Nothing is copied.
#[derive(Clone, Copy)]
pub struct Message<'a>(&'a sys::rd_kafka_message_t);

impl<'a> From<&'a BorrowedMessage<'a>> for Message<'a> {
    fn from(message: &'a BorrowedMessage<'a>) -> Self {
        // SAFETY: rdkafka keeps the message alive and unchanged while it is borrowed.
        Self(unsafe { &*message.ptr() })
    }
}

impl<'a> Message<'a> {
    /// A view of a message that is held elsewhere.
    pub(super) fn new(message: &'a sys::rd_kafka_message_t) -> Self {
        Self(message)
    }

    /// The topic's name.
    pub fn topic(self) -> &'a str {
        // SAFETY: a consumed message has a topic, which lives as long as the message and ends its name with a zero.
        let name = unsafe { CStr::from_ptr(sys::rd_kafka_topic_name(self.0.rkt)) };
        // Kafka allows ASCII only in names.
        name.to_str().unwrap_or_default()
    }

    /// The partition.
    pub fn partition(self) -> i32 {
        self.0.partition
    }

    /// The offset.
    pub fn offset(self) -> i64 {
        self.0.offset
    }

    /// The timestamp in milliseconds since the epoch; `None` when the record has none.
    pub fn timestamp_ms(self) -> Option<i64> {
        let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is alive while it is borrowed; the output is our own.
        let timestamp = unsafe { sys::rd_kafka_message_timestamp(self.0, &raw mut kind) };
        let there = kind != sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        (there && timestamp >= 0).then_some(timestamp)
    }

    /// The key; `None` is Kafka's null.
    pub fn key(self) -> Option<&'a [u8]> {
        bytes(self, self.0.key, self.0.key_len)
    }

    /// The value; `None` is Kafka's null.
    pub fn value(self) -> Option<&'a [u8]> {
        bytes(self, self.0.payload, self.0.len)
    }

    /// The headers as rdkafka sees them; `None` when there are none.
    pub fn header_list(self) -> Option<&'a BorrowedHeaders> {
        // SAFETY: rdkafka's `BorrowedHeaders` is librdkafka's list seen through a reference, and the list lives as
        // long as the message.
        self.raw_headers()
            .map(|list| unsafe { &*list.cast::<BorrowedHeaders>() })
    }

    fn raw_headers(self) -> Option<*mut sys::rd_kafka_headers_t> {
        let mut headers: *mut sys::rd_kafka_headers_t = ptr::null_mut();
        // SAFETY: the message is alive while it is borrowed; librdkafka parses its headers on the first call and
        // keeps them with the message.
        let error = unsafe { sys::rd_kafka_message_headers(self.0, &raw mut headers) };
        let there = error == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR && !headers.is_null();
        there.then_some(headers)
    }
}

/// Bytes that belong to a message; `None` when they are null.
fn bytes<'a>(_owner: Message<'a>, start: *const c_void, size: usize) -> Option<&'a [u8]> {
    if start.is_null() {
        return None;
    }
    // SAFETY: librdkafka says that `size` bytes there belong to the message, which is borrowed.
    Some(unsafe { std::slice::from_raw_parts(start.cast::<u8>(), size) })
}

/// The headers of a message. Looked up in librdkafka itself: rdkafka's own iterator panics on a header name that
/// isn't UTF-8, and a producer decides what it writes.
///
/// librdkafka parses the headers of a message when they are first asked for; a message without any costs it as much
/// each time, so the answer is kept.
pub struct MessageHeaders<'a> {
    message: Message<'a>,
    list: OnceCell<Option<*mut sys::rd_kafka_headers_t>>,
}

impl<'a> MessageHeaders<'a> {
    /// The headers of `message`.
    pub fn of(message: impl Into<Message<'a>>) -> Self {
        Self {
            message: message.into(),
            list: OnceCell::new(),
        }
    }

    /// A copy of all of them in their order. What isn't UTF-8 in a name is replaced.
    pub fn to_vec(&self) -> Vec<(String, Option<Vec<u8>>)> {
        let Some(headers) = self.list() else {
            return Vec::new();
        };
        let mut copy = Vec::new();
        loop {
            let (mut name, mut value, mut size) = (ptr::null::<c_char>(), ptr::null::<c_void>(), 0usize);
            // SAFETY: `headers` is valid as long as the message, the outputs are our own.
            let error = unsafe {
                sys::rd_kafka_header_get_all(
                    headers,
                    copy.len(),
                    &raw mut name,
                    &raw mut value,
                    &raw mut size,
                )
            };
            if error != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR || name.is_null() {
                return copy;
            }
            // SAFETY: librdkafka ends names with a zero and keeps them with the message.
            let name = unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned();
            copy.push((name, bytes(self.message, value, size).map(<[u8]>::to_vec)));
        }
    }

    fn list(&self) -> Option<*mut sys::rd_kafka_headers_t> {
        *self.list.get_or_init(|| self.message.raw_headers())
    }
}

impl Headers for MessageHeaders<'_> {
    fn last(&self, name: &str) -> Option<Option<&[u8]>> {
        let headers = self.list()?;
        with_c_name(name, |name| {
            let mut value: *const c_void = ptr::null();
            let mut size = 0usize;
            // SAFETY: `headers` is valid as long as the message, `name` ends with a zero, the outputs are our own.
            let error = unsafe {
                sys::rd_kafka_header_get_last(headers, name.as_ptr(), &raw mut value, &raw mut size)
            };
            let there = error == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
            there.then(|| bytes(self.message, value, size))
        })
    }
}

/// Gives `look` the name with a zero behind it, on the stack unless it is unusually long: this is asked per record.
fn with_c_name<T>(name: &str, look: impl FnOnce(&CStr) -> Option<T>) -> Option<T> {
    const USUAL: usize = 64;
    let mut buffer = [0u8; USUAL];
    match buffer.get_mut(..name.len()) {
        Some(start) if name.len() < USUAL => {
            start.copy_from_slice(name.as_bytes());
            look(CStr::from_bytes_with_nul(&buffer[..=name.len()]).ok()?)
        }
        _ => look(&CString::new(name).ok()?),
    }
}

/// Views a message as a record.
pub fn record<'a>(message: impl Into<Message<'a>>, topic: &'a str, headers: &'a dyn Headers) -> Record<'a> {
    let message = message.into();
    Record {
        topic,
        partition: message.partition(),
        offset: message.offset(),
        timestamp_ms: message.timestamp_ms(),
        key: message.key(),
        value: message.value(),
        headers,
    }
}
