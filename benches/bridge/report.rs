//! What a run found out: the JSON file.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Fallible;
use crate::environment::Environment;
use crate::{drain, idle, latency, memory};

/// Everything. A scenario that did not run has no rows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    pub environment: Environment,
    #[serde(default)]
    pub drain: Vec<drain::Row>,
    #[serde(default)]
    pub latency: Vec<latency::Row>,
    #[serde(default)]
    pub memory: Vec<memory::Row>,
    #[serde(default)]
    pub idle: Vec<idle::Row>,
    #[serde(default)]
    pub targets: Vec<crate::targets::Target>,
}

impl Report {
    /// Reads a file.
    pub fn read(path: &Path) -> Fallible<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?)
    }

    /// Writes a file, and its folder.
    pub fn write(&self, path: &Path) -> Fallible<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        Ok(std::fs::write(path, serde_json::to_string_pretty(self)? + "\n")?)
    }

    /// A name that sorts by time, in the folder for what is built.
    pub fn default_file(&self) -> PathBuf {
        let time = self.environment.date.strftime("%Y%m%dT%H%M%SZ");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench");
        folder.join(format!("{time}.json"))
    }
}
