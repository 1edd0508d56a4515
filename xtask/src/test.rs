//! Everything that must hold before a change lands. Each step says what it needs; a step that cannot
//! run fails.

use std::{process::Command, time::Instant};

use crate::run::{Done, cargo, root, run, target};

type Step = (&'static str, fn() -> Done);

const STEPS: &[Step] = &[
    ("needs", needs),
    ("format", || run(cargo().args(["fmt", "--all", "--check"]))),
    ("deny", deny),
    ("build", || run(cargo().args(["build", "--workspace"]))),
    ("lint", || {
        run(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
    }),
    ("docs", || {
        run(cargo().args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
    }),
    ("readme", readme),
    ("python", python),
    ("rust", || run(cargo().args(["test", "--workspace"]))),
];

pub(crate) fn test(names: &[&str]) -> Done {
    if let Some(unknown) = names.iter().find(|name| !STEPS.iter().any(|(step, _)| step == *name)) {
        let known: Vec<_> = STEPS.iter().map(|(name, _)| *name).collect();
        return Err(format!("no step `{unknown}`; there are {}", known.join(", ")));
    }
    let mut times = Vec::new();
    for (name, step) in STEPS.iter().filter(|(name, _)| names.is_empty() || names.contains(name)) {
        println!("\n=== {name}");
        #[expect(clippy::disallowed_methods, reason = "how long a step took, for people")]
        let began = Instant::now();
        step().map_err(|problem| format!("step `{name}` failed: {problem}"))?;
        times.push(format!("{name} {:.0} s", began.elapsed().as_secs_f64()));
    }
    println!("\nall passed: {}", times.join(", "));
    Ok(())
}

/// What the tests use besides Rust: said at once, by name, instead of somewhere in the middle.
fn needs() -> Done {
    let probes: &[(&str, &[&str], &str)] = &[
        ("cc", &["--version"], "a C compiler: apt-get install build-essential"),
        (
            "python3",
            &["-c", "import venv, ensurepip, sys; sys.exit(sys.version_info < (3, 9))"],
            "Python 3.9 or newer with venv: apt-get install python3-venv",
        ),
        ("sqlite3", &["--version"], "the SQLite shell: apt-get install sqlite3"),
        ("git", &["--version"], "git: apt-get install git"),
        ("unshare", &["--version"], "unshare, mount and setsid: apt-get install util-linux"),
        ("cargo", &["fmt", "--version"], "rustfmt: rustup component add rustfmt"),
        ("cargo", &["clippy", "--version"], "clippy: rustup component add clippy"),
        ("cargo-deny", &["--version"], "cargo-deny: cargo install --locked cargo-deny"),
    ];
    let missing: Vec<_> = probes
        .iter()
        .filter(|(program, arguments, _)| {
            let status =
                Command::new(program).args(*arguments).stdout(std::process::Stdio::null()).status();
            !status.is_ok_and(|status| status.success())
        })
        .map(|(_, _, what)| *what)
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(format!("the tests need\n  {}", missing.join("\n  ")))
    }
}

/// Without the advisories, whose database not every machine can reach: see `deny.toml`.
fn deny() -> Done {
    run(cargo().args(["deny", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"]))
}

fn python() -> Done {
    let sdk = root().join("sdk/python");
    // From above `tests`, as a reader of the package would: the tests are a package of their own.
    let unittest = |directory: &str| {
        run(Command::new("python3")
            .args(["-m", "unittest", "discover", "-s", "tests", "-t", "."])
            .current_dir(root().join(directory))
            .env("PYTHONPATH", &sdk)
            .env("PYTHONDONTWRITEBYTECODE", "1"))
    };
    unittest("sdk/python")?;
    unittest("examples/scoring")?;
    types()
}

/// The types that the SDK promises, and that its tests use it so. `mypy` is installed once, beside what
/// cargo builds; one version of it, which still knows the oldest Python that the SDK runs on: what passed
/// yesterday passes today.
fn types() -> Done {
    const MYPY: &str = "mypy==1.19.1";
    let venv = target().join(MYPY);
    let mypy = venv.join("bin/mypy");
    // pip writes it last: half an installation is made again.
    if !mypy.exists() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
        run(Command::new(venv.join("bin/python")).args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            MYPY,
        ]))?;
    }
    run(Command::new(mypy)
        .args(["--strict", "--cache-dir"])
        .arg(venv.join("cache"))
        .args(["longshore", "tests"])
        .current_dir(root().join("sdk/python")))
}

/// The README's commands, in a fresh clone of what is committed, in an empty folder.
fn readme() -> Done {
    run(Command::new("bash").arg(root().join("tests/readme.sh")).current_dir(root()))
}
