//! Runs the cases, several at once where they measure nothing that the others would disturb.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::case::{Case, Company};
use super::report::{HEADS, Outcome, Report, columns};
use super::setting::Setting;
use super::support::cli;
use super::support::kafka::Kafka;

thread_local! {
    /// What the last panic of this thread said, and where.
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
}

/// What is to be run.
pub struct Plan {
    pub cases: Vec<Case>,
    pub kafka: Kafka,
    pub seed: u64,
    pub jobs: usize,
    pub memory_for: Duration,
    pub out: PathBuf,
}

impl Plan {
    /// Runs everything, prints a line for each case, writes the report.
    pub fn run(self) -> Report {
        std::panic::set_hook(Box::new(|info| SAID.set(info.to_string())));
        println!(
            "{} cases, seed {}, {}",
            self.cases.len(),
            self.seed,
            cli::binary()
        );
        println!("{}", columns(&HEADS));
        let started = Instant::now();
        let mut outcomes = self.outcomes();
        outcomes.sort_by_key(|(place, _)| *place);
        let report = Report {
            seed: self.seed,
            version: output(Command::new(cli::binary()).arg("--version")),
            commit: output(Command::new("git").args(["rev-parse", "--short", "HEAD"])),
            servers: servers(),
            machine: machine(),
            at: jiff::Timestamp::now().strftime("%F %R UTC").to_string(),
            seconds: started.elapsed().as_secs_f64(),
            outcomes: outcomes.into_iter().map(|(_, outcome)| outcome).collect(),
        };
        report.write(&self.out).expect("the report can be written");
        println!(
            "\n{}; the report is {}/report.md",
            report.summary(),
            self.out.display()
        );
        report
    }

    /// The long ones beside everything, the others some at once, and then those that bear no company.
    fn outcomes(&self) -> Vec<(usize, Outcome)> {
        let done = Mutex::new(Vec::new());
        let of = |company: Company| {
            let chosen = self.cases.iter().enumerate();
            chosen
                .filter(|(_, case)| case.company == company)
                .collect::<VecDeque<_>>()
        };
        let run = |(place, case): (usize, &Case)| {
            let outcome = self.try_case(case);
            done.lock().unwrap().push((place, outcome));
        };
        std::thread::scope(|scope| {
            for long in of(Company::Beside) {
                scope.spawn(move || run(long));
            }
            let queue = Mutex::new(of(Company::Some));
            std::thread::scope(|scope| {
                for _ in 0..self.jobs {
                    scope.spawn(|| {
                        loop {
                            let next = queue.lock().unwrap().pop_front();
                            let Some(next) = next else { break };
                            run(next);
                        }
                    });
                }
            });
            of(Company::None).into_iter().for_each(run);
        });
        done.into_inner().unwrap()
    }

    fn try_case(&self, case: &Case) -> Outcome {
        let name = case.full_name();
        let kafka = self.kafka.clone();
        let setting = Setting::new(name, kafka, case.mode, self.seed, self.memory_for, &self.out);
        let started = Instant::now();
        let ended = catch_unwind(AssertUnwindSafe(|| (case.run)(&setting)));
        let outcome = Outcome {
            name: setting.name.clone(),
            promise: case.promise.to_owned(),
            passed: ended.is_ok(),
            failure: ended.err().map(|_| SAID.take()),
            seconds: started.elapsed().as_secs_f64(),
            figures: setting.figures(),
            events: setting.events(),
        };
        println!("{}", outcome.line());
        if let Some(failure) = &outcome.failure {
            println!("    {}", failure.replace('\n', "\n    "));
            println!("    logs: {}", setting.logs.display());
        }
        if outcome.failure.is_some() || case.tells {
            for event in &outcome.events {
                println!("    {event}");
            }
        }
        outcome
    }
}

/// What a command says, or nothing.
fn output(command: &mut Command) -> String {
    let said = command.output().map(|done| done.stdout).unwrap_or_default();
    String::from_utf8_lossy(&said).trim().to_owned()
}

/// The versions of the servers, as they tell them.
fn servers() -> String {
    let kafka = output(Command::new("scripts/kafka").arg("--help"));
    let redis = output(Command::new("redis-server").arg("--version"));
    let kafka = kafka
        .split_whitespace()
        .skip_while(|word| *word != "Kafka")
        .nth(1);
    let redis = redis.split_whitespace().find_map(|word| word.strip_prefix("v="));
    format!(
        "Kafka {}, Redis {}",
        kafka.unwrap_or_default(),
        redis.unwrap_or_default()
    )
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores, {}", output(Command::new("uname").arg("-srm")))
}
