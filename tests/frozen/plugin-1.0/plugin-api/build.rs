//! Records what this copy of the crate is built with, for the plugin's note.

use std::{env, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let of = |name: &str| env::var(name).unwrap_or_default();
    let rustc = Command::new(of("RUSTC")).arg("--version").output();
    let rustc = rustc.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned());
    println!("cargo::rustc-env=LONGSHORE_TARGET={}", of("TARGET"));
    println!("cargo::rustc-env=LONGSHORE_PROFILE={}", of("PROFILE"));
    println!("cargo::rustc-env=LONGSHORE_RUSTC={}", rustc.unwrap_or_default());
}
