//! Wires the stages and runs them: the only module that knows all of them.
//!
//! One thread polls Kafka, derives, fills batches and keeps the books ([`pump`]). One thread writes to Redis. What
//! takes time beside them (start positions, dead letters) has threads of its own and answers over channels. HTTP
//! and signals live on the caller's runtime and never touch the polling thread.

mod commit;
mod denied;
mod drain;
mod intake;
mod lag;
mod lane;
mod letters;
mod parked;
mod pauses;
mod pump;
mod rebalance;
mod refusal;
mod settle;
mod settled;
mod stall;
mod startup;
mod tell;
mod traced;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot, watch};

use crate::config::{Config, Mode};
use crate::derive::Router;
use crate::dlq::producer::Producer;
use crate::exit::{Exit, Failure};
use crate::observe::health::Health;
use crate::observe::history::History;
use crate::observe::http::{self, Views};
use crate::observe::lag::refresh::Refresher;
use crate::observe::metrics::Metrics;
use crate::observe::queue::QueueWatch;
use crate::observe::status::{Identity, SharedStatus};
use crate::publish::health::NodeHealth;
use crate::publish::link::Target;
use crate::publish::verdict::Policy;
use crate::publish::writer::{Settings, WINDOW, Writer};
use crate::source::client::consumer;
use crate::source::context::Context;
use crate::source::records::Records;
use crate::source::resolve::Resolver;
use crate::source::topics::Topics;

use traced::Export;

pub use startup::{find_topics, missing_text, wait_for_kafka};

/// A bridge that has been put together and is running.
pub struct Running {
    /// Where HTTP is served.
    pub http_address: SocketAddr,
    /// What is measured, for whoever runs the bridge in their own process.
    pub metrics: Metrics,
    /// How it is.
    pub health: Arc<Health>,
    stop: Arc<AtomicBool>,
    finished: oneshot::Receiver<Exit>,
    http_stop: watch::Sender<bool>,
    http: tokio::task::JoinHandle<()>,
    export: Option<Export>,
}

impl Running {
    /// Waits until `shutdown` is there or the bridge ends by itself, drains it and tells how it ended.
    pub async fn until(mut self, shutdown: impl Future<Output = ()>) -> Exit {
        let ended = tokio::select! {
            ended = &mut self.finished => Some(ended),
            () = shutdown => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                self.stop.store(true, Ordering::Relaxed);
                self.finished.await
            }
        };
        let _ = self.http_stop.send(true);
        let _ = self.http.await;
        if let Some(export) = self.export {
            export.end().await;
        }
        ended.unwrap_or(Exit::Software)
    }
}

/// Runs the service until `shutdown` is there; returns how it ended.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> Result<Exit, Failure> {
    tokio::pin!(shutdown);
    let started = tokio::select! {
        started = start(config) => started?,
        // Told to end before it had begun: nothing is in flight.
        () = &mut shutdown => return Ok(Exit::Ok),
    };
    Ok(started.until(shutdown).await)
}

