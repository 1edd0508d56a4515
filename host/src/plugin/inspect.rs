//! `longshore plugin inspect`: what can be known of a file without running it.

use std::path::Path;

use longshore_plugin_api::note::Note;
use object::{
    elf,
    read::elf::{FileHeader, SectionTable, Sym},
};
use serde::Serialize;

use super::{
    file,
    preflight::{self, ENDIAN, Header},
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
    let Linking { needed, glibc, exports } = linking;
    let glibc = glibc.map(|(major, minor)| format!("{major}.{minor}"));
    Ok(Inspection { digest, bytes, note, problem, needed, glibc, exports })
}

#[derive(Default)]
struct Linking {
    needed: Vec<String>,
    glibc: Option<(u32, u32)>,
    exports: Vec<String>,
}

fn linking(bytes: &[u8]) -> object::read::Result<Linking> {
    let header = Header::parse(bytes)?;
    let sections = header.sections(ENDIAN, bytes)?;
    let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    let mut linking = Linking::default();

    let dynamic = sections.dynamic_table(ENDIAN, bytes)?;
    for entry in dynamic.iter().filter(|entry| entry.tag == elf::DT_NEEDED) {
        linking.needed.push(text(dynamic.string(entry)?));
    }
    linking.glibc = glibc(&sections, bytes)?;
    let symbols = sections.symbols(ENDIAN, bytes, elf::SHT_DYNSYM)?;
    for symbol in symbols.iter().skip(1) {
        if !symbol.is_undefined(ENDIAN) && !symbol.is_local() {
            linking.exports.push(text(symbols.symbol_name(ENDIAN, symbol)?));
        }
    }
    linking.exports.sort();
    Ok(linking)
}

/// The newest of the versions `GLIBC_x.y` that are asked for.
fn glibc(
    sections: &SectionTable<'_, Header>,
    bytes: &[u8],
) -> object::read::Result<Option<(u32, u32)>> {
    let Some((mut needs, link)) = sections.gnu_verneed(ENDIAN, bytes)? else {
        return Ok(None);
    };
    let strings = sections.strings(ENDIAN, bytes, link)?;
    let mut newest = None;
    while let Some((_, mut versions)) = needs.next()? {
        while let Some(version) = versions.next()? {
            let name = version.name(ENDIAN, strings)?;
            newest = newest.max(parse_glibc(name));
        }
    }
    Ok(newest)
}

fn parse_glibc(version: &[u8]) -> Option<(u32, u32)> {
    let (major, minor) =
        std::str::from_utf8(version).ok()?.strip_prefix("GLIBC_")?.split_once('.')?;
    let minor = minor.split('.').next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
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
