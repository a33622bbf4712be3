//! Partitions come and go, one step at a time while reading goes on.
//!
//! Assigned: where each starts is found out and committed by the resolver, then it is read. Revoked: reading stops,
//! what is in flight is drained and committed, then it is given up. Lost: another member may have it already, so
//! nothing is committed ([`super::settled`] tells what is remembered). librdkafka waits for the answer to each step before it reports the next.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::topic_partition_list::{Offset as KafkaOffset, TopicPartitionList};

use super::lane::Lane;
use super::pump::Pump;
use super::settled::Settled;
use crate::config::Config;
use crate::dlq::guard::Allowance;
use crate::observe::books::{AbandonReason, Outcome};
use crate::progress::Progress;
use crate::source::assignment::{Partition, PauseReason, PauseReasons};
use crate::source::client::bootstrap;
use crate::source::context::Event;
use crate::source::offsets::TopicPartition;
use crate::source::resolved::Resolved;

/// What the group wants and how far it has come.
#[derive(Debug, Default)]
pub struct Rebalance {
    waiting: VecDeque<Event>,
    step: Option<Step>,
    settled: Settled,
}

#[derive(Debug)]
enum Step {
    /// Start positions are being found out.
    Starting,
    /// Partitions are drained and committed before they go.
    Leaving {
        partitions: TopicPartitionList,
        deadline: Instant,
        lost: bool,
    },
}

/// How long records on their way are waited for when their partition is lost.
const LOST_PATIENCE: Duration = Duration::from_millis(500);

/// The guard's settings.
pub(super) fn allowance(config: &Config) -> Allowance {
    let guard = &config.dlq.guard;
    Allowance {
        burst: guard.burst,
        rate: guard.rate,
        share: guard.share,
    }
}

