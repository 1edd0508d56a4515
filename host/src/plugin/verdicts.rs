//! What became of a content when it was loaded the last time, beside its copy. A library that ends or
//! holds up its process does so again at each start; it is not asked again until something changes.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use longshore_plugin_api::wire::Description;
use serde::{Deserialize, Serialize};

use super::{
    copies,
    problem::{Code, PluginProblem},
    whole,
};
use crate::clock;

/// A library that was loaded and said what it is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Probed {
    pub(super) description: Description,
    /// How long loading it took.
    pub(super) took: Duration,
}

/// What became of it.
pub(super) type Verdict = Result<Probed, PluginProblem>;

/// The verdicts of one state directory.
#[derive(Clone, Debug)]
pub(super) struct Verdicts {
    root: PathBuf,
    /// Who judged. Another host may have been mended, so its verdicts say nothing.
    host: Option<String>,
}

/// As it stands in the file.
#[derive(Deserialize, Serialize)]
struct Record {
    host: String,
    verdict: Kept,
    /// Milliseconds UTC.
    at: i64,
    took_ms: u64,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kept {
    Loads(Box<Description>),
    Refused { code: String, plugin: Option<String>, message: String },
}

impl Verdicts {
    pub(super) fn below(state_dir: &Path) -> Self {
        Self::of_host(state_dir, host().ok())
    }

    fn of_host(state_dir: &Path, host: Option<String>) -> Self {
        Self { root: copies::root(state_dir), host }
    }

    /// The verdict of this host on this content, if there is one that can be read.
    pub(super) fn of(&self, digest: &str) -> Option<Verdict> {
        let record: Record = serde_json::from_slice(&fs::read(self.file(digest)).ok()?).ok()?;
        if Some(&record.host) != self.host.as_ref() {
            return None;
        }
        Some(match record.verdict {
            Kept::Loads(description) => Ok(Probed {
                description: *description,
                took: Duration::from_millis(record.took_ms),
            }),
            Kept::Refused { code, plugin, message } => {
                let name = plugin.as_deref().unwrap_or("NAME");
                let at = clock::utc(record.at);
                let message = format!(
                    "{message} at {at}; not tried again until the file or the host changes, or `longshore plugin release {name}`"
                );
                Err(PluginProblem { plugin, ..PluginProblem::new(Code::parse(&code)?, message) })
            }
        })
    }

    /// Remembers a verdict that will be the same the next time. That the dynamic linker or the layout
    /// check refused it is none of these: a library that was missing may be installed by then.
    /// Of a crash or a hang the message says what happened, up to "… while it was loaded".
    ///
    /// # Errors
    ///
    /// What the system says: then it is tried again, no more.
    pub(super) fn keep(&self, digest: &str, verdict: &Verdict) -> io::Result<()> {
        let Some(host) = self.host.clone() else { return Ok(()) };
        let (verdict, took) = match verdict {
            Ok(probed) => (Kept::Loads(Box::new(probed.description.clone())), probed.took),
            Err(PluginProblem {
                code: code @ (Code::Crashed | Code::Hung),
                plugin,
                message,
                ..
            }) => {
                let (code, plugin, message) = (code.to_string(), plugin.clone(), message.clone());
                (Kept::Refused { code, plugin, message }, Duration::ZERO)
            }
            Err(_) => return Ok(()),
        };
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let record = Record { host, verdict, at: clock::wall_ms(), took_ms };
        let file = self.file(digest);
        DirBuilder::new().recursive(true).mode(0o700).create(self.root.join(digest))?;
        whole::write(&file, 0o600, &serde_json::to_vec(&record)?)
    }

