//! [`RouteSpec`] → [`Route`], collecting every problem instead of stopping at the first.

use super::channel::{Channel, Part};
use super::envelope::Needed;
use super::notification::Field;
use super::pass_on::prefix;
use super::route::MAX_CHANNELS;
use super::selector::Selector;
use super::source::Documents;
use super::template::{self, Piece};
use super::{Route, RouteProblem, RouteSpec};

const DEFAULT_CHANNEL: &str = "events:{source_type}:{source_id}";

/// Names that a notification has anyway.
pub const RESERVED_FIELDS: [&str; 4] = ["id", "type", "source_id", "replayed"];

/// Placeholders that would make one channel per event.
const PER_EVENT: [&str; 4] = ["id", "offset", "coordinates", "timestamp"];

/// The selectors of one route, parsed.
struct Selectors<'s> {
    id: Selector,
    kind: Selector,
    source_type: Selector,
    source_id: Selector,
    fields: Vec<(&'s str, Selector)>,
}

/// Compiles one route.
#[derive(Default)]
pub(super) struct Compiler {
    documents: Documents,
    problems: Vec<RouteProblem>,
}

impl Compiler {
    /// Compiles `spec` with these extra fields, written in their order.
    pub(super) fn route<'s>(
        mut self,
        spec: &'s RouteSpec,
        fields: impl IntoIterator<Item = (&'s str, &'s str)>,
    ) -> Result<Route, Vec<RouteProblem>> {
        let text = |text: &'s Option<String>, default: &'static str| text.as_deref().unwrap_or(default);
        let (id, kind) = (text(&spec.id, "/id"), text(&spec.r#type, "/type"));
        let (source_type, source_id) = (
            text(&spec.source_type, "/source_type"),
            text(&spec.source_id, "/source_id"),
        );
        if spec.filter.is_some() {
            self.problem(
                "filter",
                "filters are reserved for a later version; remove it".to_owned(),
            );
        }
        let selectors = Selectors {
            id: self.selector("id", id),
            kind: self.selector("type", kind),
            source_type: self.selector("source_type", source_type),
            source_id: self.selector("source_id", source_id),
            fields: self.fields(fields),
        };
        let channels = self.channels(spec.channels.as_deref(), &selectors);
        let uses_source_type = channels
            .iter()
            .flat_map(|c: &Channel| &c.parts)
            .any(|part| matches!(part, Part::SourceType));
        let route = Route {
            id: self.needed("id", id, &selectors.id),
            kind: self.needed("type", kind, &selectors.kind),
            source_type: uses_source_type
                .then(|| self.needed("source_type", source_type, &selectors.source_type)),
            source_id: self.needed("source_id", source_id, &selectors.source_id),
            fields: selectors
                .fields
                .iter()
                .map(|(name, selector)| self.field(name, selector))
                .collect(),
            channels,
            documents: self.documents,
        };
        if self.problems.is_empty() {
            Ok(route)
        } else {
            Err(self.problems)
        }
    }

    fn problem(&mut self, key: impl Into<String>, message: String) {
        self.problems.push(RouteProblem {
            route: None,
            key: key.into(),
            message,
        });
    }

    /// Parses a selector. After a bad one, whose problem is noted, one that equals no other serves to go on.
    fn selector(&mut self, key: &str, text: &str) -> Selector {
        let parsed = Selector::parse(text).and_then(|selector| match selector {
            Selector::Coordinates if key != "id" => {
                Err(format!("`coordinates` serves `id` alone, not `{key}`"))
            }
            selector => Ok(selector),
        });
        parsed.unwrap_or_else(|message| {
            self.problem(key, message);
            Selector::Literal(format!("unusable {key}"))
        })
    }

    fn fields<'s>(
        &mut self,
        fields: impl IntoIterator<Item = (&'s str, &'s str)>,
    ) -> Vec<(&'s str, Selector)> {
        let mut parsed = Vec::new();
        for (name, text) in fields {
            let key = format!("fields.{name}");
            let selector = self.selector(&key, text);
            if RESERVED_FIELDS.contains(&name) {
                self.problem(
                    key,
                    format!("every notification has its own `{name}`; choose another name"),
                );
            } else if name.is_empty() {
                self.problem(key, "a field needs a name".to_owned());
            } else {
                parsed.push((name, selector));
            }
        }
        parsed
    }

    fn needed(&mut self, name: &str, text: &str, selector: &Selector) -> Needed {
        Needed {
            source: self.documents.source(selector),
            label: format!("{name} (`{text}`)"),
        }
    }

    fn field(&mut self, name: &str, selector: &Selector) -> Field {
        Field {
            prefix: prefix(name),
            source: self.documents.source(selector),
        }
    }

    fn channels(&mut self, templates: Option<&[String]>, selectors: &Selectors<'_>) -> Vec<Channel> {
        let default = [DEFAULT_CHANNEL.to_owned()];
        let templates = templates.unwrap_or(&default);
        if templates.is_empty() {
            self.problem("channels", "at least one channel is needed".to_owned());
        } else if templates.len() > MAX_CHANNELS {
            let message = format!(
                "a record may go to at most {MAX_CHANNELS} channels; these are {}",
                templates.len()
            );
            self.problem("channels", message);
        }
        let mut channels = Vec::new();
        for (index, template) in templates.iter().enumerate() {
            if templates[..index].contains(template) {
                self.problem("channels", format!("`{template}` is there twice"));
                continue;
            }
            match self.channel(template, selectors) {
                Ok(channel) => channels.push(channel),
                Err(message) => self.problem("channels", message),
            }
        }
        channels
    }

    fn channel(&mut self, template: &str, selectors: &Selectors<'_>) -> Result<Channel, String> {
        let pieces = template::parse(template)?;
        let parts = pieces.into_iter().map(|piece| match piece {
            Piece::Literal(text) => Ok(Part::Literal(text)),
            Piece::Placeholder(name) => self.part(template, &name, selectors),
        });
        Ok(Channel {
            template: template.to_owned(),
            parts: parts.collect::<Result<_, _>>()?,
        })
    }

    fn part(&mut self, template: &str, name: &str, selectors: &Selectors<'_>) -> Result<Part, String> {
        let selector = selectors.placeholder(template, name)?;
        if selector.is_per_record() {
            return Err(per_event(template, name, "differs for every record"));
        }
        if *selector == selectors.id {
            return Err(per_event(
                template,
                name,
                "comes from the same selector as the id",
            ));
        }
        Ok(match name {
            "type" => Part::Type,
            "source_type" => Part::SourceType,
            "source_id" => Part::SourceId,
            _ => Part::Other(Needed {
                source: self.documents.source(selector),
                label: format!("{{{name}}}"),
            }),
        })
    }
}

