//! A route as it is written in the configuration: plain text, not yet compiled.

use std::collections::BTreeMap;

use serde::Deserialize;

/// One `[[routes]]` entry. [`super::Route::compile`] turns it into something that can serve records.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteSpec {
    /// Topics it serves: names, or regular expressions that start with `^`.
    pub topics: Vec<String>,
    /// Selector of the notification's `id`.
    pub id: Option<String>,
    /// Selector of the notification's `type`.
    pub r#type: Option<String>,
    /// Selector of `source_type`, a placeholder of channel templates.
    pub source_type: Option<String>,
    /// Selector of `source_id`.
    pub source_id: Option<String>,
    /// Channel templates; one record goes to all of them.
    pub channels: Option<Vec<String>>,
    /// Extra fields of the notification: name → selector.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
    /// Reserved for a filter expression; refused until there is one.
    pub filter: Option<toml::Value>,
}