    /// Lets it be tried again.
    ///
    /// # Errors
    ///
    /// What the system says: then it is not tried again.
    pub(super) fn forget(&self, digest: &str) -> io::Result<()> {
        match fs::remove_file(self.file(digest)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn file(&self, digest: &str) -> PathBuf {
        self.root.join(digest).join("verdict.json")
    }
}

/// This host's version, and which build of it: size and time of its file.
fn host() -> io::Result<String> {
    let this = fs::metadata("/proc/self/exe")?;
    let (version, size) = (env!("CARGO_PKG_VERSION"), this.size());
    Ok(format!("{version} {size} {}.{:09}", this.mtime(), this.mtime_nsec()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tempfile::TempDir;

    use super::*;

    const DIGEST: &str = "aa";

    struct Bench {
        state: TempDir,
    }

    impl Bench {
        fn new() -> Self {
            Self { state: tempfile::tempdir().expect("a directory for the test") }
        }

        fn of_host(&self, host: &str) -> Verdicts {
            Verdicts::of_host(self.state.path(), Some(host.to_owned()))
        }
    }

    fn loads() -> Verdict {
        let description = Description {
            name: "noop".to_owned(),
            version: "0.1.0".to_owned(),
            vendor: String::new(),
            description: "does nothing".to_owned(),
            api: "1.0".to_owned(),
            config_schema: json!({"type": "object"}),
            options_schema: None,
        };
        Ok(Probed { description, took: Duration::from_millis(12) })
    }

    fn refused(code: Code) -> Verdict {
        let problem = PluginProblem::new(code, "died of SIGSEGV while it was loaded");
        Err(problem.plugin("noop"))
    }

    #[test]
    fn a_verdict_is_kept_for_this_very_host_and_content() {
        let bench = Bench::new();
        let verdicts = Verdicts::below(bench.state.path());
        assert!(verdicts.of(DIGEST).is_none());
        verdicts.keep(DIGEST, &loads()).expect("it is writable");
        let again = Verdicts::below(bench.state.path());
        let probed = again.of(DIGEST).expect("it is kept").expect("it loads");
        assert_eq!(Ok(probed), loads().map_err(|problem| problem.to_string()));
        assert!(again.of("bb").is_none(), "another content");
        assert!(bench.of_host("another").of(DIGEST).is_none(), "another host");
        assert!(host().expect("this runs").starts_with(env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn what_ended_its_process_is_not_tried_again_until_it_is_released() {
        let bench = Bench::new();
        let verdicts = bench.of_host("a");
        for code in [Code::Crashed, Code::Hung] {
            verdicts.keep(DIGEST, &refused(code)).expect("it is writable");
            let problem =
                verdicts.of(DIGEST).expect("it is kept").expect_err("it ends its process");
            assert_eq!(problem.code, code);
            let said = problem.to_string();
            let (before, after) = said.split_once(" at ").expect("it says when");
            assert_eq!(before, "plugin `noop`: died of SIGSEGV while it was loaded");
            assert!(
                after.ends_with(
                    " UTC; not tried again until the file or the host changes, or `longshore plugin \
                     release noop`"
                ),
                "{said}"
            );
        }
        verdicts.forget(DIGEST).expect("it is ours");
        assert!(verdicts.of(DIGEST).is_none());
        verdicts.forget(DIGEST).expect("there is nothing to forget");
    }

    #[test]
    fn what_the_machine_may_mend_is_tried_again() {
        let bench = Bench::new();
        let verdicts = bench.of_host("a");
        for code in [Code::Load, Code::Layout, Code::Runner] {
            verdicts.keep(DIGEST, &refused(code)).expect("there is nothing to write");
            assert!(verdicts.of(DIGEST).is_none(), "{code}");
        }
    }

    #[test]
    fn a_verdict_that_cannot_be_read_is_none() {
        let bench = Bench::new();
        let verdicts = bench.of_host("a");
        verdicts.keep(DIGEST, &loads()).expect("it is writable");
        let file = verdicts.file(DIGEST);
        let whole = fs::read_to_string(&file).expect("it is there");
        for content in
            ["", "{}", &whole[..whole.len() / 2], &whole.replace("\"loads\"", "\"flies\"")]
        {
            fs::write(&file, content).expect("it is writable");
            assert!(verdicts.of(DIGEST).is_none(), "{content}");
        }
        let unheard = json!({"host": "a", "at": 0, "took_ms": 0,
            "verdict": {"refused": {"code": "E_UNHEARD", "plugin": null, "message": ""}}});
        fs::write(&file, unheard.to_string()).expect("it is writable");
        assert!(verdicts.of(DIGEST).is_none());
    }

    #[test]
    fn verdicts_stay_and_go_with_their_copies() {
        let bench = Bench::new();
        let verdicts = bench.of_host("a");
        let [kept, gone] = ["a", "b"].map(|c| c.repeat(64));
        for digest in [&kept, &gone] {
            verdicts.keep(digest, &loads()).expect("it is writable");
        }
        copies::Copies::below(bench.state.path()).prune(&[&kept]);
        assert!(verdicts.of(&kept).is_some() && verdicts.of(&gone).is_none());
        let left = fs::read_dir(&verdicts.root).expect("it is there");
        assert_eq!(left.count(), 1, "and the directory of what is gone");
    }
}
