//! `demo`: the whole way on one machine, with the real bridge in the middle.
//!
//! Sample producers → embedded Kafka → bridge → redis-server → subscriber; a reader of the dead letters beside it.

mod events;
mod kafka;
mod letters;
mod producers;
mod redis;
mod subscriber;
mod summary;
mod tally;
mod view;

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::run;
use crate::bridge::{self, Running};
use crate::config::{self, Config, Override};
use crate::exit::{Exit, Failure};
use crate::observe::logging;
use events::TOPICS;
use kafka::EmbeddedKafka;
use letters::Reader;
use producers::Producers;
use redis::RedisServer;
use summary::{Books, Summary};
use tally::Tally;
use view::{Counters, View};

/// Shown behind `--help`.
pub const EXAMPLES: &str = "\
Examples:
  kafka-redis-bridge demo
  kafka-redis-bridge demo --for 20s
  kafka-redis-bridge demo --rate 1000 --for 1m | tail -n 1

Needs nothing but a redis-server on the PATH: Kafka is embedded. On a terminal
it shows a sample of the notifications; piped it prints them all, and ends with
one line of JSON. The embedded Kafka adds up to 10 ms to each latency: unlike a
real broker it answers a waiting consumer only when its time is over.

Exit codes: 0 nothing was lost and the numbers add up; 69 redis-server can't be
had; 70 they don't add up; 75 ended before it could drain.";

const GROUP: &str = "demo";
/// The dead-letter topic and its partition count.
const DLQ: (&str, i32) = ("demo.dlq", 2);
/// How long joining the group may take.
const JOIN: Duration = Duration::from_secs(30);
/// How long the last records may take to arrive.
const SETTLE: Duration = Duration::from_secs(10);
/// Between two looks.
const STEP: Duration = Duration::from_millis(20);
/// How long threads that still ask may keep the process.
const END: Duration = Duration::from_secs(2);

/// What the demo is told.
#[derive(Debug, Args)]
pub struct DemoArguments {
    /// End after this time, such as 20s or 5m; without it at Ctrl-C
    #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration)]
    limit: Option<Duration>,
    /// Events a second, at most 2000
    #[arg(long, value_name = "NUMBER", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=2000))]
    rate: u32,
}

/// Runs until the time is over, or SIGTERM or SIGINT; a second one ends at once.
pub fn run(arguments: &DemoArguments) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::software(format!("no runtime: {error}")))?;
    let ended = runtime.block_on(play(arguments));
    runtime.shutdown_timeout(END);
    ended
}

async fn play(arguments: &DemoArguments) -> Result<Exit, Failure> {
    let mut told = tokio::spawn(run::signal());
    let view = Arc::new(View::new());
    view.waiting("starting an embedded Kafka, a redis-server, and the bridge between them");
    let opened = tokio::select! {
        stage = Stage::open(&view) => Some(stage),
        _ = &mut told => None,
    };
    match opened {
        Some(Ok(stage)) => stage.play(arguments, told).await,
        Some(Err(failure)) => {
            view.finish();
            Err(failure)
        }
        None => {
            view.finish();
            Ok(Exit::Ok)
        }
    }
}

/// Everybody who plays a part. Dropped in this order: the servers go last.
struct Stage {
    view: Arc<View>,
    tally: Arc<Tally>,
    bridge: Running,
    producers: Producers,
    subscriber: JoinHandle<()>,
    letters: Reader,
    redis: RedisServer,
    kafka: EmbeddedKafka,
}

impl Stage {
    /// Starts everybody; nothing is produced yet.
    async fn open(view: &Arc<View>) -> Result<Self, Failure> {
        // First: it may not be installed.
        let redis = RedisServer::start().await?;
        let topics = TOPICS.into_iter().chain([DLQ]);
        let kafka = EmbeddedKafka::start(topics.map(|(name, count)| (name.to_owned(), count)).collect())?;
        let config = configuration(kafka.address(), &redis.url())?;
        logging::start(&config.log);
        let tally = Arc::new(Tally::new()?);
        let notifications = subscriber::subscribe(&redis.url()).await?;
        Ok(Self {
            bridge: bridge::start(config).await?,
            producers: Producers::new(kafka.address(), Arc::clone(&tally))?,
            subscriber: tokio::spawn(subscriber::listen(
                notifications,
                Arc::clone(&tally),
                Arc::clone(view),
            )),
            letters: Reader::start(kafka.address(), DLQ, Arc::clone(&tally), Arc::clone(view))?,
            view: Arc::clone(view),
            tally,
            redis,
            kafka,
        })
    }

