//! Records of every odd kind among good ones, in both sizes that a topic allows.

use std::collections::BTreeSet;

use super::setting::Setting;
use super::support::load::numbered;
use super::support::odd::{End, odd_records};
use super::support::producer::NewRecord;
use super::support::scenario::source_id;
use super::support::wait;
use super::trial::{LONG, Trial};
use super::verdict::Rule;

/// `max.message.bytes` of a topic by default.
const LIMIT: usize = 1_048_588;
/// What a batch of one record with a short key takes beside the value.
const OVERHEAD: usize = 61 + 20;

/// A record as large as the topic allows, that begins like this and is filled up.
fn at_the_limit(begin: &str, end: &str) -> NewRecord {
    let fill = "x".repeat(LIMIT - OVERHEAD - begin.len() - end.len());
    NewRecord::of(format!("{begin}{fill}{end}"))
}

/// Each of them in the middle of good ones.
pub fn every_kind(setting: &Setting) {
    let mut trial = Trial::new(setting);
    // Many bad records in a row are the guard's business, and another case.
    trial.config = trial
        .config
        .clone()
        .set("dlq.guard.burst", 1_000_000)
        .set("dlq.guard.share", 1.0);
    trial.spawn();
    trial.shared();
    let mut odd = odd_records();
    let large = r#"{"id":"large","type":"t","source_type":"key","source_id":"s","x":""#;
    odd.push((at_the_limit(large, "\"}"), End::Heard("large")));
    odd.push((at_the_limit(r#"{"large":""#, "\"}"), End::Dead("missing_field")));
    let mut undecided = Vec::new();
    let (mut records, mut dead, mut heard, mut skipped) = (Vec::new(), BTreeSet::new(), Vec::new(), 0);
    for sequence in 0..10 * i64::try_from(odd.len()).unwrap() {
        let (produced, good) = numbered(0, sequence);
        let (record, end) = &odd[usize::try_from(sequence / 10).unwrap()];
        if sequence % 10 != 5 {
            records.push(good);
            trial.written.push(produced);
            continue;
        }
        records.push(record.clone().to(0));
        match end {
            End::Heard(id) => heard.push((*id).to_owned()),
            End::Tombstone => skipped += 1,
            End::Either => undecided.push(produced),
            End::Dead(_) => {
                dead.insert(produced.id());
                trial.written.push(produced);
            }
        }
    }
    trial.scenario.kafka.produce(&trial.scenario.topic, records);
    wait::until_true("committed to the end", LONG, || trial.scenario.uncommitted() == 0);
    trial.copies[0].wait_metrics("tombstones are skipped", LONG, |m| {
        m.settled_for("skipped", "tombstone") == skipped
    });
    trial.scenario.rig.recorder.barrier(&trial.scenario.rig.redis);
    let notes = trial.scenario.rig.recorder.notes();
    for id in heard {
        assert_eq!(notes.iter().filter(|note| note.id() == id).count(), 1, "{id}");
        trial.aside.insert(id);
    }
    // Invalid UTF-8 in a field that nobody wants: a dead letter or not, but one of the two.
    let letters: BTreeSet<String> = trial.scenario.dead_letters().iter().map(source_id).collect();
    for record in undecided {
        let id = record.id();
        if letters.contains(&id) {
            trial.written.push(record);
            dead.insert(id);
        } else {
            assert!(
                trial.scenario.rig.recorder.heard("u"),
                "{id} is neither heard nor a dead letter"
            );
            trial.aside.insert("u".to_owned());
        }
    }
    trial.finish_with(Rule::Perfect, &dead);
}
