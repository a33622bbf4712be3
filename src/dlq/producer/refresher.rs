//! Looks up now and then how many partitions the dead-letter topic has, on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use rdkafka::config::ClientConfig;
use rdkafka::metadata::Metadata;
use rdkafka::producer::{BaseProducer, Producer as _};

use super::Context;
use crate::source::client::bootstrap;

/// How often the partition count is looked up when nobody asks for it.
const INTERVAL: Duration = Duration::from_secs(60);
/// One question may take this long.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How often a producer whose brokers don't answer is told the brokers of the configuration again.
const BOOTSTRAP_INTERVAL: Duration = Duration::from_secs(30);

/// Works until the producer or the sender that it returns is gone; whatever is sent there asks for a look at once.
pub(super) fn spawn(
    producer: &Arc<BaseProducer<Context>>,
    client: &ClientConfig,
    topic: String,
    partitions: &Arc<AtomicI32>,
) -> Sender<()> {
    let (sender, requests) = crossbeam_channel::bounded::<()>(1);
    let (producer, partitions) = (Arc::downgrade(producer), Arc::clone(partitions));
    let servers = client.get("bootstrap.servers").unwrap_or_default().to_owned();
    std::thread::spawn(move || {
        let mut bootstrapped: Option<Instant> = None;
        while is_wanted(&requests) {
            let Some(producer) = producer.upgrade() else {
                return;
            };
            match producer.client().fetch_metadata(Some(&topic), TIMEOUT) {
                Ok(metadata) => keep_count(&metadata, &partitions),
                // All brokers are down; or it knows none any more, which doesn't mend itself.
                Err(_) if bootstrapped.is_none_or(|at| at.elapsed() > BOOTSTRAP_INTERVAL) => {
                    bootstrapped = Some(Instant::now());
                    bootstrap(producer.client(), &servers);
                }
                Err(_) => {}
            }
        }
    });
    sender
}

/// Waits until a look is due. Returns whether anybody still wants it.
fn is_wanted(requests: &Receiver<()>) -> bool {
    requests.recv_timeout(INTERVAL) != Err(RecvTimeoutError::Disconnected)
}

fn keep_count(metadata: &Metadata, partitions: &AtomicI32) {
    let count = metadata
        .topics()
        .first()
        .map_or(0, |topic| topic.partitions().len());
    if let Some(count) = i32::try_from(count).ok().filter(|&count| count > 0) {
        partitions.store(count, Ordering::Relaxed);
    }
}
