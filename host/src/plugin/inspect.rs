//! `longshore plugin inspect`: what can be known of a file without running it.

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use longshore_plugin_api::note::Note;
use serde::Serialize;
use serde_json::Value;

use super::{
    file,
    linking::{Linking, linking},
    pins::Pins,
    preflight,
    problem::{PluginProblem, shown},
    verdicts::Verdicts,
    walk::{Passed, Trust},
};

/// What is known of a plugin's file.
#[derive(Debug, Serialize)]
pub struct Inspection {
    /// SHA-256 of the file, in hexadecimal.
    pub digest: String,
    /// Its size.
    pub bytes: usize,
    /// What it says of itself.
    pub note: Note<'static>,
    /// Why this host would not load it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<PluginProblem>,
    /// The libraries that it needs, as the dynamic linker will look for them.
    pub needed: Vec<String>,
    /// The oldest glibc that has all it needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub glibc: Option<String>,
    /// What it exports: a Rust plugin exports one symbol.
    pub exports: Vec<String>,
    /// Whether only a process of its own may run it: a panic in it ends its process.
    pub needs_process: bool,
    /// Every directory on the way to the file, from the root, those of symbolic links included; last
    /// the file itself.
    pub way: Vec<Step>,
    /// What the lock file says of this content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin: Option<PinState>,
    /// JSON Schema of its settings, if the host has loaded this content before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_schema: Option<Value>,
}

/// What decides who may put another file in the place of this one.
#[derive(Debug, Serialize)]
pub struct Step {
    /// The directory or the file.
    #[serde(serialize_with = "shown")]
    pub path: PathBuf,
    /// Its owner's id.
    pub user: u32,
    /// Its group's id.
    pub group: u32,
    /// Its permissions, as `chmod` takes them: `0755`.
    pub mode: String,
    /// Whether only root and the user who looks may change it.
    pub trusted: bool,
}

/// What a lock file says of one content of one plugin.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PinState {
    /// It is the one that is meant, or one of them.
    Pinned,
    /// The file does not name the plugin, and need not.
    Unpinned,
    /// Another one is meant, or only named plugins are used, or the file cannot be read.
    Refused,
}

/// Looks at a file without loading it.
///
/// # Errors
///
/// Where it is no plugin of any host: then there is nothing to tell of it.
pub fn inspect(path: &Path) -> Result<Inspection, PluginProblem> {
    let (content, way) = file::survey(path)?;
    let note = preflight::read_note(&content.bytes).map_err(|problem| problem.file(path))?;
    let trust = Trust::own();
    let problem = way.iter().try_for_each(|passed| trust.check(passed)).err();
    let problem = problem.or_else(|| preflight::check(&content.bytes).err());
    // A library without section headers loads all the same; there is only less to tell.
    let linking = linking(&content.bytes).unwrap_or_default();
    let (bytes, digest) = (content.bytes.len(), content.digest);
    let Linking { needed, glibc, exports, .. } = linking;
    Ok(Inspection {
        digest,
        bytes,
        needs_process: preflight::unwinds(&note).is_err(),
        note,
        problem: problem.map(|problem| problem.file(path)),
        needed,
        glibc: glibc.map(|(major, minor)| format!("{major}.{minor}")),
        exports,
        way: way.iter().map(|passed| Step::of(passed, trust)).collect(),
        pin: None,
        config_schema: None,
    })
}

impl Inspection {
    /// Adds what these pins say of it.
    #[must_use]
    pub fn compare(mut self, pins: &Pins) -> Self {
        let name = &*self.note.name;
        let checked = pins.check(name, &self.digest);
        self.pin = Some(match &checked {
            Err(_) => PinState::Refused,
            Ok(()) if pins.plugins().contains_key(name) => PinState::Pinned,
            Ok(()) => PinState::Unpinned,
        });
        let refused = checked.map_err(|problem| problem.plugin(name));
        self.refuse(refused.err());
        self
    }

    /// Adds what the host of this state directory found when it loaded this content.
    #[must_use]
    pub fn recall(mut self, state_dir: &Path) -> Self {
        match Verdicts::below(state_dir).of(&self.digest) {
            Some(Ok(probed)) => self.config_schema = Some(probed.description.config_schema),
            Some(Err(problem)) => self.refuse(Some(problem)),
            None => {}
        }
        self
    }

    /// The first reason is the one that the host gives.
    fn refuse(&mut self, problem: Option<PluginProblem>) {
        let file = self.way.last().map(|step| &*step.path);
        let named = |problem: PluginProblem| match file {
            Some(file) => problem.file(file),
            None => problem,
        };
        self.problem = self.problem.take().or_else(|| problem.map(named));
    }
}

impl Step {
    fn of(passed: &Passed, trust: Trust) -> Self {
        let Passed { path, found } = passed;
        Self {
            path: path.clone(),
            user: found.uid(),
            group: found.gid(),
            mode: format!("{:04o}", found.mode() & 0o7777),
            trusted: trust.check(passed).is_ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, time::Duration};

    use longshore_plugin_api::wire::Description;
    use serde::Deserialize as _;
    use serde_json::json;

    use super::{
        super::{problem::Code, verdicts::Probed},
        *,
    };

    /// What is known of a file that is fine so far.
    fn inspection() -> Inspection {
        let note = json!({
            "note": 1, "name": "noop", "version": "0.1.0", "vendor": "", "api": "1.0",
            "min_host": "1.0", "abi_stable": "0.11", "async_ffi_abi": 2, "panic": "unwind",
            "target": "", "rustc": "", "profile": "debug",
        });
        let note: Note<'_> = Note::deserialize(note).expect("it is a note");
        Inspection {
            digest: "aa".to_owned(),
            bytes: 0,
            note,
            problem: None,
            needed: Vec::new(),
            glibc: None,
            exports: Vec::new(),
            needs_process: false,
            way: Vec::new(),
            pin: None,
            config_schema: None,
        }
    }

    #[test]
    fn settings_are_shown_once_a_host_has_loaded_the_content() {
        let state = tempfile::tempdir().expect("a directory for the test");
        assert_eq!(inspection().recall(state.path()).config_schema, None);
        let description: Description = serde_json::from_value(json!({
            "name": "noop", "version": "0.1.0", "api": "1.0", "config_schema": {"type": "object"},
        }))
        .expect("it is a description");
        let verdicts = Verdicts::below(state.path());
        let loads = Probed { description, took: Duration::from_millis(1) };
        verdicts.keep("aa", &Ok(loads)).expect("it is writable");
        let seen = inspection().recall(state.path());
        assert_eq!(seen.config_schema, Some(json!({"type": "object"})));
        assert!(seen.problem.is_none());

        let crashed = PluginProblem::new(Code::Crashed, "died of SIGSEGV while it was loaded");
        verdicts.keep("aa", &Err(crashed.plugin("noop"))).expect("it is writable");
        let seen = inspection().recall(state.path());
        assert_eq!(seen.problem.map(|problem| problem.code), Some(Code::Crashed));
    }

    #[test]
    fn no_header_makes_the_readers_panic() {
        let whole = fs::read(env::current_exe().expect("this runs")).expect("it is readable");
        let mut bytes = whole.clone();
        let headers = whole.len().min(2048);
        for at in 4..headers {
            for value in [0x00, 0x01, 0x7f, 0x80, 0xff] {
                let was = std::mem::replace(&mut bytes[at], value);
                let _ = preflight::check(&bytes);
                let _ = linking(&bytes);
                bytes[at] = was;
            }
        }
        assert!(linking(&whole).is_ok_and(|linking| !linking.needed.is_empty()));
    }
}
