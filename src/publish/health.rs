//! What is known of a Redis node: is it well, since when, and what somebody has to change. One call tells the log,
//! the metrics and the readiness.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::error::{ErrorClass, Fault, Kind};
use crate::observe::metrics::NodeMetrics;

/// What others may know of a node, at one moment.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct NodeStatus {
    /// Host and port, or socket path.
    pub node: String,
    /// The last exchange succeeded.
    pub up: bool,
    /// It has answered at least once since the start.
    pub answered_once: bool,
    /// It is known to be down: in `best_effort` records are dropped at once.
    pub circuit_open: bool,
    /// The fault that lasts; none while all is well.
    pub fault: Option<String>,
    /// Since when it fails.
    pub down_since: Option<jiff::Timestamp>,
    /// What somebody has to change before it can work.
    pub configuration_error: Option<String>,
}

#[derive(Debug)]
struct State {
    status: NodeStatus,
    down_since: Option<Instant>,
    /// Only a publish that succeeds shows that the permission to publish is there.
    publish_refused: bool,
    /// A publish had no answer: only one that is answered, or an answer with nothing to publish, ends that.
    publish_unanswered: bool,
    /// That the circuit is open was logged in this outage.
    circuit_told: bool,
    /// Classes of faults that were logged in this outage.
    told: Vec<ErrorClass>,
}

/// The health of one node, shared between its writer and everybody who asks.
#[derive(Debug)]
pub struct NodeHealth {
    state: Mutex<State>,
    metrics: NodeMetrics,
}

impl NodeHealth {
    /// Nothing is known yet.
    pub fn new(node: &str, metrics: NodeMetrics) -> Self {
        metrics.up.set(0);
        metrics.circuit_open.set(0);
        let status = NodeStatus {
            node: node.to_owned(),
            ..NodeStatus::default()
        };
        Self {
            state: Mutex::new(State {
                status,
                down_since: None,
                publish_refused: false,
                publish_unanswered: false,
                circuit_told: false,
                told: Vec::new(),
            }),
            metrics,
        }
    }

    /// What is known now.
    pub fn status(&self) -> NodeStatus {
        self.lock().status.clone()
    }

    /// The metrics of this node.
    pub(super) fn metrics(&self) -> &NodeMetrics {
        &self.metrics
    }

    /// How long it has been failing.
    pub(super) fn down_for(&self) -> Option<Duration> {
        self.lock().down_since.map(|since| since.elapsed())
    }

    /// A connection stands and its server is a master.
    pub(crate) fn connected(&self, version: &str) {
        let mut state = self.lock();
        let first = !state.status.answered_once;
        state.status.answered_once = true;
        if first {
            tracing::info!(node = state.status.node, version, "connected to Redis");
        }
        if !state.publish_refused && !state.publish_unanswered {
            self.recover(&mut state);
        }
    }

    /// A publish was sent and not answered: that a server lets one connect doesn't say that it publishes.
    pub(super) fn publish_unanswered(&self) {
        self.lock().publish_unanswered = true;
    }

    /// With nothing to publish, the server has answered all the same.
    pub(super) fn answered_idle(&self) {
        let mut state = self.lock();
        if std::mem::take(&mut state.publish_unanswered) && !state.publish_refused {
            self.recover(&mut state);
        }
    }

    /// A publish succeeded.
    pub(crate) fn published(&self) {
        let mut state = self.lock();
        if !state.status.up || state.status.configuration_error.is_some() {
            self.recover(&mut state);
        }
    }

    /// `count` commands or one connection failed.
    pub(crate) fn failed(&self, fault: &Fault, count: u64) {
        self.metrics
            .errors
            .with_label_values(&[&self.metrics.node, fault.class.as_str()])
            .inc_by(count);
        let mut state = self.lock();
        if fault.class.kind() == Kind::Channel {
            return;
        }
        state.down_since.get_or_insert_with(Instant::now);
        state.status.down_since.get_or_insert_with(jiff::Timestamp::now);
        state.status.up = false;
        self.metrics.up.set(0);
        let text = format!("{fault}; {}", fault.class.advice());
        if fault.class.kind() == Kind::Configuration {
            state.publish_refused = fault.class == ErrorClass::NoPerm;
            state.status.configuration_error = Some(text.clone());
        }
        if !state.told.contains(&fault.class) {
            state.told.push(fault.class);
            log_fault(&state.status.node, fault, &text);
        }
        state.status.fault = Some(text);
    }

    /// Channels are refused and no publish succeeds meanwhile: the user may publish nowhere.
    pub fn refuses_all_channels(&self) {
        let fault = Fault::new(
            ErrorClass::ChannelDenied,
            "Redis refuses every channel that was tried",
        );
        let text = format!("{fault}; {}", fault.class.advice());
        let mut state = self.lock();
        if state.status.configuration_error.is_none() {
            tracing::error!(
                node = state.status.node,
                "Redis refuses the configuration: {text}"
            );
        }
        state.publish_refused = true;
        state.status.configuration_error = Some(text);
    }

    /// The node is known to be down, or is given another chance.
    pub(super) fn set_circuit(&self, open: bool) {
        let mut state = self.lock();
        if state.status.circuit_open != open {
            state.status.circuit_open = open;
            self.metrics.circuit_open.set(i64::from(open));
            if open && !std::mem::replace(&mut state.circuit_told, true) {
                tracing::warn!(node = state.status.node, "Redis is down: the circuit is open");
            }
        }
    }

    fn recover(&self, state: &mut State) {
        if let Some(since) = state.down_since.take() {
            let seconds = since.elapsed().as_secs_f64();
            tracing::info!(node = state.status.node, seconds, "Redis is well again");
        }
        state.status.up = true;
        state.status.fault = None;
        state.status.down_since = None;
        state.status.configuration_error = None;
        state.publish_refused = false;
        state.publish_unanswered = false;
        state.circuit_told = false;
        state.told.clear();
        self.metrics.up.set(1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn log_fault(node: &str, fault: &Fault, text: &str) {
    let class = fault.class.as_str();
    match fault.class.kind() {
        Kind::Configuration => tracing::error!(node, class, "Redis refuses the configuration: {text}"),
        Kind::Transient | Kind::Channel => tracing::warn!(node, class, "Redis fails: {text}"),
    }
}
