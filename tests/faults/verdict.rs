//! The end of a trial: everything is settled, the copies end, and the oracle judges.

use std::collections::BTreeSet;
use std::time::Duration;

use super::setting::Setting;
use super::support::bridge::Bridge;
use super::support::commits::CommitWatch;
use super::support::load::Load;
use super::support::oracle::{Run, Verdict};
use super::support::wait;
use super::trial::{BATCH, LONG, Trial};

/// What can be sent and unanswered when a connection is given up: the batches under way.
const UNANSWERED: u64 = 2 * BATCH.unsigned_abs();

/// What a fault may do to the records.
#[derive(Debug, Clone, Copy)]
pub enum Rule {
    /// Nothing.
    Perfect,
    /// Connections were given up so many times: what was unanswered may come twice, and in `best_effort` records drop.
    GivenUp(u64),
    /// What was not committed before a kill or another disturbance may come twice.
    Uncommitted,
}

impl Trial<'_> {
    /// Ends load and copies, and judges the run.
    #[track_caller]
    pub fn finish(self, rule: Rule) {
        self.finish_with(rule, &BTreeSet::new());
    }

    /// The same where exactly these records are to be dead letters.
    #[track_caller]
    pub fn finish_with(mut self, rule: Rule, letters: &BTreeSet<String>) {
        self.setting.tell("the load ends");
        let mut produced = self.load.take().map(Load::stop).unwrap_or_default();
        produced.append(&mut self.written);
        let settled = wait::poll(LONG, || (self.scenario.uncommitted() == 0).then_some(()));
        let exits: Vec<i32> = self
            .copies
            .iter_mut()
            .map(|copy| copy.terminate(Duration::from_secs(20)))
            .collect();
        let mut run = self.scenario.gather_now(produced);
        run.heard.retain(|id| !self.aside.contains(id));
        let watched = self.commits.is_some();
        run.samples = self.commits.take().map(CommitWatch::stop).unwrap_or_default();
        run.kills = std::mem::take(&mut self.kills);
        run.disturbances = std::mem::take(&mut self.disturbances);
        let all = || self.ended.iter().chain(&self.copies);
        run.dropped = all().map(Bridge::dropped).sum();
        self.advance();
        let verdict = run.judge();
        enter(self.setting, &run, &verdict);
        self.setting.stalled(self.timeline.worst());

        let all = || self.ended.iter().chain(&self.copies);
        all().for_each(Bridge::assert_books_balance);
        assert!(
            !watched || run.samples.len() >= 5,
            "only {} looks at the commits",
            run.samples.len()
        );
        judge(self.setting, rule, &verdict);
        assert_eq!(&run.settled_otherwise, letters, "dead letters");
        if !matches!(rule, Rule::Uncommitted) {
            let written: i64 = self.scenario.kafka.ends(&self.scenario.dlq()).values().sum();
            assert_eq!(written, letters.len() as i64, "dead letters, each once");
        }
        assert!(
            settled.is_some(),
            "not everything was committed: {:?}",
            self.scenario.committed()
        );
        assert!(exits.iter().all(|code| *code == 0), "exit codes {exits:?}");
    }
}

/// Enters what the oracle found.
pub fn enter(setting: &Setting, run: &Run, verdict: &Verdict) {
    setting.measure(|figures| {
        let dropped = usize::try_from(run.dropped).unwrap_or(usize::MAX);
        figures.records = run.produced.len();
        figures.lost = verdict.lost.len().saturating_sub(dropped);
        figures.dropped = run.dropped;
        figures.duplicates = verdict.duplicates.len();
        figures.disorder = verdict.disorder.len() + verdict.unknown.len() + verdict.early_commits.len();
        figures.letters = run.letters.len();
        figures.samples = run.samples.len();
    });
}

#[track_caller]
fn judge(setting: &Setting, rule: Rule, verdict: &Verdict) {
    match rule {
        Rule::GivenUp(times) if !setting.loses_nothing() => {
            verdict.assert_only_dropped(times * UNANSWERED);
            let duplicates = verdict.duplicates.len() as u64;
            assert!(duplicates <= times * UNANSWERED, "{verdict}");
            return;
        }
        Rule::GivenUp(times) => verdict.assert_nothing_lost(usize::try_from(times * UNANSWERED).unwrap()),
        Rule::Perfect => verdict.assert_perfect(),
        Rule::Uncommitted => verdict.assert_survived_kills(),
    }
    assert_eq!(verdict.dropped, 0, "dropped");
}
