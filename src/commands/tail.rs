//! `tail`: hears what subscribers hear.

mod show;
mod subscription;

use std::path::PathBuf;
use std::time::Duration;

use backon::BackoffBuilder as _;
use clap::Args;

use super::outcome::{is_read, redis_failure};
use super::run::next_signal;
use crate::config::{self, Override, Redis, format_duration};
use crate::exit::{Exit, Failure};
use crate::publish::error::{ErrorClass, Fault};
use crate::publish::link::Target;
use show::Show;
use subscription::{Subscription, Wanted};

/// Shown behind `--help`.
pub const EXAMPLES: &str = "\
Examples:
  kafka-redis-bridge tail --redis-url redis://localhost 'events:*'
  kafka-redis-bridge tail --config bridge.toml events:user:octocat 'events:repo:*'
  kafka-redis-bridge tail --redis-url redis://localhost --limit 100 --for 1m 'events:*' | jq .payload.id

A channel with * ? or [ in it is a pattern; a backslash before such a character makes it an ordinary one.
When piped, or with --json, each line is {\"channel\",\"payload\",\"received_at\"}; a payload that is no JSON
object in one line is given as text. Pub/Sub keeps nothing: what is published while the connection is
away is not shown.

Exit codes: 0 interrupted, or --limit or --for is reached; 64 usage; 69 Redis out of reach at the start;
78 configuration, such as a wrong password or a channel that this user may not read.";

/// How long to wait at least and at most before connecting again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Arguments of `tail`.
#[derive(Debug, Args)]
pub struct TailArguments {
    /// Channels, or patterns such as 'events:*'
    #[arg(required = true, value_name = "CHANNEL")]
    channels: Vec<String>,
    /// Configuration file (TOML), of which the section [redis] serves
    #[arg(short, long, value_name = "FILE", env = "KAFKA_REDIS_BRIDGE_CONFIG")]
    config: Option<PathBuf>,
    /// redis.url; a password belongs into redis.password_file or the environment
    #[arg(long, value_name = "URL")]
    redis_url: Option<String>,
    /// Print JSON lines, as is done without being asked when the output is piped
    #[arg(long)]
    json: bool,
    /// End after so many notifications
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// End after this time, such as 30s or 5m
    #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration)]
    duration: Option<Duration>,
}

/// Prints what is published until told to end.
pub fn run(arguments: &TailArguments) -> Result<Exit, Failure> {
    let redis = load(arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::software(format!("no runtime: {error}")))?;
    runtime.block_on(async {
        tokio::select! {
            ended = tail(arguments, &redis) => ended,
            () = next_signal() => Ok(Exit::Ok),
            () = time_is_up(arguments.duration) => Ok(Exit::Ok),
        }
    })
}

fn load(arguments: &TailArguments) -> Result<Redis, Failure> {
    let url = arguments.redis_url.as_deref();
    let overrides = url.map(|url| Override::new("redis.url", url, "--redis-url"));
    let file = arguments.config.as_deref();
    Ok(config::load_redis(
        file,
        std::env::vars(),
        overrides.into_iter().collect(),
    )?)
}

async fn time_is_up(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

async fn tail(arguments: &TailArguments, redis: &Redis) -> Result<Exit, Failure> {
    let target = Target::new(redis.connection_info())
        .map_err(|fault| Failure::config(format!("redis.url: {}", fault.message)))?;
    let wanted = Wanted::of(&arguments.channels);
    let mut show = Show::new(arguments.json);
    let mut left = arguments.limit.unwrap_or(u64::MAX);
    let mut subscription = Subscription::open(&target, &wanted)
        .await
        .map_err(|fault| refused(&target.node(), &fault))?;
    eprintln!("subscribed to {wanted} at {}; Ctrl-C ends", target.node());
    loop {
        match subscription.next().await {
            Ok(message) => {
                if !is_read(show.notification(&message))? {
                    return Ok(Exit::Ok);
                }
                left -= 1;
                if left == 0 {
                    return Ok(Exit::Ok);
                }
            }
            Err(fault) => {
                drop(subscription);
                subscription = reconnect(&target, &wanted, &fault).await;
                eprintln!("subscribed again; what was published meanwhile was not heard");
            }
        }
    }
}

/// Subscribing needs other permissions than publishing.
fn refused(node: &str, fault: &Fault) -> Failure {
    let grant = match fault.class {
        ErrorClass::NoPerm => "+subscribe +psubscribe",
        ErrorClass::ChannelDenied => "'&CHANNEL', a pattern as it is written here",
        _ => return redis_failure(node, fault),
    };
    Failure::config(format!(
        "redis.url: {node}: {}; grant the Redis user what it lacks: ACL SETUSER <user> {grant}",
        fault.message
    ))
}

/// Tries until Redis is there again.
async fn reconnect(target: &Target, wanted: &Wanted, lost: &Fault) -> Subscription {
    eprintln!("lost {}: {}; connecting again", target.node(), lost.message);
    let mut delays = backon::ExponentialBuilder::default()
        .with_min_delay(BACKOFF.0)
        .with_max_delay(BACKOFF.1)
        .without_max_times()
        .with_jitter()
        .build();
    let mut told = String::new();
    loop {
        let delay = delays.next().unwrap_or(BACKOFF.1);
        tokio::time::sleep(delay).await;
        match Subscription::open(target, wanted).await {
            Ok(subscription) => return subscription,
            // The same reason again is no news.
            Err(fault) if fault.message == told => {}
            Err(fault) => {
                let (advice, most) = (fault.class.advice(), format_duration(BACKOFF.1));
                eprintln!(
                    "{}: {}; {advice}; trying again, at least every {most}",
                    target.node(),
                    fault.message
                );
                told = fault.message;
            }
        }
    }
}
