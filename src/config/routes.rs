//! `[[routes]]`: compiled by [`crate::derive`]; here their problems get file and line.

use std::collections::BTreeMap;

use serde::ser::{Serialize, Serializer};

use crate::derive::{RouteSpec, Router};

use super::problem::Problems;

/// Checks that every route compiles and that every named topic has one.
pub(super) fn check(topics: &[String], routes: &[RouteSpec], problems: &mut Problems) {
    for (n, route) in routes.iter().enumerate() {
        if route.filter.is_some() {
            let message = "is reserved for a later version; leave it out";
            problems.add(&format!("routes[{n}].filter"), message);
        }
    }
    // With a part of the routes or topics refused, what the others lack can't be told.
    if problems.any_broken_under("routes") || problems.any_broken_under("kafka.topics") {
        return;
    }
    for fault in Router::compile(topics, routes).err().unwrap_or_default() {
        let key = match fault.route {
            _ if fault.key == "filter" => continue,
            None => fault.key,
            Some(n) if fault.key.is_empty() => format!("routes[{n}]"),
            Some(n) => format!("routes[{n}].{}", fault.key),
        };
        problems.add(&key, fault.message);
    }
}

/// A route as it is printed: with all keys that are set.
#[derive(serde::Serialize)]
struct Shown<'a> {
    topics: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channels: Option<&'a [String]>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    fields: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<&'a toml::Value>,
}

/// `#[serde(serialize_with)]` for routes.
pub(super) fn serialize<S: Serializer>(routes: &[RouteSpec], serializer: S) -> Result<S::Ok, S::Error> {
    let shown = routes.iter().map(|route| {
        // In full, so that a new key can't be forgotten here.
        let RouteSpec {
            topics,
            id,
            r#type,
            source_type,
            source_id,
            channels,
            fields,
            filter,
        } = route;
        Shown {
            topics,
            id: id.as_deref(),
            r#type: r#type.as_deref(),
            source_type: source_type.as_deref(),
            source_id: source_id.as_deref(),
            channels: channels.as_deref(),
            fields,
            filter: filter.as_ref(),
        }
    });
    shown.collect::<Vec<_>>().serialize(serializer)
}
