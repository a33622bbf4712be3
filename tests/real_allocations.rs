//! In the steady state a record costs no allocation, on the whole way from Kafka's queue to Redis' reply.
//!
//! Counted in the running service, in its two threads that touch records. What a turn or a batch allocates is allowed:
//! it is shared by hundreds of records. librdkafka's own memory is C's and not counted.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use kafka_redis_bridge::bridge::{self, Running};
use kafka_redis_bridge::config;
use nix::unistd::gettid;
use support::config::Config;
use support::kafka::{Kafka, fresh};
use support::load::numbered;
use support::metrics::Scrape;
use support::redis::RedisServer;
use support::wait;

const PARTITIONS: i32 = 4;
const RECORDS: u64 = 200_000;
/// Buffers grow and caches fill until so many are published.
const WARM_UP: u64 = 50_000;
const MEASURED: u64 = 100_000;
const DEADLINE: Duration = Duration::from_secs(60);

/// More threads than a test has.
const THREADS: usize = 256;
static NEXT: AtomicUsize = AtomicUsize::new(0);
/// The thread of each row, and what it has allocated.
static IDS: [AtomicI32; THREADS] = [const { AtomicI32::new(0) }; THREADS];
static COUNTS: [AtomicU64; THREADS] = [const { AtomicU64::new(0) }; THREADS];

thread_local! {
    /// The row of this thread, once it has one.
    static ROW: Cell<Option<usize>> = const { Cell::new(None) };
}

fn count() {
    // A thread that is just ending has no row any more; nothing is to be learnt from it.
    let _ = ROW.try_with(|own| {
        let row = own.get().unwrap_or_else(|| {
            let row = NEXT.fetch_add(1, Ordering::Relaxed).min(THREADS - 1);
            IDS[row].store(gettid().as_raw(), Ordering::Relaxed);
            own.set(Some(row));
            row
        });
        COUNTS[row].fetch_add(1, Ordering::Relaxed);
    });
}

/// The system's allocator, counting for each thread.
struct Counting;

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `System` with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the pointer came from `System` with this layout.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What the thread of that name has allocated.
fn allocations(name: &str) -> u64 {
    let rows = NEXT.load(Ordering::Relaxed).min(THREADS);
    let row = (0..rows).find(|&row| {
        let id = IDS[row].load(Ordering::Relaxed);
        let told = std::fs::read_to_string(format!("/proc/self/task/{id}/comm"));
        told.is_ok_and(|told| told.trim() == name)
    });
    COUNTS[row.unwrap_or_else(|| panic!("no thread `{name}`"))].load(Ordering::Relaxed)
}

fn backlog(kafka: &Kafka) -> String {
    let topic = kafka.topic(PARTITIONS);
    let records = (0..RECORDS).map(|n| {
        let partition = i32::try_from(n).unwrap() % PARTITIONS;
        numbered(partition, i64::try_from(n).unwrap()).1
    });
    kafka.produce(&topic, records);
    topic
}

/// Waits until so many records are published, and returns how many are.
fn published(running: &Running, at_least: u64) -> u64 {
    wait::until("records are published", DEADLINE, || {
        let scrape = Scrape::parse(&running.metrics.render().unwrap());
        Some(scrape.settled("published")).filter(|published| *published >= at_least)
    })
}

/// One test alone, since the counters are the process's.
#[test]
fn the_service_allocates_nothing_for_a_record() {
    let kafka = require_kafka!();
    let redis = RedisServer::start();
    let topic = backlog(&kafka);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bridge.toml");
    Config::new(&kafka, &fresh("group"), &[&topic], &redis.url())
        .earliest()
        .write(&file);
    let config = config::load(Some(&file), std::iter::empty(), Vec::new()).unwrap();

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let running = runtime
        .block_on(bridge::start(config))
        .unwrap_or_else(|failure| panic!("{}", failure.message));
    let first = published(&running, WARM_UP);
    let before = ["kafka", "redis"].map(allocations);
    let last = published(&running, first + MEASURED);
    let after = ["kafka", "redis"].map(allocations);
    runtime.block_on(running.until(std::future::ready(())));

    let records = last - first;
    for (name, (before, after)) in ["kafka", "redis"].into_iter().zip(before.into_iter().zip(after)) {
        let made = after - before;
        eprintln!("thread {name}: {made} allocations for {records} records");
        assert!(
            made < records / 20,
            "thread {name}: {made} allocations for {records} records"
        );
    }
}
