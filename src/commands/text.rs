//! What people read: text that is safe to print, and tables.

use std::borrow::Cow;

use comfy_table::{Cell, ContentArrangement, Table, presets};

/// Anybody may write anything into a record or a message: nothing of it may command the terminal.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(char::is_control) {
        return Cow::Borrowed(text);
    }
    let escape = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    Cow::Owned(text.chars().map(escape).collect())
}

/// Where the terminal doesn't say how wide it is.
const WIDTH: u16 = 120;

/// A table without rules, as wide as the terminal.
pub fn table(titles: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(titles.iter().map(Cell::new));
    if table.width() == Some(0) {
        table.set_width(WIDTH);
    }
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_can_not_command_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\\n");
        assert_eq!(printable("é→"), "é→");
    }
}