    /// Plays until the time is over or somebody says so, then looks whether everything has arrived.
    async fn play(mut self, arguments: &DemoArguments, mut told: JoinHandle<()>) -> Result<Exit, Failure> {
        self.introduce();
        let view = Arc::clone(&self.view);
        let ended = tokio::select! {
            ended = self.perform(arguments) => ended,
            _ = &mut told => Ok(()),
            () = view.closed() => Ok(()),
        };
        match ended {
            Ok(()) => self.close().await,
            Err(failure) => {
                view.finish();
                Err(failure)
            }
        }
    }

    /// Where everything is.
    fn introduce(&self) {
        let address = self.bridge.http_address;
        for line in [
            format!("metrics  http://{address}/metrics"),
            format!("status   http://{address}/status  for people: http://{address}/"),
            format!("Kafka    {} (embedded), topics github.*", self.kafka.address()),
            format!("Redis    {}, channels events:*", self.redis.url()),
        ] {
            self.view.line(&line);
        }
    }

    /// Produces, and shows the counters each second; ends when the time is over.
    async fn perform(&mut self, arguments: &DemoArguments) -> Result<(), Failure> {
        self.view
            .waiting("joining the consumer group: Kafka waits 3 seconds for others");
        self.ready().await?;
        self.view.waited();
        let published = self.bridge.metrics.publish();
        let address = self.bridge.http_address.to_string();
        let (view, tally) = (&self.view, &self.tally);
        let start = Instant::now();
        let show = async {
            let mut seconds = tokio::time::interval(Duration::from_secs(1));
            let mut before = 0;
            loop {
                seconds.tick().await;
                let (glance, now) = (tally.glance(), published.published());
                let counters = Counters {
                    elapsed: start.elapsed(),
                    limit: arguments.limit,
                    published_per_second: now - before,
                    glance,
                };
                view.counters(&counters, &address);
                before = now;
            }
        };
        let over = async {
            match arguments.limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.producers.write(arguments.rate) => {}
            () = show => {}
            () = over => {}
        }
        Ok(())
    }

    /// Waits until the bridge is a member of the group and has all partitions: the latency of what is produced
    /// before that would tell of nothing but the joining.
    async fn ready(&self) -> Result<(), Failure> {
        let partitions: i32 = TOPICS.iter().map(|(_, partitions)| partitions).sum();
        let deadline = Instant::now() + JOIN;
        loop {
            let not_ready = self.bridge.health.not_ready();
            if not_ready.is_none() && self.bridge.metrics.assigned_partitions.get() == i64::from(partitions) {
                return Ok(());
            }
            if Instant::now() > deadline {
                let why = not_ready.unwrap_or_else(|| "it has not got all partitions".to_owned());
                return Err(Failure::software(format!("the bridge did not get ready: {why}")));
            }
            tokio::time::sleep(STEP).await;
        }
    }

    /// Lets everything arrive, ends the bridge, and tells how it was.
    async fn close(self) -> Result<Exit, Failure> {
        self.view.waiting("ending: the last records are on their way");
        self.producers.finish().await?;
        let deadline = Instant::now() + SETTLE;
        while !self.tally.is_complete() && Instant::now() < deadline {
            tokio::time::sleep(STEP).await;
        }
        let metrics = self.bridge.metrics.clone();
        let exit = self.bridge.until(std::future::ready(())).await;
        self.subscriber.abort();
        drop(self.letters);
        let rendered = metrics
            .render()
            .map_err(|error| Failure::software(format!("metrics: {error}")))?;
        let summary = Summary::new(&self.tally.look(), &Books::read(&rendered));
        self.view.finish();
        self.view.summary(&summary, DLQ.0);
        Ok(match exit {
            Exit::Ok if !summary.adds_up() => Exit::Software,
            other => other,
        })
    }
}

/// What `run` would get from a file.
fn configuration(kafka: &str, redis: &str) -> Result<Config, Failure> {
    let topics: Vec<&str> = TOPICS.iter().map(|(name, _)| *name).collect();
    let text = |path, value: &str| Override::new(path, value, "demo");
    let overrides = vec![
        text("kafka.bootstrap_servers", kafka),
        Override::new("kafka.topics", topics, "demo"),
        text("kafka.group_id", GROUP),
        text("kafka.start_from", "earliest"),
        // The mock cluster sleeps an empty fetch out, even if a record arrives meanwhile.
        text("kafka.properties.fetch.wait.max.ms", "10"),
        text("redis.url", redis),
        text("delivery.mode", "at_least_once"),
        text("dlq.topic", DLQ.0),
        text("http.listen", "127.0.0.1:0"),
        text("log.level", "warn"),
    ];
    // Without the environment: what configures a service of this machine is not meant for the demo.
    Ok(config::load(None, std::iter::empty(), overrides)?)
}
