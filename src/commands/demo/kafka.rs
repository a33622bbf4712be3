//! The embedded Kafka: librdkafka's mock cluster, which speaks the real protocol on a loopback port.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use rdkafka::error::KafkaResult;
use rdkafka::mocking::MockCluster;

use crate::exit::Failure;

/// How long the cluster may take to go away.
const END: Duration = Duration::from_secs(5);

/// A cluster of one broker, on a thread of its own: it can't be sent between threads. Gone on drop.
pub struct EmbeddedKafka {
    address: String,
    stop: Option<Sender<()>>,
    ended: Receiver<()>,
}

impl EmbeddedKafka {
    /// Starts it with these topics: it can't create any later.
    pub fn start(topics: Vec<(String, i32)>) -> Result<Self, Failure> {
        let (stop, stopped) = channel::<()>();
        let (ready, readied) = channel();
        let (end, ended) = channel();
        let work = move || {
            match cluster(&topics) {
                Ok(cluster) => {
                    let _ = ready.send(Ok(cluster.bootstrap_servers()));
                    // Answers once the sender is gone.
                    let _ = stopped.recv();
                }
                Err(error) => drop(ready.send(Err(error))),
            }
            let _ = end.send(());
        };
        let failure = |error: &dyn std::fmt::Display| Failure::software(format!("embedded Kafka: {error}"));
        std::thread::Builder::new()
            .name("mock-kafka".to_owned())
            .spawn(work)
            .map_err(|error| failure(&error))?;
        let address = readied
            .recv()
            .map_err(|error| failure(&error))?
            .map_err(|error| failure(&error))?;
        Ok(Self {
            address,
            stop: Some(stop),
            ended,
        })
    }

    /// `kafka.bootstrap_servers`.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for EmbeddedKafka {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.ended.recv_timeout(END);
    }
}

fn cluster(
    topics: &[(String, i32)],
) -> KafkaResult<MockCluster<'static, rdkafka::producer::DefaultProducerContext>> {
    let cluster = MockCluster::new(1)?;
    for (topic, partitions) in topics {
        cluster.create_topic(topic, *partitions, 1)?;
    }
    Ok(cluster)
}
