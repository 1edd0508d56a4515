//! What a file asks of the dynamic linker: libraries, versions, symbols. Read from its section headers; a
//! library without them loads all the same, there is only less to tell.

use longshore_plugin_api::abi::abi_stable::library::ROOT_MODULE_LOADER_NAME;
use object::{
    elf,
    read::elf::{FileHeader as _, SectionTable, Sym as _},
};

use super::{
    preflight::{ENDIAN, Header},
    problem::{Code, PluginProblem},
};

/// What a dynamic linker will do with a file.
#[derive(Default)]
pub(super) struct Linking {
    pub(super) needed: Vec<String>,
    pub(super) glibc: Option<(u32, u32)>,
    pub(super) exports: Vec<String>,
    /// Whether there is a table to read `exports` from.
    has_symbols: bool,
}

/// Reads it.
pub(super) fn linking(bytes: &[u8]) -> object::read::Result<Linking> {
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
    linking.has_symbols = !symbols.is_empty();
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
    parse_version(version.strip_prefix(b"GLIBC_")?)
}

fn parse_version(version: &[u8]) -> Option<(u32, u32)> {
    let (major, minor) = std::str::from_utf8(version).ok()?.split_once('.')?;
    let minor = minor.split('.').next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Refuses what the linker would refuse with a symbol's name and no way out. Says nothing of a library
/// without section headers.
pub(super) fn check(bytes: &[u8]) -> Result<(), PluginProblem> {
    let Ok(linking) = linking(bytes) else { return Ok(()) };
    check_root(&linking)?;
    check_glibc(&linking)
}

/// Refuses what has a plugin's note and exports no plugin.
fn check_root(linking: &Linking) -> Result<(), PluginProblem> {
    if !linking.has_symbols || linking.exports.iter().any(|name| name == ROOT_MODULE_LOADER_NAME) {
        return Ok(());
    }
    let message = "it has the note of a plugin, but does not export one; build it as a `cdylib`, and let no version script hide its symbols";
    Err(PluginProblem::new(Code::NotAPlugin, message))
}

/// Refuses what needs a newer glibc than this host runs on.
fn check_glibc(linking: &Linking) -> Result<(), PluginProblem> {
    match (linking.glibc, installed_glibc()) {
        (Some(needs), Some(here)) if needs > here => Err(PluginProblem::new(
            Code::Glibc,
            format!(
                "needs glibc {}.{}, this machine has {}.{}; ask for a build for an older system",
                needs.0, needs.1, here.0, here.1
            ),
        )),
        _ => Ok(()),
    }
}

#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "a C function that answers with a text that stays")]
fn installed_glibc() -> Option<(u32, u32)> {
    // SAFETY: takes nothing, answers with a static text.
    let version = unsafe { std::ffi::CStr::from_ptr(libc::gnu_get_libc_version()) };
    parse_version(version.to_bytes())
}

#[cfg(not(target_env = "gnu"))]
fn installed_glibc() -> Option<(u32, u32)> {
    None
}
