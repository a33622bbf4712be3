//! Which topics the service consumes.

/// `kafka.topics`, compiled.
#[derive(Debug, Clone)]
pub struct Topics {
    named: Vec<String>,
    expressions: Vec<regex::Regex>,
    dlq: String,
}

impl Topics {
    /// Names and expressions (which start with `^`), without the dead-letter topic.
    pub fn new(topics: &[String], dlq: &str) -> Result<Self, regex::Error> {
        let (expressions, named): (Vec<_>, Vec<_>) =
            topics.iter().cloned().partition(|topic| topic.starts_with('^'));
        let expressions = expressions
            .iter()
            .map(|e| regex::Regex::new(e))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            named,
            expressions,
            dlq: dlq.to_owned(),
        })
    }

    /// The topics that are named.
    pub fn named(&self) -> &[String] {
        &self.named
    }

    /// Whether it is one of them.
    pub fn is_named(&self, topic: &str) -> bool {
        self.named.iter().any(|name| name == topic)
    }

    /// The expressions. The dead-letter topic is never consumed, even where one matches it.
    pub fn expressions(&self) -> &[regex::Regex] {
        &self.expressions
    }

    /// Whether records of the topic are consumed.
    pub fn matches(&self, topic: &str) -> bool {
        topic != self.dlq && (self.is_named(topic) || self.expressions.iter().any(|e| e.is_match(topic)))
    }
}
