//! Record values: any bytes, judged as by serde_json.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/checks"]
mod checks {
    pub mod derive;
    pub mod json;
    pub mod judge;
}

fuzz_target!(|value: &[u8]| {
    checks::json::judged_the_same(value);
    for cap in [1024, 80] {
        checks::json::enveloped_the_same(value, cap);
    }
});
