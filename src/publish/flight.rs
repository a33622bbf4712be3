//! A batch on its way: how much of it is written, how much of it is answered, and with what.

use tokio::time::Instant;

use super::batch::Batch;
use super::error::{ErrorClass, Fault, Kind};
use super::resp::{self, Reply};
use super::verdict::Refused;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not a byte is written.
    Waiting,
    /// Written at least in part; answers are due.
    Started,
    /// Answered, and some commands failed in a way that passes.
    Failed,
}

/// One attempt at a batch. What is settled leaves it, so that the next attempt carries only the rest.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) batch: Batch,
    /// A message of the bridge itself: no record waits for it.
    pub(super) control: bool,
    state: State,
    written: usize,
    /// It was begun to find out whether Redis is well: one command at a time until one succeeds.
    probes: bool,
    /// Whether HELLO follows the commands, to learn the role of the server that answered them.
    pub(super) confirm: bool,
    confirmed: bool,
    answered: usize,
    failures: Vec<(usize, Fault)>,
    pub(super) receivers: u64,
    pub(super) without_receivers: u64,
    pub(super) started_at: Option<Instant>,
    /// When it is given up; `None` never.
    pub(super) deadline: Option<Instant>,
}

/// What remains of a flight after all commands were answered.
pub(super) enum Answered {
    /// Every command succeeded.
    Whole,
    /// Some channels are refused; everything else succeeded.
    Refused(Vec<Refused>),
    /// Some commands failed and are tried again. What is settled has been split off.
    Again { settled: Batch },
}

impl Flight {
    pub(super) fn new(batch: Batch, confirm: bool, deadline: Option<Instant>) -> Self {
        Self {
            batch,
            control: false,
            state: State::Waiting,
            written: 0,
            probes: false,
            confirm,
            confirmed: false,
            answered: 0,
            failures: Vec::new(),
            receivers: 0,
            without_receivers: 0,
            started_at: None,
            deadline,
        }
    }

    /// A message of the bridge itself: no record waits for it.
    pub(super) fn control(batch: Batch, deadline: Option<Instant>) -> Self {
        Self {
            control: true,
            ..Self::new(batch, false, deadline)
        }
    }

    pub(super) fn is_started(&self) -> bool {
        self.state == State::Started
    }

    pub(super) fn has_failed(&self) -> bool {
        self.state == State::Failed
    }

    /// The bytes to write next; with `probe` none beyond the first unanswered command.
    pub(super) fn unsent(&self, probe: bool) -> &[u8] {
        let bytes = self.batch.bytes();
        if self.state == State::Failed {
            return &[];
        }
        if probe && (self.probes || self.state == State::Waiting) {
            let end = self.batch.start_of(self.answered + 1);
            return bytes.get(self.written..end).unwrap_or_default();
        }
        match bytes.get(self.written..) {
            Some(rest) if !rest.is_empty() => rest,
            _ if self.confirm => &resp::HELLO[(self.written - bytes.len()).min(resp::HELLO.len())..],
            _ => &[],
        }
    }

    pub(super) fn wrote(&mut self, bytes: usize, probe: bool) {
        if self.state == State::Waiting {
            self.state = State::Started;
            self.probes = probe;
            self.started_at.get_or_insert_with(Instant::now);
        }
        self.written += bytes;
    }

    /// Takes the answers at the start of `bytes` that belong to this flight and tells how long they were.
    pub(super) fn take_answers(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let mut at = 0;
        while !self.is_answered() {
            let Some((reply, length)) = parse(&bytes[at..])? else {
                break;
            };
            at += length;
            if self.answered < self.batch.commands() {
                self.take_answer(&reply)?;
            } else {
                confirm_master(&reply)?;
                self.confirmed = true;
            }
        }
        Ok(at)
    }