/// Checks everything that can be checked, then starts all threads.
pub async fn start(config: Config) -> Result<Running, Failure> {
    let router = Router::compile(&config.kafka.topics, &config.routes).map_err(|problems| {
        Failure::config(
            problems
                .iter()
                .map(|p| p.message.clone())
                .collect::<Vec<_>>()
                .join("\n"),
        )
    })?;
    let topics = Topics::new(&config.kafka.topics, &config.dlq.topic)
        .map_err(|error| Failure::config(format!("kafka.topics: {error}")))?;
    let target = Target::new(config.redis.connection_info())
        .map_err(|fault| Failure::config(format!("redis.url: {}", fault.message)))?;
    let (metrics, ledger) = Metrics::new().map_err(|error| Failure::software(format!("metrics: {error}")))?;
    let node = target.node();
    let redis = Arc::new(NodeHealth::new(&node, metrics.node(&node)));
    let health = Arc::new(Health::new(Arc::clone(&redis)));
    let status = SharedStatus::default();
    let listener = http::bind(config.http.listen).await.map_err(|error| {
        Failure::config(format!(
            "http.listen: {}: {error}; choose another address or port",
            config.http.listen
        ))
    })?;
    let http_address = listener
        .local_addr()
        .map_err(|error| Failure::software(format!("http.listen: {error}")))?;
    tracing::info!(address = %http_address, "http listening");
    let (http_stop, http_stopped) = watch::channel(false);
    let views = Views {
        metrics: metrics.clone(),
        health: Arc::clone(&health),
        status: status.clone(),
        history: History::default(),
        identity: identity(&config),
    };
    let http = tokio::spawn(http::serve(listener, views, http_stopped));

    let writer = spawn_writer(&config, target, &redis, &metrics)?;
    let found = wait_for_kafka(&config, &topics).await?;
    if let Some(retention) = found.dlq.retention.kept_for(config.dlq.retention) {
        let label = [config.dlq.topic.as_str()];
        metrics
            .dlq_retention
            .with_label_values(&label)
            .set(retention.as_secs_f64());
    }
    let letters = Producer::new(&config, found.dlq.partitions, found.dlq.max_bytes)
        .map_err(|error| Failure::config(format!("kafka.properties: {error}")))?;
    let stop = Arc::new(AtomicBool::new(false));
    let (events_sender, events) = crossbeam_channel::unbounded();
    let consumer = consumer(
        &config.kafka,
        Context::new(events_sender, metrics.clone(), Arc::clone(&health)),
        &config.dlq.topic,
    )
    .map_err(|error| Failure::config(format!("kafka.properties: {error}")))?;
    let nothing_to_join = found.topics.is_empty();
    spawn_queue_watch(&config, &metrics, &status, &stop)?;
    let resolver = Resolver {
        there_at_start: found.topics,
        consumer: Arc::clone(&consumer),
        start_from: config.kafka.start_from,
        topics,
        stop: Arc::clone(&stop),
    };
    let starts = spawn_resolver(resolver)?;
    let refresher = Refresher::new(metrics.lag.clone(), &config.kafka, Arc::clone(&stop))
        .map_err(|error| Failure::config(format!("kafka.properties: {error}")))?;
    spawn("lag", move || refresher.run())?;
    let records = Records::new(Arc::clone(&consumer))
        .ok_or_else(|| Failure::software("librdkafka gives no queue for records"))?;
    let (spans, export) = Export::start(&config, &metrics).unzip();
    let parts = pump::Parts {
        config: Arc::new(config),
        router,
        consumer,
        records,
        events,
        starts,
        writer,
        letters,
        ledger,
        metrics: metrics.clone(),
        health: Arc::clone(&health),
        status,
        spans,
        stop: Arc::clone(&stop),
        nothing_to_join,
    };
    let finished = spawn_pump(parts)?;
    Ok(Running {
        http_address,
        metrics,
        health,
        stop,
        finished,
        http_stop,
        http,
        export,
    })
}

fn identity(config: &Config) -> Identity {
    Identity {
        group_id: config.kafka.group_id.clone(),
        mode: match config.delivery.mode {
            Mode::BestEffort => "best_effort",
            Mode::AtLeastOnce => "at_least_once",
        },
        dlq_topic: config.dlq.topic.clone(),
        started: Instant::now(),
    }
}

fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, Failure> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|error| Failure::software(format!("no thread for {name}: {error}")))
}

fn spawn_writer(
    config: &Config,
    target: Target,
    health: &Arc<NodeHealth>,
    metrics: &Metrics,
) -> Result<pump::WriterHandle, Failure> {
    let retry_for = config.delivery.retry_for;
    let settings = Settings {
        target,
        policy: match config.delivery.mode {
            Mode::BestEffort => Policy::BestEffort { retry_for },
            Mode::AtLeastOnce => Policy::AtLeastOnce { retry_for },
        },
        gap_channel: config.redis.gap_channel.clone(),
    };
    let (batches, incoming) = mpsc::channel(WINDOW);
    let (returned_sender, returned) = crossbeam_channel::unbounded();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::software(format!("no runtime for redis: {error}")))?;
    let writer = Writer::new(
        settings,
        incoming,
        returned_sender,
        Arc::clone(health),
        metrics.publish(),
    );
    spawn("redis", move || runtime.block_on(writer.run()))?;
    Ok(pump::WriterHandle { batches, returned })
}

fn spawn_resolver(resolver: Resolver) -> Result<pump::StartsHandle, Failure> {
    let (requests, incoming) = crossbeam_channel::unbounded();
    let (outgoing, answers) = crossbeam_channel::unbounded();
    spawn("starts", move || resolver.run(&incoming, &outgoing))?;
    Ok(pump::StartsHandle { requests, answers })
}

fn spawn_queue_watch(
    config: &Config,
    metrics: &Metrics,
    status: &SharedStatus,
    stop: &Arc<AtomicBool>,
) -> Result<(), Failure> {
    let watch = QueueWatch {
        kafka: config.kafka.clone(),
        topic: config.dlq.topic.clone(),
        metrics: metrics.clone(),
        status: status.clone(),
        stop: Arc::clone(stop),
    };
    spawn("dead letters", move || watch.run()).map(drop)
}

fn spawn_pump(parts: pump::Parts) -> Result<oneshot::Receiver<Exit>, Failure> {
    let (sender, finished) = oneshot::channel();
    let health = Arc::clone(&parts.health);
    spawn("kafka", move || {
        let exit = pump::Pump::new(parts).run();
        health.stop();
        // The receiver is gone only when the whole service is.
        let _ = sender.send(exit);
    })?;
    Ok(finished)
}
