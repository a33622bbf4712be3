//! Text that must not be seen: passwords and whatever comes near them.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// What stands in the place of a secret.
pub const MASK: &str = "********";

/// Text whose `Debug`, `Display` and serialised form are masked.
///
/// In the configuration it is a string, a number, a boolean, or `{ file = "…" }`, whose content is read when the
/// configuration is loaded.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    text: String,
    file: Option<PathBuf>,
}

impl Secret {
    /// A secret given as text.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            file: None,
        }
    }

    /// Reads a secret from a file and leaves out the line break at its end.
    pub(super) fn from_file(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("can't read the file `{}`: {error}", path.display()))?;
        let text = text
            .strip_suffix('\n')
            .map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
        Ok(Self {
            text: text.to_owned(),
            file: Some(path.to_owned()),
        })
    }

    /// The text itself: for the client that needs it, never for logs.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The file it was read from.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Serialize for Secret {
    /// Where it came from, or a mask; never the text.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.file {
            Some(file) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("file", file)?;
                map.end()
            }
            None => serializer.serialize_str(MASK),
        }
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SecretVisitor)
    }
}

struct SecretVisitor;

impl<'de> Visitor<'de> for SecretVisitor {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, a number, true or false, or { file = \"…\" }")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
        Ok(Secret::new(text))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Secret, E> {
        Ok(Secret::new(number.to_string()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Secret, E> {
        Ok(Secret::new(number.to_string()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Secret, E> {
        Ok(Secret::new(number.to_string()))
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Secret, E> {
        Ok(Secret::new(flag.to_string()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Secret, A::Error> {
        let mut file = None;
        while let Some(name) = map.next_key::<String>()? {
            if name != "file" {
                map.next_value::<IgnoredAny>()?;
                return Err(de::Error::custom(
                    "expected a value or { file = \"…\" } and nothing else in it",
                ));
            }
            file = Some(map.next_value::<PathBuf>()?);
        }
        let file =
            file.ok_or_else(|| de::Error::custom("is an empty table; write a value or { file = \"…\" }"))?;
        Secret::from_file(&file).map_err(de::Error::custom)
    }
}