    fn take_answer(&mut self, reply: &Reply<'_>) -> Result<(), Fault> {
        match reply {
            Reply::Integer(receivers) => {
                self.receivers += u64::try_from(*receivers).unwrap_or(0);
                self.without_receivers += u64::from(*receivers == 0);
            }
            Reply::Error(line) => self.failures.push((self.answered, Fault::of_reply(line))),
            _ => {
                return Err(Fault::new(
                    ErrorClass::Protocol,
                    "PUBLISH was not answered by a number",
                ));
            }
        }
        self.answered += 1;
        Ok(())
    }

    pub(super) fn is_answered(&self) -> bool {
        self.answered == self.batch.commands() && (!self.confirm || self.confirmed)
    }

    /// A command that went alone failed for a reason that passes: no use sending the next. Of a flight that went as a
    /// whole, before anything had failed, the other answers are still to come.
    pub(super) fn probe_failed(&self) -> bool {
        self.probes && self.failures().any(|fault| fault.class.kind() != Kind::Channel)
    }

    /// How many commands succeeded in this attempt.
    pub(super) fn succeeded(&self) -> u64 {
        (self.answered - self.failures.len()) as u64
    }

    pub(super) fn failures(&self) -> impl Iterator<Item = &Fault> {
        self.failures.iter().map(|(_, fault)| fault)
    }

    /// All commands are answered: what remains to be done.
    pub(super) fn conclude(&mut self) -> Answered {
        if self.failures.is_empty() {
            return Answered::Whole;
        }
        if self.failures().all(|fault| fault.class.kind() == Kind::Channel) {
            return Answered::Refused(self.refused());
        }
        let settled = self.split_settled();
        self.state = State::Failed;
        Answered::Again { settled }
    }

    /// Splits off what has been answered well, and makes the rest ready for another attempt.
    pub(super) fn split_settled(&mut self) -> Batch {
        let failed: Vec<usize> = self.failures.iter().map(|(command, _)| *command).collect();
        let answered = self.answered;
        let rest = self
            .batch
            .split_unanswered(|command| command < answered && failed.binary_search(&command).is_err());
        let settled = std::mem::replace(&mut self.batch, rest.unwrap_or_default());
        self.rewind();
        settled
    }

    /// Forgets the attempt: everything is to be written again.
    pub(super) fn rewind(&mut self) {
        self.state = State::Waiting;
        self.written = 0;
        self.probes = false;
        self.answered = 0;
        self.confirmed = false;
        self.failures.clear();
        self.receivers = 0;
        self.without_receivers = 0;
    }

    fn refused(&self) -> Vec<Refused> {
        let mut refused: Vec<Refused> = Vec::new();
        let mut failures = self.failures.iter().map(|(command, _)| *command).peekable();
        let mut command = 0;
        for entry in self.batch.entries() {
            let mut channels = 0u16;
            for channel in super::batch::channels_of(entry.channels) {
                if failures.next_if_eq(&command).is_some() {
                    channels |= 1 << channel;
                }
                command += 1;
            }
            if channels != 0 {
                refused.push(Refused {
                    part: entry.part,
                    offset: entry.offset,
                    channels,
                });
            }
        }
        refused
    }
}

fn parse(bytes: &[u8]) -> Result<Option<(Reply<'_>, usize)>, Fault> {
    resp::parse(bytes).map_err(|error| Fault::new(ErrorClass::Protocol, error.to_string()))
}

/// Reads HELLO's answer: only a master's publishes count.
pub(super) fn confirm_master(reply: &Reply<'_>) -> Result<(), Fault> {
    match reply {
        Reply::Error(line) => Err(Fault::of_reply(line)),
        Reply::Array(_) => match resp::field(reply, b"role") {
            Some(b"master") | None => Ok(()),
            Some(role) => Err(Fault::new(
                ErrorClass::NotMaster,
                format!("the server is a {}", String::from_utf8_lossy(role)),
            )),
        },
        _ => Err(Fault::new(
            ErrorClass::Protocol,
            "HELLO was not answered by a list",
        )),
    }
}
