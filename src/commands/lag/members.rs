//! Who owns which partition: the members of the group as its coordinator describes them.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;

/// A member of the group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// As the coordinator named it, or as it did so itself with the newer protocol.
    pub member_id: String,
    /// As it named itself.
    pub client_id: String,
    /// Where it connects from.
    pub host: String,
}

impl Member {
    /// For a table: what tells copies apart, and where they are.
    pub fn short(&self) -> String {
        // A UUID, behind the client's own name with the older protocol; its beginning is enough for people.
        let (separator, id) = match self.member_id.strip_prefix(&*self.client_id) {
            Some(suffix) => ("", suffix),
            None => ("-", &*self.member_id),
        };
        let id: String = id.chars().take(9 - separator.len()).collect();
        format!("{}{separator}{id} {}", self.client_id, self.host)
    }
}

/// The group as its coordinator describes it.
#[derive(Debug, Default)]
pub struct Members {
    /// `Stable`, `Empty`, `PreparingRebalance`, …; empty when nobody could be asked.
    pub state: String,
    /// How many there are.
    pub count: usize,
    owners: HashMap<(String, i32), Arc<Member>>,
}

impl Members {
    /// A group without members.
    pub fn new(state: String) -> Self {
        Self {
            state,
            ..Self::default()
        }
    }

    /// One more, with its partitions.
    pub fn add(&mut self, member: Member, partitions: impl IntoIterator<Item = (String, i32)>) {
        self.count += 1;
        let member = Arc::new(member);
        let partitions = partitions.into_iter();
        self.owners
            .extend(partitions.map(|partition| (partition, Arc::clone(&member))));
    }

    /// Who owns a partition.
    pub fn owner(&self, topic: &str, partition: i32) -> Option<Arc<Member>> {
        self.owners.get(&(topic.to_owned(), partition)).map(Arc::clone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_shows_what_tells_copies_apart() {
        let short = |member_id: &str| {
            let member = Member {
                member_id: member_id.to_owned(),
                client_id: "rdkafka".to_owned(),
                host: "10.0.0.1".to_owned(),
            };
            member.short()
        };
        assert_eq!(short("rdkafka-0123abcd-e5"), "rdkafka-0123abcd 10.0.0.1");
        assert_eq!(short("0123abcdQQ"), "rdkafka-0123abcd 10.0.0.1");
    }
}