impl Pump {
    /// Takes what librdkafka has reported.
    pub(super) fn take_events(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            match event {
                Event::Committed { result, offsets } => self.committed(result, &offsets),
                Event::Stranded => {
                    tracing::warn!(
                        "no broker is known any more; connecting to kafka.bootstrap_servers again"
                    );
                    bootstrap(self.consumer.client(), &self.config.kafka.bootstrap_servers);
                }
                other => self.rebalance.waiting.push_back(other),
            }
        }
    }

    /// Goes one step further, if it can.
    pub(super) fn step_rebalance(&mut self) {
        match self.rebalance.step.take() {
            None => match self.rebalance.waiting.pop_front() {
                Some(Event::Assign(partitions)) => self.begin_assign(&partitions),
                Some(Event::Revoke { partitions, lost }) => self.begin_revoke(partitions, lost),
                Some(Event::Committed { .. } | Event::Stranded) | None => {}
            },
            Some(Step::Starting) => match self.starts.answers.try_recv() {
                Ok(resolved) => self.finish_assign(resolved),
                Err(_) => self.rebalance.step = Some(Step::Starting),
            },
            Some(Step::Leaving {
                partitions,
                deadline,
                lost,
            }) => self.continue_revoke(partitions, deadline, lost),
        }
    }

    fn begin_assign(&mut self, partitions: &TopicPartitionList) {
        // Whatever Kafka refused before, it lets this member in.
        self.health.set_kafka_refusal(None);
        self.metrics.rebalances.with_label_values(&["assign"]).inc();
        if partitions.count() == 0 {
            return self.finish_assign(Vec::new());
        }
        let mut names: HashMap<String, Arc<str>> = HashMap::new();
        let wanted: Vec<TopicPartition> = partitions
            .elements()
            .iter()
            .map(|element| {
                let topic = names
                    .entry(element.topic().to_owned())
                    .or_insert_with(|| element.topic().into());
                (Arc::clone(topic), element.partition())
            })
            .collect();
        tracing::info!(partitions = wanted.len(), "partitions assigned");
        // The resolver lives as long as this thread.
        let _ = self.starts.requests.send(wanted);
        self.rebalance.step = Some(Step::Starting);
    }

    fn finish_assign(&mut self, mut resolved: Vec<Resolved>) {
        for start in &mut resolved {
            self.rebalance.settled.resume(start);
        }
        let mut list = TopicPartitionList::with_capacity(resolved.len());
        for start in &resolved {
            self.records.forward(&start.topic, start.partition);
            let added = list.add_partition_offset(
                &start.topic,
                start.partition,
                KafkaOffset::Offset(start.position.0),
            );
            if let Err(error) = added {
                tracing::error!(%error, topic = &*start.topic, partition = start.partition, "no start position");
            }
        }
        if let Err(error) = self.consumer.incremental_assign(&list) {
            tracing::warn!(%error, "the assignment is refused; another one follows");
            return;
        }
        for start in resolved {
            self.enter_partition(start);
        }
        self.joined();
        self.show_assignment();
    }

    fn enter_partition(&mut self, start: Resolved) {
        if start.lost > 0 {
            let lost = u64::try_from(start.lost).unwrap_or(0);
            self.metrics
                .records_lost
                .with_label_values(&[&*start.topic, "retention"])
                .inc_by(lost);
        }
        let labels = [
            &*self.config.kafka.group_id,
            &*start.topic,
            &start.partition.to_string(),
        ];
        self.metrics
            .committed_offset
            .with_label_values(&labels)
            .set(start.committed.0);
        let partition = Partition {
            topic_id: self.ledger.topic(&start.topic),
            generation: self.assignment.next_generation(),
            route: self.router.route_for(&start.topic),
            number: start.partition,
            topic: start.topic,
            progress: Progress::new(start.position),
            committed: start.committed,
            note: start.note,
            paused: PauseReasons::default(),
            state: Lane::new(allowance(&self.config)),
        };
        let (slot, earlier) = self.assignment.insert(partition);
        if let Some(earlier) = earlier {
            self.abandon(&earlier, AbandonReason::AssignmentLost);
        }
        self.set_paused(slot, PauseReason::Fenced, start.fenced);
        self.set_paused(slot, PauseReason::Backpressure, self.backpressure);
    }

    fn begin_revoke(&mut self, partitions: TopicPartitionList, lost: bool) {
        let kind = if lost { "lost" } else { "revoke" };
        self.metrics.rebalances.with_label_values(&[kind]).inc();
        tracing::info!(partitions = partitions.count(), lost, "partitions revoked");
        for element in partitions.elements() {
            if let Some(slot) = self.assignment.find(element.topic(), element.partition()) {
                self.set_paused(slot, PauseReason::Revoking, true);
            }
        }
        let patience = if lost {
            LOST_PATIENCE
        } else {
            self.config.delivery.drain_timeout
        };
        self.continue_revoke(partitions, Instant::now() + patience, lost);
    }

    fn continue_revoke(&mut self, partitions: TopicPartitionList, deadline: Instant, lost: bool) {
        let leaving = |partition: &Partition<Lane>| partition.paused.contains(PauseReason::Revoking);
        let drained = self.is_drained(leaving);
        let late = Instant::now() >= deadline;
        if lost || self.consumer.assignment_lost() {
            // What is on its way arrives; that it did is remembered, in case the partition comes back here.
            if drained || late {
                return self.give_up(&partitions, AbandonReason::AssignmentLost);
            }
            let deadline = deadline.min(Instant::now() + LOST_PATIENCE);
            self.rebalance.step = Some(Step::Leaving {
                partitions,
                deadline,
                lost: true,
            });
            return;
        }
        if drained {
            self.commit_where(leaving);
            if self.is_committed(leaving) {
                return self.give_up(&partitions, AbandonReason::Deadline);
            }
        }
        if late {
            self.metrics.drain_timeouts.with_label_values(&["revoke"]).inc();
            tracing::warn!("revoked partitions were not drained within delivery.drain_timeout");
            self.commit_where(leaving);
            return self.give_up(&partitions, AbandonReason::Deadline);
        }
        self.rebalance.step = Some(Step::Leaving {
            partitions,
            deadline,
            lost: false,
        });
    }

    /// Hands partitions back; what is still held of them is another copy's to deliver.
    pub(super) fn give_up(&mut self, partitions: &TopicPartitionList, reason: AbandonReason) {
        // A pause outlives its assignment.
        if let Err(error) = self.consumer.resume(partitions) {
            tracing::debug!(%error, "nothing to resume");
        }
        if let Err(error) = self.consumer.incremental_unassign(partitions) {
            tracing::warn!(%error, "giving partitions up failed");
        }
        for element in partitions.elements() {
            let Some(partition) = self.assignment.remove(element.topic(), element.partition()) else {
                continue;
            };
            if reason == AbandonReason::AssignmentLost {
                self.rebalance.settled.remember(&partition);
            }
            self.abandon(&partition, reason);
            let labels = [
                &*self.config.kafka.group_id,
                element.topic(),
                &element.partition().to_string(),
            ];
            // It is there unless the partition never came to be read.
            let _ = self.metrics.committed_offset.remove_label_values(&labels);
        }
        self.show_assignment();
    }

    pub(super) fn abandon(&mut self, partition: &Partition<Lane>, reason: AbandonReason) {
        let held = partition.progress.held();
        if held > 0 {
            self.ledger
                .settled(partition.topic_id, Outcome::Abandoned(reason), held);
            tracing::warn!(
                topic = &*partition.topic,
                partition = partition.number,
                records = held,
                "records in flight are left to the next owner of the partition"
            );
        }
    }

    fn show_assignment(&mut self) {
        self.metrics
            .assigned_partitions
            .set(i64::try_from(self.assignment.len()).unwrap_or(i64::MAX));
        for reason in PauseReason::ALL {
            self.count_paused(reason);
        }
        self.ledger.touch();
        self.publish_books();
        self.tell_status();
    }
}
