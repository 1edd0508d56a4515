//! The Python package that travels in the binary: the host asks it what modules declare.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

include!(concat!(env!("OUT_DIR"), "/sdk_files.rs"));

/// Writes the package below `state_dir`, once per content, and says where: a directory for
/// `PYTHONPATH`.
///
/// # Errors
///
/// The directory cannot be written.
pub fn unpack(state_dir: &Path) -> io::Result<PathBuf> {
    let mut digest = Sha256::new();
    for (name, text) in FILES {
        digest.update(name.as_bytes());
        digest.update(text.as_bytes());
    }
    let digest: String =
        digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let home = state_dir.join("sdk").join(&digest);
    if home.is_dir() {
        return Ok(home);
    }
    // Under a name of its own first: two starting processes each write a whole package.
    let draft = state_dir.join("sdk").join(format!("{digest}.{}", std::process::id()));
    for (name, text) in FILES {
        let path = draft.join(name);
        fs::create_dir_all(path.parent().unwrap_or(&draft))?;
        fs::write(path, text)?;
    }
    match fs::rename(&draft, &home) {
        Err(_) if home.is_dir() => fs::remove_dir_all(&draft)?,
        renamed => renamed?,
    }
    Ok(home)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_is_whole_and_written_once() {
        let directory = tempfile::tempdir().unwrap();
        let home = unpack(directory.path()).unwrap();
        assert!(home.join("longshore/describe.py").is_file());
        assert_eq!(unpack(directory.path()).unwrap(), home);
    }
}