impl Selectors<'_> {
    /// The selector behind a placeholder.
    fn placeholder(&self, template: &str, name: &str) -> Result<&Selector, String> {
        if PER_EVENT.contains(&name) {
            return Err(per_event(template, name, "differs for every record"));
        }
        let field = self
            .fields
            .iter()
            .find(|(field, _)| *field == name)
            .map(|(_, selector)| selector);
        let own = match name {
            "type" => Some(&self.kind),
            "source_type" => Some(&self.source_type),
            "source_id" => Some(&self.source_id),
            "topic" => Some(&Selector::Topic),
            "partition" => Some(&Selector::Partition),
            "key" => Some(&Selector::Key),
            _ => None,
        };
        match (own, field) {
            (Some(own), Some(field)) if own != field => Err(format!(
                "`{template}`: {{{name}}} could be the placeholder of that name or the field; rename the field"
            )),
            (Some(selector), _) | (None, Some(selector)) => Ok(selector),
            (None, None) => Err(self.unknown(template, name)),
        }
    }

    fn unknown(&self, template: &str, name: &str) -> String {
        let own = ["type", "source_type", "source_id", "topic", "partition", "key"];
        let known = own.into_iter().chain(self.fields.iter().map(|(field, _)| *field));
        let known: Vec<_> = known.map(|name| format!("{{{name}}}")).collect();
        format!(
            "`{template}`: {{{name}}} is not a placeholder; known are {}",
            known.join(", ")
        )
    }
}

fn per_event(template: &str, name: &str, why: &str) -> String {
    format!(
        "`{template}`: {{{name}}} {why}, which makes one channel per event, and nobody can subscribe to a channel \
         before its event happens; name the source instead, as in `{DEFAULT_CHANNEL}`, and let receivers take the \
         id from the notification"
    )
}
