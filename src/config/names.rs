//! What Kafka accepts as a topic's name and Redis clients as a channel's.

/// Topics that Kafka keeps for itself.
const INTERNAL: [&str; 3] = ["__consumer_offsets", "__transaction_state", "__share_group_state"];

/// Why a name can't be a topic's; `None` when it can.
pub(super) fn topic_fault(name: &str) -> Option<String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() {
        return Some("the name is empty; write a topic's name".to_owned());
    }
    if let Some(wrong) = name.chars().find(|c| !legal(*c)) {
        return Some(format!(
            "`{}` is no topic name: it holds {wrong:?}; Kafka allows letters, digits, `.`, `_` and `-`",
            name.escape_debug()
        ));
    }
    if name.len() > 249 {
        return Some(format!(
            "the name has {} characters; Kafka allows 249",
            name.len()
        ));
    }
    if name == "." || name == ".." {
        return Some(format!("`{name}` is no topic name; Kafka reserves it"));
    }
    None
}

/// Whether the topic is one of Kafka's own.
pub(super) fn is_internal(name: &str) -> bool {
    INTERNAL.contains(&name)
}

/// Why a name can't be a channel's; `None` when it can.
pub(super) fn channel_fault(name: &str) -> Option<String> {
    if name.is_empty() {
        Some("the channel is empty; write a channel's name".to_owned())
    } else if name.len() > 512 {
        Some(format!(
            "the channel has {} bytes; at most 512 are allowed",
            name.len()
        ))
    } else if name.chars().any(char::is_control) {
        Some("the channel holds a control character; leave it out".to_owned())
    } else {
        None
    }
}
