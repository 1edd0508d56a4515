//! Lists the files of the Python package, so that they travel in the binary.

use std::{env, fs, path::Path};

fn main() {
    let package = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("set by cargo"))
        .join("../sdk/python/longshore");
    println!("cargo:rerun-if-changed={}", package.display());
    let mut names: Vec<String> = fs::read_dir(&package)
        .expect("the Python package is part of the repository")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".py") || name == "py.typed")
        .collect();
    names.sort();
    let rows: String = names
        .iter()
        .map(|name| format!("(\"longshore/{name}\", include_str!({:?})),\n", package.join(name)))
        .collect();
    let text = format!(
        "/// The files of the package, by name.\nconst FILES: &[(&str, &str)] = &[\n{rows}];\n"
    );
    fs::write(Path::new(&env::var("OUT_DIR").expect("set by cargo")).join("sdk_files.rs"), text)
        .expect("cargo's own directory is writable");
}
