//! How `dlq show` prints a dead letter for people.

use std::fmt::{Display, Write as _};

use console::style;
use jiff::Timestamp;

use super::row::hex;
use super::verdict::Verdict;
use crate::commands::text::printable;
use crate::dlq::stored::StoredLetter;

/// So much of a value is shown unless all of it is asked for.
const MAX_TEXT: usize = 4096;
/// The same for one that is no text.
const MAX_BINARY: usize = 512;
/// Bytes in a line of hexadecimal digits.
const BYTES_A_LINE: usize = 16;

/// The whole page.
pub fn page(letter: &StoredLetter, resolved: bool, now: &Verdict, full: bool) -> String {
    let mut page = String::new();
    let state = if resolved { "resolved" } else { "open" };
    line(
        &mut page,
        "letter",
        format!("{}:{}, {state}", letter.partition, letter.offset),
    );
    let origin = letter.origin.as_ref().map(ToString::to_string);
    let of = time(letter.original_timestamp);
    line(
        &mut page,
        "source",
        format!("{}, of {of}", known(origin.as_deref())),
    );
    let reason = known(letter.reason.as_deref());
    let message = known(letter.message.as_deref());
    line(&mut page, "reason", format!("{}: {message}", style(reason).red()));
    line(&mut page, "given up", circumstances(letter));
    if let Some(omitted) = &letter.omitted {
        let hash = known(letter.value_sha256.as_deref());
        let text = format!("{}, too large; SHA-256 of the value: {hash}", printable(omitted));
        line(&mut page, "left out", text);
    }
    for (name, value) in &letter.headers {
        line(
            &mut page,
            "header",
            format!("{}: {}", printable(name), inline(value.as_deref())),
        );
    }
    line(&mut page, "key", inline(letter.key.as_deref()));
    match &letter.value {
        None => line(&mut page, "value", "null"),
        Some(value) => {
            line(&mut page, "value", format!("{} bytes", value.len()));
            page.push_str(&content(value, full));
        }
    }
    page.push_str(&ending(now));
    page
}

fn line(page: &mut String, name: &str, text: impl Display) {
    // Writing to a string can't fail.
    let _ = writeln!(page, "{} {text}", style(format!("{name:<8}")).dim());
}

fn known(text: Option<&str>) -> String {
    printable(text.unwrap_or("unknown")).into_owned()
}

fn time(time: Option<Timestamp>) -> String {
    time.map_or_else(|| "unknown time".to_owned(), |time| format!("{time:.3}"))
}

fn circumstances(letter: &StoredLetter) -> String {
    let (group, version) = (known(letter.group.as_deref()), known(letter.version.as_deref()));
    let replays = letter.replay_count.unwrap_or(0);
    format!(
        "{} by {group}, version {version}; replayed {replays} times",
        time(letter.time())
    )
}

/// A key or a header, in its line.
fn inline(bytes: Option<&[u8]>) -> String {
    match bytes {
        None => "null".to_owned(),
        Some(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => printable(text).into_owned(),
            Err(_) => format!("0x{}", hex(bytes)),
        },
    }
}

/// A value: its lines if it is text, hexadecimal digits if it isn't.
fn content(value: &[u8], full: bool) -> String {
    let is_text = std::str::from_utf8(value).is_ok();
    let most = if is_text { MAX_TEXT } else { MAX_BINARY };
    let shown = match full {
        true => value,
        false => &value[..value.len().min(most)],
    };
    let mut content = match is_text {
        // What is cut may end inside a character.
        true => String::from_utf8_lossy(shown)
            .trim_end_matches('\u{fffd}')
            .lines()
            .map(|line| format!("  {}\n", printable(line)))
            .collect(),
        false => dump(shown),
    };
    if shown.len() < value.len() {
        let _ = writeln!(content, "  … {} bytes more: --full", value.len() - shown.len());
    }
    content
}

fn dump(bytes: &[u8]) -> String {
    let as_text = |&byte: &u8| {
        if byte.is_ascii_graphic() || byte == b' ' {
            char::from(byte)
        } else {
            '.'
        }
    };
    let mut dump = String::new();
    for (number, chunk) in bytes.chunks(BYTES_A_LINE).enumerate() {
        let digits: Vec<String> = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
        let text: String = chunk.iter().map(as_text).collect();
        let width = 3 * BYTES_A_LINE;
        let _ = writeln!(
            dump,
            "  {:08x}  {:<width$} {text}",
            number * BYTES_A_LINE,
            digits.join(" ")
        );
    }
    dump
}

fn ending(now: &Verdict) -> String {
    let mut text = String::new();
    match now {
        Verdict::Ready {
            channels,
            notification,
        } => {
            line(&mut text, "now", style("ready: would be published").green());
            for channel in channels {
                let channel = style(printable(channel)).cyan();
                let _ = writeln!(text, "  {channel}  {}", printable(notification.get()));
            }
        }
        Verdict::Skip { reason } => {
            line(
                &mut text,
                "now",
                format!("{} {reason}", style("skipped:").yellow()),
            );
        }
        Verdict::DeadLetter { reason, detail } => {
            let again = style(format!("a dead letter again: {reason}")).red();
            line(&mut text, "now", format!("{again}: {}", printable(detail)));
        }
        Verdict::Unknown { detail } => {
            line(
                &mut text,
                "now",
                format!("{} {detail}", style("unknown:").yellow()),
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_cut_and_says_so() {
        let text = content("é".repeat(3000).as_bytes(), false);
        assert!(
            text.ends_with("  … 1904 bytes more: --full\n"),
            "{}",
            &text[text.len() - 60..]
        );
        assert!(!content("é".repeat(3000).as_bytes(), true).contains('…'));
        let binary = content(&[0xff; 600], false);
        assert_eq!(binary.lines().count(), MAX_BINARY / BYTES_A_LINE + 1);
    }

    #[test]
    fn what_is_no_text_is_dumped() {
        let expected = format!("  00000000  {:<48} .A..\n", "ff 41 00 1b");
        assert_eq!(content(&[0xff, b'A', 0, 0x1b], false), expected);
        assert_eq!(inline(Some(&[0xff, 0])), "0xff00");
        assert_eq!(inline(None), "null");
    }
}
