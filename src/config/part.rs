//! Parts of the configuration, for commands that do without the rest.

use std::path::Path;

use super::{Config, ConfigError, Delivery, Dlq, Kafka, Log, Override, Redis, Trace, load_needed};
use crate::derive::RouteSpec;

/// What a command does without.
#[derive(Clone, Copy)]
pub(super) struct Needs {
    /// Sections that aren't even looked at, since the files that they name may be on another machine.
    pub(super) ignored: &'static [&'static str],
    /// Keys that may be missing.
    pub(super) waived: &'static [&'static str],
}

/// A command that needs all of it.
pub(super) const EVERYTHING: Needs = Needs {
    ignored: &[],
    waived: &[],
};

const NO_REDIS: Needs = Needs {
    ignored: &["redis"],
    waived: &["redis.url", "kafka.topics"],
};
const NO_SERVICE: Needs = Needs {
    ignored: &["redis"],
    waived: &["redis.url", "kafka.topics", "kafka.bootstrap_servers"],
};
const REDIS_ALONE: Needs = Needs {
    ignored: &["kafka", "delivery", "batch", "dlq", "http", "trace", "routes"],
    waived: &["kafka.topics", "kafka.bootstrap_servers"],
};

const NO_SUBSCRIPTION: Needs = Needs {
    ignored: &["http"],
    waived: &["kafka.topics"],
};

/// Loads what publishing again needs: everything but the topics of the service and where it serves.
pub fn load_replaying(
    file: Option<&Path>,
    env: impl Iterator<Item = (String, String)>,
    overrides: Vec<Override>,
) -> Result<Config, ConfigError> {
    load_needed(file, env, overrides, NO_SUBSCRIPTION)
}

/// What deriving needs.
#[derive(Debug, Clone)]
pub struct Derivation {
    /// The cluster and the topics; without topics unless they are configured.
    pub kafka: Kafka,
    /// The caps on notifications.
    pub delivery: Delivery,
    /// Where dead letters are.
    pub dlq: Dlq,
    /// What is logged.
    pub log: Log,
    /// What is passed on from the headers.
    pub trace: Trace,
    /// How notifications are derived.
    pub routes: Vec<RouteSpec>,
}

/// Loads what deriving needs: nothing of Redis, and of Kafka only where records are `read_from_kafka`.
pub fn load_derivation(
    file: Option<&Path>,
    env: impl Iterator<Item = (String, String)>,
    overrides: Vec<Override>,
    read_from_kafka: bool,
) -> Result<Derivation, ConfigError> {
    let needs = if read_from_kafka { NO_REDIS } else { NO_SERVICE };
    let Config {
        kafka,
        delivery,
        dlq,
        log,
        trace,
        routes,
        ..
    } = load_needed(file, env, overrides, needs)?;
    Ok(Derivation {
        kafka,
        delivery,
        dlq,
        log,
        trace,
        routes,
    })
}

/// Loads what subscribing needs.
pub fn load_redis(
    file: Option<&Path>,
    env: impl Iterator<Item = (String, String)>,
    overrides: Vec<Override>,
) -> Result<Redis, ConfigError> {
    Ok(load_needed(file, env, overrides, REDIS_ALONE)?.redis)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn none() -> std::iter::Empty<(String, String)> {
        std::iter::empty()
    }

    #[test]
    fn deriving_from_a_file_needs_no_service() {
        let part = load_derivation(None, none(), Vec::new(), false).unwrap();
        assert!(part.kafka.topics.is_empty() && part.routes.is_empty());
    }

    #[test]
    fn deriving_from_kafka_needs_its_address() {
        let error = load_derivation(None, none(), Vec::new(), true).unwrap_err();
        assert_eq!(error.problems().len(), 1, "{error}");
        assert_eq!(error.problems()[0].key, "kafka.bootstrap_servers");
    }

    #[test]
    fn subscribing_needs_redis_alone() {
        let url = Override::new("redis.url", "redis://h", "--redis-url");
        assert!(load_redis(None, none(), vec![url]).is_ok());
        let error = load_redis(None, none(), Vec::new()).unwrap_err();
        assert_eq!(error.problems().len(), 1, "{error}");
        assert_eq!(error.problems()[0].key, "redis.url");
    }

    #[test]
    fn a_password_file_on_another_machine_does_not_matter_to_deriving() {
        let url = Override::new("redis.url", "redis://h", "--redis-url");
        let file = Override::new("redis.password_file", "/nowhere/secret", "--password-file");
        assert!(load_derivation(None, none(), vec![url, file], false).is_ok());
    }

    #[test]
    fn what_is_needed_is_checked() {
        let wrong = Override::new("kafka.topics", vec!["a b".to_owned()], "--topic");
        assert!(load_derivation(None, none(), vec![wrong], false).is_err());
    }
}
