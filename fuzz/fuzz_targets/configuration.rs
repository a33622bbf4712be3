//! Configuration: the input as a file, as environment variables, and around a secret.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/checks/configuration.rs"]
mod checks;

static DIR: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

fuzz_target!(|text: &str| {
    // The last byte chooses, so that files are files all the same: they end with a line break.
    match text.as_bytes().last() {
        Some(b'=') => checks::any_environment_is_answered(text),
        Some(&place @ b'a'..=b'p') => {
            let (before, after) = text[..text.len() - 1].split_once('|').unwrap_or((text, ""));
            checks::no_secret_is_seen(DIR.path(), before, after, place);
        }
        _ => checks::any_file_is_answered(DIR.path(), text),
    }
});
