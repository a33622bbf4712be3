//! What the integration tests share: real servers, the bridge as a black box, and the oracle that judges a run.
//!
//! - [`kafka`] talks to the shared broker and starts private ones for tests that break it,
//! - [`gateway`] stands between Kafka and the bridge where a test wants that,
//! - [`redis`] starts a `redis-server` of its own for each test, [`proxy`] stands between it and the bridge,
//! - [`acceptor`] is what such proxies listen with,
//! - [`recorder`] hears every notification, [`rig`] ties these three together,
//! - [`bridge`] runs the service, [`cli`] the commands that end by themselves, [`metrics`] reads what it exports,
//! - [`transactions`] and [`groups`] are for what Kafka itself says of transactions and commits,
//! - [`otlp`] is a collector of spans,
//! - [`grafana`] reads the dashboard and the rules, [`browser`] the status page, [`schema`] what programs get of it,
//! - [`load`] writes numbered records, [`odd`] has those of every odd kind, [`oracle`] compares them with what came out, [`commits`] watches what is
//!   committed meanwhile for it, [`timeline`] says how long records stood still,
//! - [`wait`] polls with a deadline: no test sleeps to synchronise.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod acceptor;
pub mod bridge;
pub mod browser;
pub mod cli;
pub mod commits;
pub mod config;
pub mod gateway;
pub mod grafana;
pub mod groups;
pub mod http;
pub mod kafka;
pub mod letters;
pub mod load;
pub mod metrics;
pub mod odd;
pub mod oracle;
pub mod otlp;
pub mod private_broker;
pub mod producer;
pub mod proxy;
pub mod recorder;
pub mod redis;
pub mod resp;
pub mod rig;
pub mod scenario;
pub mod schema;
pub mod timeline;
pub mod transactions;
pub mod wait;

/// The shared broker, or a return from the test when there is none: see [`kafka::Kafka::shared`].
#[macro_export]
macro_rules! require_kafka {
    () => {{
        fn here() {}
        match $crate::support::kafka::Kafka::shared(std::any::type_name_of_val(&here)) {
            Some(kafka) => kafka,
            None => return,
        }
    }};
}
