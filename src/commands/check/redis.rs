//! Redis as `run` will find it: the same connection, the same classes of errors.

use super::report::Report;
use crate::commands::outcome::{redis_exit, redis_failure};
use crate::config::Redis;
use crate::exit::Failure;
use crate::publish::error::{ErrorClass, Fault};
use crate::publish::link::{Link, Target};

const PROBE: &[u8] = br#"{"type":"probe","from":"kafka-redis-bridge check"}"#;

/// Connects, learns the role and publishes one probe.
pub async fn check(redis: &Redis, report: &mut Report) {
    if let Err(failure) = try_all(redis, report).await {
        report.failed(&failure);
    }
}

async fn try_all(redis: &Redis, report: &Report) -> Result<(), Failure> {
    let target = Target::new(redis.connection_info())
        .map_err(|fault| Failure::config(format!("redis.url: {}", fault.message)))?;
    let node = target.node();
    let mut link = Link::connect(&target)
        .await
        .map_err(|fault| redis_failure(&node, &fault))?;
    report.ok(match link.version.as_str() {
        "" => format!("{node} answers; before Redis 6 it doesn't tell its role"),
        version => format!("{node} answers: Redis {version}, a master"),
    });
    let channel = &redis.probe_channel;
    match link.publish(channel.as_bytes(), PROBE).await {
        Ok(1) => report.ok(format!("published a probe to {channel}: 1 receiver")),
        Ok(receivers) => report.ok(format!("published a probe to {channel}: {receivers} receivers")),
        Err(fault) => return Err(probe_failure(&node, channel, &fault)),
    }
    Ok(())
}

fn probe_failure(node: &str, channel: &str, fault: &Fault) -> Failure {
    match fault.class {
        ErrorClass::ChannelDenied => Failure::new(
            redis_exit(fault.class),
            format!(
                "redis.probe_channel: {node}: {}; grant the Redis user the channel (ACL SETUSER <user> &{channel}) or \
                 name one that it has",
                fault.message
            ),
        ),
        _ => redis_failure(node, fault),
    }
}
