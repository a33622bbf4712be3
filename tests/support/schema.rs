//! Is `/status` what its schema says?

use super::bridge::Bridge;

/// Fails with everything that is wrong with the document; returns the document.
#[track_caller]
pub fn valid_status(bridge: &Bridge) -> serde_json::Value {
    let schema = serde_json::from_str(&bridge.get("/status/schema").body).unwrap();
    jsonschema::meta::validate(&schema).expect("a schema");
    let validator = jsonschema::validator_for(&schema).unwrap();
    let status = bridge.status();
    let errors: Vec<String> = validator
        .iter_errors(&status)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}\n{status:#}");
    status
}
