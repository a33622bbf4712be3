//! Headers of dead letters, where rdkafka's own interface doesn't reach.

use std::ffi::CString;

use rdkafka::bindings as sys;
use rdkafka::message::{BorrowedHeaders, OwnedHeaders};

use super::letter::OURS;
use crate::record::Headers as _;
use crate::source::message::MessageHeaders;

/// The text of the last header of that name.
pub(super) fn last(headers: &MessageHeaders<'_>, name: &str) -> Option<String> {
    headers
        .last(name)
        .flatten()
        .map(|value| String::from_utf8_lossy(value).into_owned())
}

/// A copy of the headers without those that this service writes.
pub(super) fn without_ours(headers: &BorrowedHeaders) -> OwnedHeaders {
    let copy = headers.detach();
    for name in OURS {
        let Ok(name) = CString::new(name) else { continue };
        let list = std::ptr::from_ref(copy.as_borrowed())
            .cast::<sys::rd_kafka_headers_t>()
            .cast_mut();
        // SAFETY: a `BorrowedHeaders` is librdkafka's header list seen through rdkafka; `copy` owns this one and
        // nothing else refers to it. A name that isn't there is no error to anybody.
        unsafe { sys::rd_kafka_header_remove(list, name.as_ptr()) };
    }
    copy
}
