//! One channel of many is forbidden.

use std::collections::BTreeSet;

use super::poison::Odd;
use super::setting::Setting;
use super::support::producer::NewRecord;
use super::trial::{RATE, SOON, Trial};
use super::verdict::Rule;

/// A record of partition 0 now and then is for a channel that the bridge's user may not publish to.
pub fn forbidden(setting: &Setting) {
    let mut trial = Trial::new(setting);
    let url = trial.scenario.rig.url_of_publisher("events:key:*");
    trial.config = trial
        .config
        .clone()
        .set("redis.url", url)
        .set("delivery.retry_for", "500ms");
    trial.spawn();
    trial.shared();
    let secret = Odd::of(Some(0), 50, |id| {
        NewRecord::of(format!(
            r#"{{"id":"{id}","type":"t","source_type":"secret","source_id":"s"}}"#
        ))
    });
    trial.load_of(RATE, secret.make());
    trial.flows();
    trial.goes_on();
    secret.begin();
    trial.over("records for a forbidden channel");
    let outcome = if setting.loses_nothing() {
        "dead_lettered"
    } else {
        "dropped"
    };
    trial.shows(
        "channel_denied",
        |m| m.settled_for(outcome, "channel_denied") > 0,
        &["Redis refuses this user the channel", "events:secret:s"],
    );
    for _ in 0..5 {
        trial.goes_on();
    }
    secret.end();
    trial.flows();
    assert_eq!(
        trial.copies[0].readyz(),
        200,
        "one channel is no configuration error"
    );
    trial.unaffected(1);
    let denied = secret.ids();
    assert!(
        denied.len() > 10,
        "{} records for the forbidden channel",
        denied.len()
    );
    trial.copies[0].wait_metrics("all of them", SOON, |m| {
        m.settled_for(outcome, "channel_denied") == denied.len() as u64
    });
    let letters = if setting.loses_nothing() {
        denied
    } else {
        BTreeSet::new()
    };
    trial.finish_with(Rule::GivenUp(0), &letters);
}
