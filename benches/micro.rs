//! `cargo bench`: what the stages between Kafka and Redis cost, each by itself and per record.
//!
//! `make bench` measures the whole; these tell where a change of it comes from.

#![allow(missing_docs, reason = "a program, not a library")]

#[path = "bridge/records.rs"]
#[allow(dead_code, reason = "the topics are the other benchmark's")]
mod records;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use kafka_redis_bridge::derive::{CommandSink, Deriver, Limits, Options, Route, RouteSpec};
use kafka_redis_bridge::progress::{Offset, Position, Progress};
use kafka_redis_bridge::publish::batch::Batch;
use kafka_redis_bridge::publish::resp;
use kafka_redis_bridge::record::{NoHeaders, Record};

/// What can go wrong is told and ends the program.
pub type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

/// Records of one round: a batch as it is by default.
const RECORDS: u32 = 1024;

fn main() {
    divan::main();
}

/// Takes commands and does nothing with them.
struct Nowhere;

impl CommandSink for Nowhere {
    fn publish(&mut self, channel: &[u8], payload: &[u8]) {
        black_box((channel, payload));
    }
}

fn values() -> Vec<Vec<u8>> {
    let mut random = fastrand::Rng::with_seed(1);
    let value = |id| {
        let mut value = Vec::new();
        records::write_value(&mut value, id, id % records::SOURCES, &mut random);
        value
    };
    (0..u64::from(RECORDS)).map(value).collect()
}

fn record(value: &[u8], offset: u32) -> Record<'_> {
    Record {
        topic: "bench",
        partition: 0,
        offset: i64::from(offset),
        timestamp_ms: Some(1),
        key: None,
        value: Some(value),
        headers: &NoHeaders,
    }
}

/// The default envelope, a route with pointers and two channels, and two that share all but reading the value: their
/// difference is decoding.
fn route(name: &str) -> Route {
    let text = |text: &str| Some(text.to_owned());
    let id_of_coordinates = RouteSpec {
        id: text("coordinates"),
        r#type: text("literal:push"),
        source_type: text("literal:repo"),
        source_id: text("literal:one"),
        ..RouteSpec::default()
    };
    let field = |name: &str, selector: &str| (name.to_owned(), selector.to_owned());
    let spec = match name {
        "default" => RouteSpec::default(),
        "realistic" => RouteSpec {
            id: text("/id"),
            r#type: text("/type"),
            source_id: text("/data/repository/full_name"),
            channels: Some(vec![
                "events:{source_type}:{source_id}".to_owned(),
                "events:{source_type}".to_owned(),
            ]),
            fields: [
                field("action", "/data/action"),
                field("sender", "/data/sender/login"),
            ]
            .into(),
            ..id_of_coordinates
        },
        "value read, nothing found" => RouteSpec {
            fields: [field("absent", "/absent")].into(),
            ..id_of_coordinates
        },
        _ => id_of_coordinates,
    };
    Route::compile(&spec).unwrap_or_else(|error| unreachable!("{name}: {error:?}"))
}

#[divan::bench(args = ["default", "realistic", "value read, nothing found", "value not read"])]
fn derive(bencher: Bencher<'_, '_>, name: &str) {
    let (route, values) = (route(name), values());
    let mut deriver = Deriver::new(Limits::default());
    bencher.counter(ItemsCount::new(RECORDS)).bench_local(|| {
        for (value, offset) in values.iter().zip(0..) {
            let record = record(black_box(value), offset);
            let _ = black_box(deriver.derive(&route, &record, Options::default(), &mut Nowhere));
        }
    });
}

#[divan::bench]
fn encode(bencher: Bencher<'_, '_>) {
    let (channel, payload) = records::notification(0);
    let mut batch = Batch::default();
    bencher.counter(ItemsCount::new(RECORDS)).bench_local(|| {
        batch.clear();
        let part = batch.start_part(0, 0, Offset(0));
        for offset in 0..RECORDS {
            batch.publish(black_box(&channel), black_box(&payload));
            batch.add(part, 1, Offset(i64::from(offset)), 1);
        }
        black_box(batch.bytes());
    });
}

#[divan::bench]
fn read_replies(bencher: Bencher<'_, '_>) {
    let replies = b":0\r\n".repeat(RECORDS as usize);
    bencher.counter(ItemsCount::new(RECORDS)).bench_local(|| {
        let mut rest = black_box(replies.as_slice());
        while let Ok(Some((reply, length))) = resp::parse(rest) {
            black_box(reply);
            rest = &rest[length..];
        }
    });
}

/// How many records of a partition lie together in a batch: all of one, or taken by turns with others.
#[divan::bench(args = [1, 16, 1024])]
fn progress(bencher: Bencher<'_, '_>, run: u32) {
    bencher.counter(ItemsCount::new(RECORDS)).bench_local(|| {
        let mut progress = Progress::new(Position(0));
        for first in (0..RECORDS).step_by(run as usize).map(i64::from) {
            progress.hold(Offset(first), 1);
            for offset in first + 1..first + i64::from(run) {
                black_box(progress.join(Offset(first), Offset(offset)));
            }
        }
        for first in (0..RECORDS).step_by(run as usize).map(i64::from) {
            black_box(progress.settle(Offset(first), &[]));
        }
        black_box(progress.position())
    });
}
