//! What a failure means to a command that ends with it: which exit code, and what to do.

use std::io;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::exit::{Exit, Failure};
use crate::publish::error::{ErrorClass, Fault};

/// The exit code for a failure of Redis: 78 where somebody has to change something, 69 where waiting may help.
pub fn redis_exit(class: ErrorClass) -> Exit {
    match class {
        ErrorClass::NoAuth
        | ErrorClass::WrongPass
        | ErrorClass::NoPerm
        | ErrorClass::ChannelDenied
        | ErrorClass::NotMaster
        | ErrorClass::ReadOnly
        | ErrorClass::Protocol => Exit::Config,
        ErrorClass::Io
        | ErrorClass::Timeout
        | ErrorClass::Loading
        | ErrorClass::Oom
        | ErrorClass::MasterDown
        | ErrorClass::ClusterDown
        | ErrorClass::TryAgain
        | ErrorClass::Other => Exit::Unavailable,
    }
}

/// The exit code for a failure of Kafka: 78 where somebody has to allow something, 69 where the brokers may just not
/// be there.
pub fn kafka_exit(error: &KafkaError) -> Exit {
    match error.rdkafka_error_code() {
        Some(
            RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::GroupAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
            | RDKafkaErrorCode::Authentication
            | RDKafkaErrorCode::SaslAuthenticationFailed
            | RDKafkaErrorCode::InvalidGroupId,
        ) => Exit::Config,
        _ => Exit::Unavailable,
    }
}

/// A failure of the Redis at `node`, with what to do about it.
pub fn redis_failure(node: &str, fault: &Fault) -> Failure {
    let advice = fault.class.advice();
    Failure::new(
        redis_exit(fault.class),
        format!("redis.url: {node}: {}; {advice}", fault.message),
    )
}

/// Whether anybody still reads what is written to stdout: `command | head` is no failure.
pub fn is_read(written: io::Result<()>) -> Result<bool, Failure> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::software(format!("stdout: {error}"))),
    }
}
