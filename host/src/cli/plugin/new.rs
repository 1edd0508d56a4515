//! `longshore plugin new`.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use clap::Args;

use crate::{
    cli::{error::CliError, exit::Exit, output::Output, say},
    plugin,
};

/// Writes a new plugin: an executor that works, with its tests
///
/// What it writes is a crate of its own, wherever it lies: an executor that runs each job's command as a
/// process, a test of what executors promise, a host's configuration to try it out with, and what
/// continuous integration has to do.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  $ longshore plugin new acme
  $ longshore plugin new acme --dir work/acme --api ../longshore/plugin-api")]
pub(super) struct New {
    /// The plugin's name: a letter, then letters, digits, `-` and `_`, all small.
    #[arg(value_name = "NAME")]
    name: String,
    /// The directory to make. By default it is named like the plugin.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Build against the plugin API in this directory, instead of a released one.
    #[arg(long, value_name = "PATH")]
    api: Option<PathBuf>,
}

/// Every file: its path, its text.
const FILES: &[(&str, &str)] = &[
    (".gitignore", include_str!("../../../templates/plugin/gitignore")),
    ("Cargo.toml", include_str!("../../../templates/plugin/Cargo.toml")),
    ("README.md", include_str!("../../../templates/plugin/README.md")),
    ("check.toml", include_str!("../../../templates/plugin/check.toml")),
    ("ci.sh", include_str!("../../../templates/plugin/ci.sh")),
    ("longshore.toml", include_str!("../../../templates/plugin/longshore.toml")),
    ("src/lib.rs", include_str!("../../../templates/plugin/src/lib.rs")),
    ("tests/conformance.rs", include_str!("../../../templates/plugin/tests/conformance.rs")),
];

/// What the plugin's package is called, as every plugin's: it is not part of the plugin's name.
const PREFIX: &str = "longshore-";

impl New {
    pub(super) fn run(self, output: &mut Output) -> Result<Exit, CliError> {
        let name = self.name.strip_prefix(PREFIX).unwrap_or(&self.name);
        check_name(name).map_err(|message| CliError::Input {
            what: format!("the name `{}`", self.name),
            message: message.to_owned(),
        })?;
        let api =
            self.api.as_deref().map_or_else(|| Ok("version = \"1\"".to_owned()), from_path)?;
        let dir = self.dir.unwrap_or_else(|| PathBuf::from(name));
        // Made here and nowhere else: what is there already is somebody's.
        fs::create_dir(&dir).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => CliError::Input {
                what: format!("`{}`", dir.display()),
                message: "it is there already; name another directory with --dir".to_owned(),
            },
            _ => CliError::System { step: format!("make `{}`", dir.display()), source },
        })?;
        let krate = format!("{PREFIX}{name}").replace('-', "_");
        let filled = |text: &str| {
            text.replace("{{name}}", name).replace("{{crate}}", &krate).replace("{{api}}", &api)
        };
        for (file, text) in FILES {
            if let Err(source) = write(&dir.join(file), &filled(text)) {
                // Half a crate would be in the way of the next try.
                let _ = fs::remove_dir_all(&dir);
                let step = format!("write `{}`", dir.join(file).display());
                return Err(CliError::System { step, source });
            }
        }
        output.line(dir.display())?;
        say::note(format_args!(
            "next, in there: `cargo build --release`, `cargo test --release`, \
             `longshore plugin check target/release/lib{krate}.so --with check.toml`"
        ));
        Ok(Exit::Success)
    }
}

/// A plugin's name that is a crate's name, too, behind the prefix.
fn check_name(name: &str) -> Result<(), &'static str> {
    if !plugin::is_name(name) || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Err("expected a letter, then up to 63 of a-z, 0-9, `-` and `_`");
    }
    if plugin::RESERVED.contains(&name) {
        return Err("the host's own log uses it; name the plugin after what it runs jobs on");
    }
    Ok(())
}

/// The dependency on the plugin API of a clone.
fn from_path(api: &Path) -> Result<String, CliError> {
    let found = fs::canonicalize(api).and_then(|api| {
        let manifest = fs::read_to_string(api.join("Cargo.toml"))?;
        Ok((api, manifest))
    });
    let (found, manifest) = found.map_err(|source| CliError::Unreadable {
        what: "the plugin API's manifest",
        path: api.join("Cargo.toml"),
        source,
    })?;
    if !manifest.contains("name = \"longshore-plugin-api\"") {
        return Err(CliError::Input {
            what: format!("`{}`", api.display()),
            message: "it is not longshore-plugin-api; name the directory `plugin-api` of a clone \
                      of Longshore"
                .to_owned(),
        });
    }
    Ok(format!("path = {}", toml::Value::from(found.display().to_string())))
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(above) = path.parent() {
        fs::create_dir_all(above)?;
    }
    fs::write(path, text)?;
    if text.starts_with("#!") {
        let mode = fs::metadata(path)?.permissions().mode();
        // Whoever may read it may run it.
        fs::set_permissions(path, fs::Permissions::from_mode(mode | (mode & 0o444) >> 2))?;
    }
    Ok(())
}
