//! Derivation runs for every record: in the steady state it must not touch the heap.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use kafka_redis_bridge::config::Trace;
use kafka_redis_bridge::derive::{CommandSink, Derivation, Deriver, Limits, Options, Route, RouteSpec};
use kafka_redis_bridge::record::{Headers, NoHeaders, Record};

/// The system's allocator, counting for each thread: the test harness has one of its own.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `System` with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the pointer came from `System` with this layout.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Counts bytes, so that the work can't be optimised away.
#[derive(Default)]
struct Sum(usize);

impl CommandSink for Sum {
    fn publish(&mut self, channel: &[u8], payload: &[u8]) {
        self.0 += channel.len() + payload.len();
    }
}

struct OneHeader;

impl Headers for OneHeader {
    fn last(&self, name: &str) -> Option<Option<&[u8]>> {
        (name == "X-GitHub-Event").then_some(Some(b"push"))
    }
}

/// A whole trace context, to be passed on.
struct TraceHeaders;

impl Headers for TraceHeaders {
    fn last(&self, name: &str) -> Option<Option<&[u8]>> {
        match name {
            "traceparent" => Some(Some(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")),
            "tracestate" => Some(Some(b"rojo=00f067aa0ba902b7,congo=\"t61\"")),
            "correlation_id" => Some(Some(b"a \"quoted\" id")),
            _ => OneHeader.last(name),
        }
    }
}

/// Deeper than a skipping parser gets without a heap, with escapes in names and values, and numbers of all kinds.
const VALUE: &str = r#"{
    "id": "01HZX3K9J6Q2", "type": "Push\u0045vent", "source_type": "repo", "source_id": "owner\/repo",
    "occurred_at": "2024-05-01T12:00:00Z", "correlation\u005fid": 12345678901234567890123,
    "body": {"a": [[{"b": [{"c": "\ud83d\ude00"}]}]], "n": [1, -2.5, 3e10, true, false, null]},
    "repository": {"full_name": "owner/repo", "owner": {"login": "owner", "teams": [[], [{}]]}}, "action": "opened"
}"#;

fn webhook_route() -> Route {
    let text = |text: &str| Some(text.to_owned());
    Route::compile(&RouteSpec {
        id: text("key:/delivery"),
        r#type: text("header:X-GitHub-Event"),
        source_type: text("literal:repo"),
        source_id: text("/repository/full_name"),
        channels: Some(vec![
            "events:{source_type}:{source_id}".to_owned(),
            "events:{action}".to_owned(),
        ]),
        fields: [("action", "/action"), ("owner", "/repository/owner")]
            .map(|(name, selector)| (name.to_owned(), selector.to_owned()))
            .into(),
        ..RouteSpec::default()
    })
    .unwrap()
}

fn allocations(route: &Route, headers: &dyn Headers, commands: u16) -> usize {
    let record = Record {
        topic: "github.webhooks",
        partition: 1,
        offset: 2,
        timestamp_ms: Some(3),
        key: Some(br#"{"delivery":"72d3162e-cc78-11e3-81ab-4c9367dc0958"}"#),
        value: Some(VALUE.as_bytes()),
        headers,
    };
    let mut deriver = Deriver::new(Limits::default()).passing_on(Trace::default().pass_on());
    let mut sink = Sum::default();
    let denied = |channel: &[u8]| channel.is_empty();
    let mut derive = || {
        let options = Options {
            replayed: true,
            only: None,
            wanted: None,
            denied: Some(&denied),
        };
        let derivation = deriver.derive(route, &record, options, &mut sink);
        assert!(
            matches!(derivation, Derivation::Ready { commands: n } if n == commands),
            "{derivation:?}"
        );
        assert_eq!(deriver.context().is_some(), headers.last("traceparent").is_some());
    };
    derive();
    let before = ALLOCATIONS.get();
    (0..1_000).for_each(|_| derive());
    ALLOCATIONS.get() - before
}

#[test]
fn the_second_record_and_all_after_it_allocate_nothing() {
    assert_eq!(
        allocations(&Route::default_envelope().unwrap(), &NoHeaders, 1),
        0,
        "default envelope"
    );
    assert_eq!(
        allocations(&webhook_route(), &OneHeader, 2),
        0,
        "configured route"
    );
    for route in [&Route::default_envelope().unwrap(), &webhook_route()] {
        let commands = u16::try_from(route.channel_count()).unwrap();
        assert_eq!(allocations(route, &TraceHeaders, commands), 0, "trace context");
    }
}
