//! A directory of its own in which commands are typed.

use std::{
    fmt, fs,
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::host::Scripted;

/// An admin token.
pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef";

pub(crate) struct Desk {
    directory: TempDir,
}

/// What came back.
pub(crate) struct Said {
    typed: String,
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn file(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn copy(&self, from: &str, name: &str) {
        fs::copy(from, self.path(name)).unwrap();
    }

    pub(crate) fn configure(&self, text: &str) {
        self.file("longshore.toml", text);
    }

    /// What a host leaves at its first start.
    pub(crate) fn admin_token(&self) {
        fs::create_dir_all(self.path("state")).unwrap();
        let path = self.path("state/admin-token");
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .unwrap();
        std::io::Write::write_all(&mut file, TOKEN.as_bytes()).unwrap();
    }

    /// The command, in this directory, with nothing of the tester's environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("COLUMNS", "100")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        self.said(self.command(arguments), arguments)
    }

    /// Runs it against that host.
    pub(crate) fn ask(&self, host: &Scripted, arguments: &[&str]) -> Said {
        let mut command = self.command(arguments);
        command.env("LONGSHORE_URL", host.url()).env("LONGSHORE_TOKEN", TOKEN);
        self.said(command, arguments)
    }

    fn said(&self, mut command: Command, arguments: &[&str]) -> Said {
        let output = command.output().unwrap();
        let directory = self.directory.path().to_str().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap().replace(directory, "[DIR]");
        Said {
            typed: arguments.join(" "),
            code: output.status.code().expect("it ends by itself"),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { typed, code, stdout, stderr } = self;
        write!(
            f,
            "$ longshore {typed}\nexit code: {code}\n----- stdout -----\n{stdout}----- stderr -----\n{stderr}"
        )
    }
}

/// Compares what is said with what was agreed on.
pub(crate) fn agreed(name: &str, said: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots/cli");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, said));
}
