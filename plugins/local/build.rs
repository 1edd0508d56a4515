//! Puts the keeper and the Python package into the library, so that an operator installs one file.
//!
//! The keeper is built by a cargo of its own, in a target directory of its own: it must be static
//! and small, whatever profile the plugin is built with.

use std::{
    collections::hash_map::DefaultHasher,
    env, fs,
    hash::{Hash as _, Hasher as _},
    path::{Path, PathBuf},
    process::Command,
};

fn main() {
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let out = PathBuf::from(variable("OUT_DIR"));
    let root = here.join("../..").canonicalize().expect("the plugin stands in the workspace");

    let mut files = vec![("longshore-keeper".to_owned(), build_keeper(&root, &out))];
    let package = root.join("sdk/python");
    let mut modules = Vec::new();
    list_modules(&package.join("longshore"), &mut modules);
    // The order of a directory differs between machines; the digest must not.
    modules.sort();
    files.extend(modules.into_iter().map(|path| {
        let name = path.strip_prefix(&package).expect("listed below it");
        (format!("python/{}", name.display()), path)
    }));
    fs::write(out.join("bundle.rs"), bundle(&files)).expect("OUT_DIR is writable");

    for path in ["keeper/src", "keeper/Cargo.toml", "sdk/python/longshore", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(path).display());
    }
    println!("cargo::rerun-if-changed=build.rs");
}

fn build_keeper(root: &Path, out: &Path) -> PathBuf {
    let target = variable("TARGET");
    let target_dir = out.join("keeper");
    let mut cargo = Command::new(variable("CARGO"));
    // What the outer build was told about flags and directories is not meant for this one.
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        let told = ["CARGO_ENCODED_RUSTFLAGS", "CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR"];
        if name.starts_with("CARGO_PROFILE_") || told.contains(&&*name) {
            cargo.env_remove(&*name);
        }
    }
    let status = cargo
        // Static, so that it runs in any image; not position independent, because relocating it
        // would touch memory in every process.
        .env("RUSTFLAGS", "-C target-feature=+crt-static -C relocation-model=static")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .args(["build", "--release", "--locked", "--quiet", "--bin", "longshore-keeper"])
        .args(["--config", "profile.release.panic='abort'"])
        .args(["--config", "profile.release.opt-level='s'"])
        .args(["--config", "profile.release.lto=true"])
        .args(["--config", "profile.release.codegen-units=1"])
        .args(["--config", "profile.release.debug=false"])
        .args(["--config", "profile.release.strip=true"])
        .arg("--manifest-path")
        .arg(root.join("keeper/Cargo.toml"))
        .args(["--target", &target])
        .arg("--target-dir")
        .arg(&target_dir)
        .status()
        .expect("cargo runs build scripts, so it can be run");
    assert!(
        status.success(),
        "the keeper cannot be built, see above (hint: it is linked statically, which needs `libc.a`: on \
         Debian and Ubuntu from the package libc6-dev, on Fedora from glibc-static)"
    );
    target_dir.join(target).join("release/longshore-keeper")
}

fn list_modules(directory: &Path, modules: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.expect("the source tree is readable").path();
        if path.is_dir() {
            list_modules(&path, modules);
        } else if path.extension().is_some_and(|extension| extension == "py") {
            modules.push(path);
        }
    }
}

fn bundle(files: &[(String, PathBuf)]) -> String {
    let mut hasher = DefaultHasher::new();
    let mut listed = String::new();
    for (name, path) in files {
        name.hash(&mut hasher);
        fs::read(path).expect("the file was just listed").hash(&mut hasher);
        listed += &format!("    ({name:?}, include_bytes!({:?})),\n", path.display().to_string());
    }
    format!(
        "pub(super) const DIGEST: &str = \"{:016x}\";\n\
         pub(super) const FILES: &[(&str, &[u8])] = &[\n{listed}];\n",
        hasher.finish()
    )
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name} for build scripts"))
}
