//! A message of librdkafka as a [`Record`], borrowed.

use std::cell::OnceCell;
use std::ffi::{CStr, c_char, c_void};
use std::ptr;

use rdkafka::bindings as sys;
use rdkafka::message::{BorrowedMessage, Message as _};

use crate::record::{Headers, Record};

/// The headers of a message. Looked up in librdkafka itself: rdkafka's own iterator panics on a header name that
/// isn't UTF-8, and a producer decides what it writes.
///
/// librdkafka parses the headers of a message when they are first asked for; a message without any costs it as much
/// each time, so the answer is kept.
pub struct MessageHeaders<'a> {
    message: &'a BorrowedMessage<'a>,
    list: OnceCell<Option<*mut sys::rd_kafka_headers_t>>,
}

/// The longest name of a header that is looked for.
const MAX_NAME_BYTES: usize = 256;

impl<'a> MessageHeaders<'a> {
    /// The headers of `message`.
    pub fn of(message: &'a BorrowedMessage<'a>) -> Self {
        Self {
            message,
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
            copy.push((name, bytes(self, value, size).map(<[u8]>::to_vec)));
        }
    }

    fn list(&self) -> Option<*mut sys::rd_kafka_headers_t> {
        *self.list.get_or_init(|| self.parse())
    }

    fn parse(&self) -> Option<*mut sys::rd_kafka_headers_t> {
        let mut headers: *mut sys::rd_kafka_headers_t = ptr::null_mut();
        // SAFETY: the message is alive while it is borrowed; librdkafka parses its headers on the first call and
        // keeps them with the message.
        let error = unsafe { sys::rd_kafka_message_headers(self.message.ptr(), &raw mut headers) };
        let there = error == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR && !headers.is_null();
        there.then_some(headers)
    }
}

/// The value of a header of `owner`; `None` when it is null.
fn bytes<'a>(_owner: &'a MessageHeaders<'_>, value: *const c_void, size: usize) -> Option<&'a [u8]> {
    if value.is_null() {
        return None;
    }
    // SAFETY: librdkafka says that `size` bytes at `value` belong to the message, which is borrowed.
    Some(unsafe { std::slice::from_raw_parts(value.cast::<u8>(), size) })
}

impl Headers for MessageHeaders<'_> {
    fn last(&self, name: &str) -> Option<Option<&[u8]>> {
        let headers = self.list()?;
        // On the stack: this runs for every record.
        let mut terminated = [0; MAX_NAME_BYTES + 1];
        let ended = terminated.get_mut(..=name.len())?;
        ended[..name.len()].copy_from_slice(name.as_bytes());
        let name = CStr::from_bytes_with_nul(ended).ok()?;
        let mut value: *const c_void = ptr::null();
        let mut size = 0usize;
        // SAFETY: `headers` is valid as long as the message, `name` ends with a zero, the outputs are our own.
        let error =
            unsafe { sys::rd_kafka_header_get_last(headers, name.as_ptr(), &raw mut value, &raw mut size) };
        if error != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return None;
        }
        Some(bytes(self, value, size))
    }
}

/// Views a message as a record.
pub fn record<'a>(message: &'a BorrowedMessage<'a>, topic: &'a str, headers: &'a dyn Headers) -> Record<'a> {
    Record {
        topic,
        partition: message.partition(),
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis(),
        key: message.key(),
        value: message.payload(),
        headers,
    }
}
