//! The list of faults: what is promised for each, in which modes, and what runs it.

use std::time::Duration;

use super::setting::{Mode, Setting};
use super::{
    brokers, channels, ends, letters, memory, odd, outages, poison, refusals, restarts, silence, starts,
    storm, subscribers, throughput, topics,
};

/// What may run at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Company {
    /// It takes long and does little: beside everything else.
    Beside,
    /// A few others.
    Some,
    /// Nothing: it measures speed.
    None,
}

/// A fault in one mode.
pub struct Case {
    pub name: &'static str,
    /// What must hold.
    pub promise: &'static str,
    pub mode: Mode,
    pub company: Company,
    /// Part of the shorter selection.
    pub quick: bool,
    /// What happened when is told in any case, not only after a failure.
    pub tells: bool,
    pub run: Box<dyn Fn(&Setting) + Sync>,
}

impl Case {
    /// The name with the mode.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.name, self.mode.as_str())
    }
}

/// One row of the list, before it is split by mode.
struct Row {
    name: &'static str,
    promise: &'static str,
    modes: &'static [Mode],
    company: Company,
    quick: bool,
    run: fn(&Setting),
}

const BOTH: &[Mode] = &[Mode::AtLeastOnce, Mode::BestEffort];
const STRICT: &[Mode] = &[Mode::AtLeastOnce];

const fn row(name: &'static str, modes: &'static [Mode], run: fn(&Setting), promise: &'static str) -> Row {
    Row {
        name,
        promise,
        modes,
        company: Company::Some,
        quick: false,
        run,
    }
}

/// Part of the shorter selection as well.
const fn quick(mut row: Row) -> Row {
    row.quick = true;
    row
}

const fn with(company: Company, mut row: Row) -> Row {
    row.company = company;
    row
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    with(Company::Beside, row("slow-everything", STRICT, memory::slow,
        "everything slow: resident memory grows by at most 1 % over the last half")),
    quick(row("sigterm", BOTH, restarts::sigterm, "SIGTERM again and again: lost 0, duplicates 0")),
    row("rolling-restart", BOTH, restarts::rolling, "3 copies, five rounds: lost 0, duplicates 0"),
    quick(row("kill-9", BOTH, restarts::killed,
        "killed again and again: lost 0, duplicates only of what was not committed, taken over within 16 s")),
    row("scale", BOTH, restarts::scaled, "1 to 3 to 1: lost 0, duplicates 0, series of revoked partitions gone"),
    row("bridge-stopped", STRICT, restarts::stopped,
        "SIGSTOP beyond max.poll.interval.ms: rejoins, no commit from the old assignment"),
    quick(row("redis-restart", BOTH, outages::restarted, "killed and started: no dead letter, resumes within 5 s")),
    row("redis-late", BOTH, outages::late, "starts after the bridge: nothing but waiting, resumes within 5 s"),
    quick(row("redis-frozen", BOTH, silence::frozen, "SIGSTOP: reconnects within 10 s, stays in the group")),
    row("redis-paused", BOTH, silence::paused, "CLIENT PAUSE: reconnects within 10 s, stays in the group"),
    row("redis-swallowed", BOTH, silence::swallowed, "a dead connection: reconnects within 10 s, stays in the group"),
    row("redis-cut", BOTH, silence::cut, "connections reset again and again: resumes within 5 s"),
    row("redis-noauth", BOTH, refusals::password, "NOAUTH and WRONGPASS: counted, told, no dead letter, recovers"),
    row("redis-noperm", BOTH, refusals::permission, "NOPERM on PUBLISH: counted, told, no dead letter, recovers"),
    quick(row("redis-replica", BOTH, refusals::replica, "turned into a replica: nothing counts as published, recovers")),
    row("redis-oom", BOTH, refusals::oom, "OOM: right class, no dead letter, recovers"),
    row("redis-loading", BOTH, refusals::loading, "LOADING: right class, no dead letter, recovers"),
    row("redis-readonly", BOTH, refusals::readonly, "READONLY: right class, no dead letter, recovers"),
    row("redis-masterdown", BOTH, refusals::masterdown, "MASTERDOWN: right class, no dead letter, recovers"),
    row("channel-forbidden", BOTH, channels::forbidden, "its records are dead letters or dropped, neighbours unaffected"),
    row("broker-restart", BOTH, brokers::restarted, "killed and started: lost 0"),
    row("broker-unreachable", BOTH, brokers::unreachable,
        "beyond the session timeout: lost 0, no commit for a lost partition, taken over within 16 s"),
    quick(row("poison-some", BOTH, poison::some, "1 % poison: each in the DLQ once, good ones unaffected")),
    with(Company::None, row("poison-throughput", BOTH, throughput::with_poison,
        "1 % poison: at least 90 % of the throughput without, alternating")),
    row("poison-all", BOTH, poison::all, "100 % poison: the guard holds the DLQ to burst + rate x time"),
    row("odd-records", BOTH, odd::every_kind, "oversized, empty, null, not UTF-8: neighbours unaffected"),
    row("dlq-missing", BOTH, letters::missing, "topic gone: that partition waits and tells, others go on"),
    row("dlq-unauthorised", BOTH, letters::unauthorised, "not allowed: that partition waits and tells, others go on"),
    row("dlq-unavailable", BOTH, letters::unavailable, "no leader: that partition waits and tells, others go on"),
    row("topic-grows", BOTH, topics::grows, "new partitions from their beginning"),
    row("topic-appears", STRICT, topics::appears, "a topic that the expression matches, from its beginning"),
    row("topic-remade", STRICT, topics::remade, "deleted and made again: from its beginning, series removed"),
    row("retention", BOTH, topics::retention, "overtakes the commit: counted, told, goes on"),
    row("sigterm-without-redis", BOTH, ends::without_redis, "exits within the deadline, lost 0"),
    row("sigterm-without-kafka", BOTH, ends::without_kafka, "exits within the deadline, lost 0"),
    row("quiet-partition", BOTH, starts::quiet, "new group at latest, records while all copies are down: delivered"),
    row("joined-at-once", BOTH, starts::at_once, "three copies of a new group: delivered once"),
    row("slow-subscriber", BOTH, subscribers::slow, "a subscriber that reads nothing: publishes unaffected"),
    row("no-subscriber", BOTH, subscribers::none, "publishes unaffected, and counted"),
    row("ten-thousand-channels", BOTH, subscribers::many_channels, "publishes unaffected"),
];

/// Every case of the matrix.
pub fn all() -> Vec<Case> {
    let split = |row: &'static Row| {
        row.modes.iter().enumerate().map(move |(at, mode)| Case {
            name: row.name,
            promise: row.promise,
            mode: *mode,
            company: row.company,
            quick: row.quick && at == 0,
            tells: false,
            run: Box::new(row.run),
        })
    };
    ROWS.iter().flat_map(split).collect()
}

/// Random faults for so long.
pub fn storm(duration: Duration) -> Case {
    Case {
        name: "storm",
        promise: "random faults at random times, then quiet: lost 0",
        mode: Mode::AtLeastOnce,
        company: Company::None,
        quick: false,
        tells: true,
        run: Box::new(move |setting| storm::rages(setting, duration)),
    }
}
