//! What the fuzz targets check, on a few hundred inputs each.

use proptest::prelude::*;

use super::checks::replies::Sent;
use super::checks::{configuration, notes, replies};

/// Text of characters that mean something where a password or a configuration is written.
fn pointed() -> &'static str {
    "[a-c1@:/?#%&=.{}\\[\\]\"'\\\\ \n\u{1b}é]{0,12}"
}

proptest! {
    #[test]
    fn replies_are_the_same_however_they_are_cut(
        bytes in "([:+$*-](-?[0-9]{1,3}|[a-z ]{0,8})\r\n([a-z]{1,4}\r\n)?){0,8}",
        pieces in prop::collection::vec(0u8..6, 1..8),
    ) {
        replies::cuts_change_nothing(bytes.as_bytes(), &pieces);
    }

    #[test]
    fn replies_arrive_as_they_are_sent(
        texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..6),
        number in any::<i64>(),
        pieces in prop::collection::vec(0u8..6, 1..8),
    ) {
        let items = texts.into_iter().map(Sent::Text).collect();
        replies::arrives_as_sent(&[Sent::Array(items), Sent::Integer(number), Sent::Nil, Sent::Error(b"ERR".to_vec())], &pieces);
    }

    #[test]
    fn commands_read_back(arguments in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..6)) {
        replies::a_command_reads_back(&arguments.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }

    #[test]
    fn metadata_of_any_commit_is_survived(
        mark in prop::sample::select(vec!["", "krb1 ", "krd1 ", "krd1"]),
        text in "[0-9a-f+ -]{0,90}",
        committed in any::<i64>(),
    ) {
        notes::any_metadata_is_survived(&format!("{mark}{text}"), committed);
    }

    #[test]
    fn resolved_letters_agree_with_a_set(
        committed in any::<u8>(),
        ranges in prop::collection::vec(any::<(u8, u8)>(), 0..40),
        window in any::<(u8, u8)>(),
    ) {
        notes::resolved_agrees_with_a_set(committed, &ranges, window);
    }

    #[test]
    fn start_notes_read_back(
        (born, seen, partitions) in any::<(i64, i64, i32)>(),
        names in prop::collection::vec("[a-z]{0,9}", 0..20),
    ) {
        notes::a_note_reads_back(born, seen, partitions, &names.iter().map(String::as_str).collect::<Vec<_>>());
    }

    #[test]
    fn a_password_is_never_seen_however_wrong_it_is(before in pointed(), after in pointed(), place in any::<u8>()) {
        let dir = tempfile::tempdir().unwrap();
        configuration::no_secret_is_seen(dir.path(), &before, &after, place);
    }

    #[test]
    fn any_file_and_any_environment_is_answered(text in "(\\[{0,2}[a-z.\"\n]{0,9}\\]{0,2}\n|[A-Z_a-z.]{1,9} ?= ?[0-9a-z\"'{}\\[\\],.:-]{0,12}\n){0,9}") {
        let dir = tempfile::tempdir().unwrap();
        configuration::any_file_is_answered(dir.path(), &text);
        configuration::any_environment_is_answered(&text);
    }
}
