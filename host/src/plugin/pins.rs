//! `plugins.lock`: which contents of a plugin are meant. It catches what no header shows, a flipped bit
//! and a swapped file alike, and it is checked before anything of the file is kept or run.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    problem::{Code, PluginProblem},
    whole,
};

/// The pins of one file.
#[derive(Clone, Debug, Default)]
pub struct Pins {
    file: PathBuf,
    required: bool,
    plugins: BTreeMap<String, Pin>,
    /// Why the file cannot be read: then nothing is used that it might forbid.
    broken: Option<String>,
}

/// What one plugin may be.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// The plugin's name.
    pub name: String,
    /// The version that was last locked; for people.
    pub version: String,
    /// The contents that may be used, newest first: SHA-256 in hexadecimal. Several, so that the next
    /// version can be pinned before it is there.
    pub sha256: Vec<String>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct LockFile {
    #[serde(default)]
    plugin: Vec<Pin>,
}

impl Pins {
    /// Reads the file; one that is not there pins nothing. `required` refuses what is not in it.
    #[must_use]
    pub fn read(file: &Path, required: bool) -> Self {
        let mut pins = Self { file: file.to_owned(), required, ..Self::default() };
        match fs::read_to_string(file) {
            Ok(text) => match toml::from_str::<LockFile>(&text) {
                Ok(locked) => {
                    let named = locked.plugin.into_iter().map(|pin| (pin.name.clone(), pin));
                    pins.plugins = named.collect();
                }
                Err(error) => pins.broken = Some(error.message().to_owned()),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => pins.broken = Some(error.to_string()),
        }
        pins
    }

    /// What is pinned, by name.
    #[must_use]
    pub const fn plugins(&self) -> &BTreeMap<String, Pin> {
        &self.plugins
    }

    /// Why the file cannot be read.
    #[must_use]
    pub fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    /// Pins this content too, as the newest of its plugin. With `keep` the others stay.
    pub fn lock(&mut self, name: &str, version: &str, digest: &str, keep: bool) {
        let older = self.plugins.remove(name).map(|pin| pin.sha256).unwrap_or_default();
        let older = older.into_iter().filter(|other| keep && other != digest);
        let pin = Pin {
            name: name.to_owned(),
            version: version.to_owned(),
            sha256: [digest.to_owned()].into_iter().chain(older).collect(),
        };
        self.plugins.insert(pin.name.clone(), pin);
    }

    /// Writes the file, all of it or nothing.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn write(&self) -> io::Result<()> {
        let locked = LockFile { plugin: self.plugins.values().cloned().collect() };
        let text = toml::to_string(&locked).map_err(io::Error::other)?;
        let text = format!("# Written by `longshore plugin lock`.\n\n{text}");
        whole::write(&self.file, 0o644, text.as_bytes())
    }

    pub(super) fn check(&self, name: &str, digest: &str) -> Result<(), PluginProblem> {
        let (file, lock) = (self.file.display(), "if it is meant, run `longshore plugin lock`");
        if let Some(why) = &self.broken {
            let message = format!(
                "`{file}` cannot be read ({why}), so nobody knows what may be used; mend or remove it"
            );
            return Err(PluginProblem::new(Code::Pin, message));
        }
        match self.plugins.get(name) {
            Some(pin) if pin.sha256.iter().any(|pinned| pinned == digest) => Ok(()),
            Some(pin) => {
                let pinned = pin.sha256.join(" or ");
                let message = format!(
                    "its content is {digest}, and `{file}` allows {pinned} (version {}); {lock}",
                    pin.version
                );
                Err(PluginProblem::new(Code::Pin, message))
            }
            None if self.required => {
                let message =
                    format!("it is not in `{file}`, and `plugins.require_pins` is set; {lock}");
                Err(PluginProblem::new(Code::Unpinned, message))
            }
            None => Ok(()),
        }
    }
}
