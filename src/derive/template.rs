//! Channel templates as text: literal parts and placeholders.

/// The most bytes a channel may have.
pub const MAX_CHANNEL_BYTES: usize = 512;

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Text that goes into the channel as it is, braces already unescaped.
    Literal(String),
    /// The name between braces.
    Placeholder(String),
}

/// Splits a template at its placeholders; `{{` and `}}` are literal braces.
pub(super) fn parse(template: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        literal.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        let after = &rest[at + 1..];
        if let Some(doubled) = after.strip_prefix(brace) {
            literal.push_str(brace);
            rest = doubled;
            continue;
        }
        if brace == "}" {
            return Err(format!(
                "`{template}` has a `}}` that closes nothing; a literal brace is written `}}}}`"
            ));
        }
        let name = after.split_once('}').filter(|(name, _)| !name.contains('{'));
        let Some((name, after)) = name else {
            return Err(format!(
                "`{template}` has a `{{` that is never closed; a literal brace is written `{{{{`"
            ));
        };
        if !literal.is_empty() {
            pieces.push(Piece::Literal(std::mem::take(&mut literal)));
        }
        pieces.push(Piece::Placeholder(name.to_owned()));
        rest = after;
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    check_literals(template, &pieces)?;
    Ok(pieces)
}

/// What no value could mend is refused here instead of with every record.
fn check_literals(template: &str, pieces: &[Piece]) -> Result<(), String> {
    let literals = || {
        pieces.iter().filter_map(|piece| {
            if let Piece::Literal(text) = piece {
                Some(text)
            } else {
                None
            }
        })
    };
    let starts = matches!(pieces.first(), Some(Piece::Literal(text)) if text.starts_with(':'));
    let ends = matches!(pieces.last(), Some(Piece::Literal(text)) if text.ends_with(':'));
    if pieces.is_empty() || starts || ends || literals().any(|text| text.contains("::")) {
        return Err(format!(
            "`{template}` has an empty segment: something must stand before, between and after `:`"
        ));
    }
    if literals().any(|text| text.chars().any(char::is_control)) {
        return Err(format!("`{}` has a control character", template.escape_debug()));
    }
    if literals().map(String::len).sum::<usize>() > MAX_CHANNEL_BYTES {
        return Err(format!(
            "a channel may have at most {MAX_CHANNEL_BYTES} bytes; this template is longer by itself"
        ));
    }
    Ok(())
}
