//! Who owns which partition: the members of the group as the coordinator knows them.

use std::collections::HashMap;
use std::sync::Arc;

use rdkafka::groups::GroupList;
use serde::Serialize;

/// A member of the group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// As the coordinator named it.
    pub member_id: String,
    /// As it named itself.
    pub client_id: String,
    /// Where it connects from.
    pub host: String,
}

impl Member {
    /// For a table: what tells copies apart, and where they are.
    pub fn short(&self) -> String {
        // The coordinator appends a UUID to the client's own name; its beginning is enough for people.
        let suffix = self.member_id.strip_prefix(&*self.client_id).unwrap_or_default();
        let suffix: String = suffix.chars().take(9).collect();
        format!("{}{suffix} {}", self.client_id, self.host)
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
    /// What the coordinator has answered.
    pub fn of(groups: &GroupList) -> Self {
        let mut members = Self::default();
        for group in groups.groups() {
            group.state().clone_into(&mut members.state);
            for info in group.members() {
                members.count += 1;
                let member = Arc::new(Member {
                    member_id: info.id().to_owned(),
                    client_id: info.client_id().to_owned(),
                    host: info.client_host().trim_start_matches('/').to_owned(),
                });
                for partition in info.assignment().and_then(assigned).unwrap_or_default() {
                    members.owners.insert(partition, Arc::clone(&member));
                }
            }
        }
        members
    }

    /// Who owns a partition.
    pub fn owner(&self, topic: &str, partition: i32) -> Option<Arc<Member>> {
        self.owners.get(&(topic.to_owned(), partition)).map(Arc::clone)
    }
}

/// The partitions in an assignment of Kafka's consumer protocol: a version, then for each topic its name and its
/// partitions, then whatever the assignor adds. `None` when it isn't one.
fn assigned(assignment: &[u8]) -> Option<Vec<(String, i32)>> {
    let mut bytes = Bytes(assignment);
    let _version = bytes.int16()?;
    let mut partitions = Vec::new();
    for _ in 0..bytes.int32()? {
        let length = usize::try_from(bytes.int16()?).ok()?;
        let topic = std::str::from_utf8(bytes.take(length)?).ok()?.to_owned();
        for _ in 0..bytes.int32()? {
            partitions.push((topic.clone(), bytes.int32()?));
        }
    }
    Some(partitions)
}

/// What is left to read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn int16(&mut self) -> Option<i16> {
        self.take(2)?.try_into().ok().map(i16::from_be_bytes)
    }

    fn int32(&mut self) -> Option<i32> {
        self.take(4)?.try_into().ok().map(i32::from_be_bytes)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(topics: &[(&str, &[i32])]) -> Vec<u8> {
        let mut bytes = vec![0, 1];
        bytes.extend(i32::try_from(topics.len()).unwrap().to_be_bytes());
        for (topic, partitions) in topics {
            bytes.extend(i16::try_from(topic.len()).unwrap().to_be_bytes());
            bytes.extend(topic.as_bytes());
            bytes.extend(i32::try_from(partitions.len()).unwrap().to_be_bytes());
            partitions
                .iter()
                .for_each(|partition| bytes.extend(partition.to_be_bytes()));
        }
        bytes.extend([255, 255, 255, 255]);
        bytes
    }

    #[test]
    fn an_assignment_names_topics_and_partitions() {
        let partitions = assigned(&encoded(&[("a", &[0, 7]), ("b.c", &[3])])).unwrap();
        let expected = [("a", 0), ("a", 7), ("b.c", 3)].map(|(topic, n)| (topic.to_owned(), n));
        assert_eq!(partitions, expected);
        assert_eq!(assigned(&encoded(&[])), Some(Vec::new()));
    }

    #[test]
    fn half_an_assignment_is_none() {
        let whole = encoded(&[("events", &[0, 1])]);
        assert!((0..whole.len() - 4).all(|length| assigned(&whole[..length]).is_none()));
    }

    proptest! {
        #[test]
        fn nothing_that_a_member_sends_does_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = assigned(&bytes);
        }
    }
}
