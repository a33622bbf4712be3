//! One line for each thing that was looked at, for people, on stderr.

use console::style;

use crate::exit::{Exit, Failure};

/// What was found about one service.
#[derive(Debug)]
pub struct Report {
    service: &'static str,
    exit: Exit,
}

impl Report {
    /// Nothing looked at yet.
    pub fn new(service: &'static str) -> Self {
        Self {
            service,
            exit: Exit::Ok,
        }
    }

    /// The worst that was found.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// As it should be.
    pub fn ok(&self, text: impl AsRef<str>) {
        self.line(style("ok    ").green(), text.as_ref());
    }

    /// Worth knowing, and nothing wrong.
    pub fn note(&self, text: impl AsRef<str>) {
        self.line(style("note  ").yellow(), text.as_ref());
    }

    /// Wrong, and what to do.
    pub fn failed(&mut self, failure: &Failure) {
        for text in failure.message.lines() {
            self.line(style("failed").red(), text);
        }
        self.exit = worst(self.exit, failure.exit);
    }

    fn line(&self, verdict: console::StyledObject<&str>, text: &str) {
        eprintln!("{}  {}: {text}", verdict.for_stderr(), self.service);
    }
}

/// What has to be configured outranks what may be there again by itself.
pub fn worst(one: Exit, other: Exit) -> Exit {
    [Exit::Config, Exit::Unavailable, one, other]
        .into_iter()
        .find(|exit| (*exit == one || *exit == other) && *exit != Exit::Ok)
        .unwrap_or(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_to_be_configured_outranks_what_is_out_of_reach() {
        for (one, other, expected) in [
            (Exit::Ok, Exit::Ok, Exit::Ok),
            (Exit::Ok, Exit::Unavailable, Exit::Unavailable),
            (Exit::Unavailable, Exit::Config, Exit::Config),
            (Exit::Config, Exit::Ok, Exit::Config),
            (Exit::Software, Exit::Ok, Exit::Software),
            (Exit::Ok, Exit::Software, Exit::Software),
        ] {
            assert_eq!(worst(one, other), expected);
        }
    }
}
