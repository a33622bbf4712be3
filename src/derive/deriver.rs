//! The hot path: record → channels and notification.

use super::channel::Channels;
use super::envelope::Envelope;
use super::extract::{Leaf, extract};
use super::notification::{self, Shape};
use super::pass_on::PassOn;
use super::scan::Marks;
use super::source::{Document, Documents, Input};
use super::{Derivation, Reason, Rejection, Route, Skip, Wanted};
use crate::record::Record;
use crate::trace::context::TraceContext;

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
        Self {
            max_notification_bytes: 1024,
        }
    }
}

/// Tells whether Redis is known to refuse a channel.
pub type IsDenied<'a> = dyn Fn(&[u8]) -> bool + 'a;

/// What differs from call to call.
#[derive(Clone, Copy, Default)]
pub struct Options<'a> {
    /// Adds `"replayed":true` to the notification.
    pub replayed: bool,
    /// Emits only the channels whose bit is set (bit 0 = the route's first); `None` = all of them.
    pub only: Option<u64>,
    /// Only records that are about these; `None` = all of them.
    pub wanted: Option<&'a Wanted>,
    /// Asked for every channel that would be emitted; a refused one rejects the record. `None` asks nothing.
    pub denied: Option<&'a IsDenied<'a>>,
}

/// Derives records one after the other, reusing its buffers: no allocation per record once they have grown.
#[derive(Debug)]
pub struct Deriver {
    limits: Limits,
    pass_on: PassOn,
    context: Option<TraceContext>,
    fields_omitted: u64,
    marks: Marks,
    value: Vec<Leaf>,
    key: Vec<Leaf>,
    channels: Channels,
    notification: Vec<u8>,
}

impl Deriver {
    /// A deriver with empty buffers.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            pass_on: PassOn::default(),
            context: None,
            fields_omitted: 0,
            marks: Marks::default(),
            value: Vec::new(),
            key: Vec::new(),
            channels: Channels::default(),
            notification: Vec::new(),
        }
    }

    /// The same, passing these headers on.
    pub fn passing_on(self, pass_on: PassOn) -> Self {
        Self { pass_on, ..self }
    }

    /// Derives one record. All or none: unless the answer is [`Derivation::Ready`], nothing went to `sink`.
    pub fn derive<S: CommandSink + ?Sized>(
        &mut self,
        route: &Route,
        record: &Record<'_>,
        options: Options<'_>,
        sink: &mut S,
    ) -> Derivation {
        let Some(value) = record.value else {
            return Derivation::Skip(Skip::Tombstone);
        };
        match self.prepare(route, record, value, options) {
            Ok(None) => Derivation::Skip(Skip::Filtered),
            Ok(Some(omitted)) => {
                self.fields_omitted += omitted;
                Derivation::Ready {
                    commands: self.emit(options, sink),
                }
            }
            Err(rejection) => Derivation::Reject(rejection),
        }
    }

    /// The trace context of the record that was ready last, if its headers have one and it is looked for.
    pub fn context(&self) -> Option<TraceContext> {
        self.context
    }

    /// Takes the count of extra fields and passed headers that were left out of ready notifications, because of the
    /// cap or because they are not what they should be.
    pub fn fields_omitted(&mut self) -> u64 {
        std::mem::take(&mut self.fields_omitted)
    }

    /// Fills the buffers, and returns how many extra fields were left out; `None` when the record isn't wanted.
    fn prepare(
        &mut self,
        route: &Route,
        record: &Record<'_>,
        value: &[u8],
        options: Options<'_>,
    ) -> Result<Option<u64>, Rejection> {
        let Documents {
            value: in_value,
            key: in_key,
        } = &route.documents;
        let (marks, key) = (&mut self.marks, record.key.unwrap_or_default());
        if !in_value.is_empty() {
            extract("value", value, in_value, marks, &mut self.value)?;
        }
        if !in_key.is_empty() && record.key.is_some() {
            extract("key", key, in_key, marks, &mut self.key)?;
        } else {
            self.key.clear();
        }
        let input = Input {
            record,
            value: Document {
                text: value,
                leaves: &self.value,
            },
            key: Document {
                text: key,
                leaves: &self.key,
            },
        };
        let envelope = Envelope::read(route, &input)?;
        if !options.wanted.is_none_or(|wanted| wanted.admits(&envelope)) {
            return Ok(None);
        }
        self.channels.render(&route.channels, &envelope, &input)?;
        let shape = Shape {
            fields: &route.fields,
            pass_on: &self.pass_on,
            replayed: options.replayed,
            max_bytes: self.limits.max_notification_bytes,
        };
        let passed = notification::write(&mut self.notification, &envelope, &input, &shape)?;
        self.context = passed.context;
        let omitted = passed.omitted;
        match options.denied {
            Some(denied) => self
                .check_denied(route, options.only, denied)
                .map(|()| Some(omitted)),
            None => Ok(Some(omitted)),
        }
    }

    #[cold]
    fn check_denied(&self, route: &Route, only: Option<u64>, denied: &IsDenied<'_>) -> Result<(), Rejection> {
        let refused = self
            .channels
            .iter()
            .find(|&(index, channel)| is_selected(only, index) && denied(channel));
        refused.map_or(Ok(()), |(index, _)| {
            let template = &route.channels[index].template;
            Err(Rejection::new(
                Reason::ChannelDenied,
                format!("Redis refuses the channel of `{template}`"),
            ))
        })
    }

    fn emit<S: CommandSink + ?Sized>(&self, options: Options<'_>, sink: &mut S) -> u16 {
        let mut commands = 0;
        for (_, channel) in self
            .channels
            .iter()
            .filter(|&(index, _)| is_selected(options.only, index))
        {
            sink.publish(channel, &self.notification);
            commands += 1;
        }
        commands
    }
}

fn is_selected(only: Option<u64>, index: usize) -> bool {
    only.is_none_or(|mask| mask >> index & 1 == 1)
}
