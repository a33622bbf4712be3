//! Exit codes, after BSD `sysexits.h`, so that scripts and supervisors can tell failures apart.

/// How the process ends. The numbers are public interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything asked for was done.
    Ok = 0,
    /// The command line was wrong (`EX_USAGE`).
    Usage = 64,
    /// Some records failed (`EX_DATAERR`): `derive`, `dlq replay`.
    Data = 65,
    /// A service that is needed could not be reached in time (`EX_UNAVAILABLE`).
    Unavailable = 69,
    /// Anything else (`EX_SOFTWARE`).
    Software = 70,
    /// Ended before everything in flight was drained (`EX_TEMPFAIL`); another copy delivers the rest.
    Undrained = 75,
    /// The configuration is wrong (`EX_CONFIG`).
    Config = 78,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A failure that ends a command: one line for the person, one code for the script.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Which exit code the process ends with.
    pub exit: Exit,
    /// What went wrong, where, and what to do. May hold several lines, one problem each.
    pub message: String,
}

impl Failure {
    /// A failure with the given exit code and message.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
        }
    }

    /// A wrong configuration (78).
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(Exit::Config, message)
    }

    /// A service that could not be reached (69).
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Exit::Unavailable, message)
    }

    /// Anything else (70).
    pub fn software(message: impl Into<String>) -> Self {
        Self::new(Exit::Software, message)
    }
}
