//! Progress tracking by arbitrary steps, against the model of the property tests.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/checks/progress.rs"]
mod model;

fuzz_target!(|input: (u32, Vec<model::Step>)| {
    let (start, steps) = input;
    model::agrees(i64::from(start), steps);
});
