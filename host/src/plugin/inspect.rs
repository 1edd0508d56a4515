//! `longshore plugin inspect`: what can be known of a file without running it.

use std::path::Path;

use longshore_plugin_api::note::Note;
use serde::Serialize;

use super::{
    file,
    linking::{Linking, linking},
    preflight,
    problem::PluginProblem,
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
}

/// Looks at a file without loading it.
///
/// # Errors
///
/// Where it is no plugin of any host: then there is nothing to tell of it.
pub fn inspect(path: &Path) -> Result<Inspection, PluginProblem> {
    let content = file::read(path)?;
    let note = preflight::read_note(&content.bytes).map_err(|problem| problem.file(path))?;
    let problem = preflight::check(&content.bytes).err().map(|problem| problem.file(path));
    // A library without section headers loads all the same; there is only less to tell.
    let linking = linking(&content.bytes).unwrap_or_default();
    let (bytes, digest) = (content.bytes.len(), content.digest);
    let Linking { needed, glibc, exports, .. } = linking;
    let glibc = glibc.map(|(major, minor)| format!("{major}.{minor}"));
    Ok(Inspection { digest, bytes, note, problem, needed, glibc, exports })
}

#[cfg(test)]
mod tests {
    use std::{env, fs};

    use super::*;

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
