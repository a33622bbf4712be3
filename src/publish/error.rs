//! What can go wrong on the way to Redis, and what kind of trouble each is.

/// A failure of a connection or of one command. Its name is the `class` label of `redis_errors_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorClass {
    /// Connecting, reading or writing failed.
    Io,
    /// No answer within the time limit: whether the publish happened is unknown.
    Timeout,
    /// The peer doesn't speak the Redis protocol.
    Protocol,
    /// The server is reading its data from disk.
    Loading,
    /// The server refuses writes because it is a replica.
    ReadOnly,
    /// The server is over its memory limit.
    Oom,
    /// A replica without its master.
    MasterDown,
    /// The cluster has no owner for a slot.
    ClusterDown,
    /// A slot is on its way to another node.
    TryAgain,
    /// HELLO says that the server isn't a master: PUBLISH there succeeds and reaches only its own subscribers.
    NotMaster,
    /// The server wants a password and none is configured.
    NoAuth,
    /// The user or password is wrong.
    WrongPass,
    /// The user may not run the command.
    NoPerm,
    /// The user may not publish to this channel.
    ChannelDenied,
    /// An error that isn't known here.
    Other,
}

/// What to do about an [`ErrorClass`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It passes: try again, quietly.
    Transient,
    /// Somebody has to change something: try again, loudly.
    Configuration,
    /// One channel is refused, others may be fine.
    Channel,
}

impl ErrorClass {
    /// All of them, for metrics that show zeros.
    pub const ALL: [Self; 15] = [
        Self::Io,
        Self::Timeout,
        Self::Protocol,
        Self::Loading,
        Self::ReadOnly,
        Self::Oom,
        Self::MasterDown,
        Self::ClusterDown,
        Self::TryAgain,
        Self::NotMaster,
        Self::NoAuth,
        Self::WrongPass,
        Self::NoPerm,
        Self::ChannelDenied,
        Self::Other,
    ];

    /// Classifies an error line, without its leading `-`.
    pub fn of_reply(line: &[u8]) -> Self {
        let code = line.split(|&byte| byte == b' ').next().unwrap_or_default();
        match code {
            b"LOADING" => Self::Loading,
            b"READONLY" => Self::ReadOnly,
            b"OOM" => Self::Oom,
            b"MASTERDOWN" => Self::MasterDown,
            b"CLUSTERDOWN" => Self::ClusterDown,
            b"TRYAGAIN" => Self::TryAgain,
            b"NOAUTH" => Self::NoAuth,
            b"WRONGPASS" => Self::WrongPass,
            // Redis 6: "this user has no permissions to access one of the channels used as arguments";
            // Redis 7: "this user has no permissions to access the 'x' channel" or the older text.
            b"NOPERM" if memchr::memmem::find(line, b"channel").is_some() => Self::ChannelDenied,
            b"NOPERM" => Self::NoPerm,
            _ => Self::Other,
        }
    }

    /// What kind of trouble it is.
    pub fn kind(self) -> Kind {
        match self {
            Self::NoAuth | Self::WrongPass | Self::NoPerm => Kind::Configuration,
            Self::ChannelDenied => Kind::Channel,
            Self::Io
            | Self::Timeout
            | Self::Protocol
            | Self::Loading
            | Self::ReadOnly
            | Self::Oom
            | Self::MasterDown
            | Self::ClusterDown
            | Self::TryAgain
            | Self::NotMaster
            | Self::Other => Kind::Transient,
        }
    }

    /// The value of the label `class`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Io => "io",
            Self::Timeout => "timeout",
            Self::Protocol => "protocol",
            Self::Loading => "loading",
            Self::ReadOnly => "readonly",
            Self::Oom => "oom",
            Self::MasterDown => "masterdown",
            Self::ClusterDown => "clusterdown",
            Self::TryAgain => "tryagain",
            Self::NotMaster => "not_master",
            Self::NoAuth => "noauth",
            Self::WrongPass => "wrongpass",
            Self::NoPerm => "noperm",
            Self::ChannelDenied => "channel_denied",
            Self::Other => "other",
        }
    }

    /// What a person should do about it.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Io | Self::Timeout => "check that Redis runs and can be reached at redis.url",
            Self::Protocol => "redis.url leads to something that isn't Redis, or wants rediss:// for TLS",
            Self::Loading => "it passes when Redis has loaded its data",
            Self::ReadOnly | Self::NotMaster | Self::MasterDown => "redis.url must lead to the master",
            Self::Oom => "Redis is over maxmemory",
            Self::ClusterDown | Self::TryAgain => "the Redis cluster is not whole",
            Self::NoAuth => "set redis.password_file or a password in redis.url",
            Self::WrongPass => "check the user in redis.url and redis.password_file",
            Self::NoPerm => "grant the Redis user the command: ACL SETUSER <user> +publish",
            Self::ChannelDenied => "grant the Redis user the channel: ACL SETUSER <user> &events:*",
            Self::Other => "see the message",
        }
    }
}

/// A failure with the words of whoever reported it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}: {message}", class.as_str())]
pub struct Fault {
    /// What kind of failure.
    pub class: ErrorClass,
    /// What was said, without secrets.
    pub message: String,
}

/// Longest error text that is kept.
const MAX_MESSAGE_BYTES: usize = 256;

impl Fault {
    /// A failure described by this service.
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
        }
    }

    /// A failure described by an error line of Redis.
    pub fn of_reply(line: &[u8]) -> Self {
        let text = String::from_utf8_lossy(&line[..line.len().min(MAX_MESSAGE_BYTES)]).into_owned();
        Self::new(ErrorClass::of_reply(line), text)
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        let class = match error.kind() {
            std::io::ErrorKind::TimedOut => ErrorClass::Timeout,
            _ => ErrorClass::Io,
        };
        Self::new(class, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_of_the_contract_gets_its_class() {
        for (line, class) in [
            (
                &b"LOADING Redis is loading the dataset in memory"[..],
                ErrorClass::Loading,
            ),
            (
                b"READONLY You can't write against a read only replica.",
                ErrorClass::ReadOnly,
            ),
            (
                b"OOM command not allowed when used memory > 'maxmemory'.",
                ErrorClass::Oom,
            ),
            (b"MASTERDOWN Link with MASTER is down", ErrorClass::MasterDown),
            (b"CLUSTERDOWN The cluster is down", ErrorClass::ClusterDown),
            (
                b"TRYAGAIN Multiple keys request during rehashing of slot",
                ErrorClass::TryAgain,
            ),
            (b"NOAUTH Authentication required.", ErrorClass::NoAuth),
            (
                b"WRONGPASS invalid username-password pair or user is disabled.",
                ErrorClass::WrongPass,
            ),
            (
                b"NOPERM this user has no permissions to run the 'publish' command",
                ErrorClass::NoPerm,
            ),
            (
                b"NOPERM this user has no permissions to access one of the channels used as arguments",
                ErrorClass::ChannelDenied,
            ),
            (b"ERR max number of clients reached", ErrorClass::Other),
        ] {
            assert_eq!(ErrorClass::of_reply(line), class);
        }
    }

    #[test]
    fn labels_are_distinct() {
        let mut labels: Vec<_> = ErrorClass::ALL.iter().map(|class| class.as_str()).collect();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), ErrorClass::ALL.len());
    }
}
