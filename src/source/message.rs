//! A message of librdkafka as a [`Record`], borrowed.

use std::ffi::{CString, c_void};
use std::ptr;

use rdkafka::bindings as sys;
use rdkafka::message::{BorrowedMessage, Message as _};

use crate::record::{Headers, Record};

/// The headers of a message. Looked up in librdkafka itself: rdkafka's own iterator panics on a header name that
/// isn't UTF-8, and a producer decides what it writes.
pub struct MessageHeaders<'a>(&'a BorrowedMessage<'a>);

impl<'a> MessageHeaders<'a> {
    /// The headers of `message`.
    pub fn of(message: &'a BorrowedMessage<'a>) -> Self {
        Self(message)
    }
}

impl Headers for MessageHeaders<'_> {
    fn last(&self, name: &str) -> Option<Option<&[u8]>> {
        let name = CString::new(name).ok()?;
        let mut headers: *mut sys::rd_kafka_headers_t = ptr::null_mut();
        // SAFETY: the message is alive while it is borrowed; librdkafka parses its headers on the first call and
        // keeps them with the message.
        let error = unsafe { sys::rd_kafka_message_headers(self.0.ptr(), &raw mut headers) };
        if error != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR || headers.is_null() {
            return None;
        }
        let mut value: *const c_void = ptr::null();
        let mut size = 0usize;
        // SAFETY: `headers` is valid as long as the message, `name` ends with a zero, the outputs are our own.
        let error =
            unsafe { sys::rd_kafka_header_get_last(headers, name.as_ptr(), &raw mut value, &raw mut size) };
        if error != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return None;
        }
        if value.is_null() {
            return Some(None);
        }
        // SAFETY: librdkafka says that `size` bytes at `value` belong to the message, which is borrowed.
        Some(Some(unsafe {
            std::slice::from_raw_parts(value.cast::<u8>(), size)
        }))
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
