//! The same derivation as in the service, with somebody looking on.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;

use serde::Serialize;

use super::show::{Outcome, Show};
use crate::commands::derived::Commands;
use crate::commands::outcome::is_read;
use crate::config::Derivation;
use crate::derive::{Deriver, Limits, Options, Route, Router};
use crate::exit::{Exit, Failure};
use crate::record::Record;

/// Why a record of a topic without a route is skipped; the name in metrics.
const NO_ROUTE: &str = "no_route";

/// What became of the records so far.
#[derive(Debug, Default, Serialize)]
pub struct Counts {
    pub records: u64,
    pub ready: u64,
    pub notifications: u64,
    pub skipped: BTreeMap<&'static str, u64>,
    pub dead_letters: BTreeMap<&'static str, u64>,
    /// Extra fields that were left out of notifications.
    pub fields_omitted: u64,
}

/// Derives record after record.
pub struct DryRun {
    router: Router,
    routes: HashMap<String, Option<Arc<Route>>>,
    deriver: Deriver,
    commands: Commands,
    counts: Counts,
    limit: u64,
    show: Show,
    unread: bool,
}

impl DryRun {
    /// Derives as `config` says.
    pub fn new(config: &Derivation, show: Show) -> Result<Self, Failure> {
        let router = Router::compile(&config.kafka.topics, &config.routes).map_err(|problems| {
            let messages: Vec<_> = problems.into_iter().map(|problem| problem.message).collect();
            Failure::config(messages.join("\n"))
        })?;
        let limits = Limits {
            max_notification_bytes: config.delivery.max_notification_bytes,
        };
        Ok(Self {
            router,
            routes: HashMap::new(),
            deriver: Deriver::new(limits).passing_on(config.trace.pass_on()),
            commands: Commands::default(),
            counts: Counts::default(),
            limit: u64::MAX,
            show,
            unread: false,
        })
    }

    /// Takes no more than so many records.
    pub fn limit_to(&mut self, limit: Option<u64>) {
        self.limit = limit.unwrap_or(u64::MAX);
    }

    /// Whether no further record is wanted.
    pub fn is_done(&self) -> bool {
        self.unread || self.counts.records >= self.limit
    }

    /// Derives one record and shows what became of it.
    pub fn take(&mut self, record: &Record<'_>) -> Result<(), Failure> {
        self.counts.records += 1;
        let outcome = self.derive(record);
        let written = self.show.record(record, &outcome, &self.commands);
        self.after(written)
    }

    fn derive(&mut self, record: &Record<'_>) -> Outcome {
        use crate::derive::Derivation;
        self.commands.channels.clear();
        let Some(route) = self.route(record.topic) else {
            *self.counts.skipped.entry(NO_ROUTE).or_default() += 1;
            return Outcome::Skip(NO_ROUTE);
        };
        let derived = self
            .deriver
            .derive(&route, record, Options::default(), &mut self.commands);
        match derived {
            Derivation::Ready { commands } => {
                self.counts.ready += 1;
                self.counts.notifications += u64::from(commands);
                Outcome::Ready
            }
            Derivation::Skip(skip) => {
                *self.counts.skipped.entry(skip.as_str()).or_default() += 1;
                Outcome::Skip(skip.as_str())
            }
            Derivation::Reject(rejection) => {
                let reason = rejection.reason.as_str();
                *self.counts.dead_letters.entry(reason).or_default() += 1;
                Outcome::DeadLetter(rejection)
            }
        }
    }

    fn route(&mut self, topic: &str) -> Option<Arc<Route>> {
        if let Some(route) = self.routes.get(topic) {
            return route.clone();
        }
        let route = self.router.route_for(topic);
        self.routes.insert(topic.to_owned(), route.clone());
        route
    }

    /// Everything was read: shows the counts.
    pub fn finish(mut self) -> Result<Exit, Failure> {
        self.counts.fields_omitted = self.deriver.fields_omitted();
        let written = self.show.finish(&self.counts);
        self.after(written)?;
        match self.counts.dead_letters.is_empty() {
            true => Ok(Exit::Ok),
            false => Ok(Exit::Data),
        }
    }

    fn after(&mut self, written: io::Result<()>) -> Result<(), Failure> {
        self.unread |= !is_read(written)?;
        Ok(())
    }
}
