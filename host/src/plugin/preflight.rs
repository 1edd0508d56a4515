//! What a file says of itself, read without running any of it. The dynamic linker is no judge: a
//! truncated library kills the process that loads it, and one for another processor is reported as
//! "no such file".

use longshore_plugin_api::{
    abi::{API, async_ffi},
    note,
};
use object::{
    LittleEndian, elf,
    read::elf::{Dyn as _, FileHeader, ProgramHeader},
};

use super::{
    linking,
    problem::{Code, PluginProblem},
};

pub(super) type Header = elf::FileHeader64<LittleEndian>;
/// The only byte order of the processors below.
pub(super) const ENDIAN: LittleEndian = LittleEndian;

/// The metadata note of a plugin.
pub(super) type Note = note::Note<'static>;

/// The one format of notes so far.
const NOTE_FORMAT: u32 = 1;

/// What would be taken for the host itself.
pub(crate) const RESERVED: [&str; 2] = ["host", "longshore"];

const OURS: elf::Machine = match std::env::consts::ARCH.as_bytes() {
    b"x86_64" => elf::EM_X86_64,
    b"aarch64" => elf::EM_AARCH64,
    b"riscv64" => elf::EM_RISCV,
    _ => panic!("say here how ELF calls this processor"),
};

/// The note of a file that this host can load.
pub(super) fn check(bytes: &[u8]) -> Result<Note, PluginProblem> {
    let note = read_note(bytes)?;
    let checked = check_note(&note).and_then(|()| linking::check(bytes));
    checked.map_err(|problem| problem.plugin(&note.name))?;
    Ok(note)
}

/// The note of a shared library of this machine, whether this host can load it or not.
pub(super) fn read_note(bytes: &[u8]) -> Result<Note, PluginProblem> {
    check_ident(bytes)?;
    let truncated = |need: u64| {
        let message = format!("cut off: {} of {need} bytes are here; copy it again", bytes.len());
        PluginProblem::new(Code::Truncated, message)
    };
    let header = Header::parse(bytes).map_err(|_| truncated(size_of::<Header>() as u64))?;
    check_kind(header)?;
    let segment_size = size_of::<elf::ProgramHeader64<LittleEndian>>() as u64;
    let table = u64::from(header.e_phnum.get(ENDIAN)) * segment_size;
    // The file says these numbers, so nothing is sure of them.
    let table_end = header.e_phoff.get(ENDIAN).saturating_add(table);
    let segments = header.program_headers(ENDIAN, bytes).map_err(|_| truncated(table_end))?;
    let ends = segments.iter().map(|s| s.p_offset(ENDIAN).saturating_add(s.p_filesz(ENDIAN)));
    // Linkers write the table of sections last. Nothing here needs it, but a file that misses it was
    // cut off, if only in what a debugger reads.
    let sections =
        u64::from(header.e_shnum.get(ENDIAN)) * u64::from(header.e_shentsize.get(ENDIAN));
    let sections_end = header.e_shoff.get(ENDIAN).saturating_add(sections);
    // A segment that lies past the end would be mapped, and touching it is SIGBUS.
    match ends.chain([sections_end]).max() {
        Some(end) if end > bytes.len() as u64 => return Err(truncated(end)),
        _ => {}
    }
    check_segments(segments, bytes)?;
    for segment in segments {
        let Ok(Some(mut notes)) = segment.notes(ENDIAN, bytes) else {
            continue;
        };
        while let Ok(Some(found)) = notes.next() {
            if found.name() == note::OWNER.as_bytes() && found.n_type(ENDIAN).0 == note::TYPE {
                return parse(found.desc());
            }
        }
    }
    let message = "a shared library, but no Longshore plugin (it has no `Longshore` note); a plugin is built with `longshore_plugin_api::export_executor!`";
    Err(PluginProblem::new(Code::NotAPlugin, message))
}

type Segment = elf::ProgramHeader64<LittleEndian>;

fn check_segments(segments: &[Segment], bytes: &[u8]) -> Result<(), PluginProblem> {
    for segment in segments {
        let flags = segment.p_flags(ENDIAN).0;
        let (writable, executable) = (flags & elf::PF_W.0 != 0, flags & elf::PF_X.0 != 0);
        match segment.p_type(ENDIAN) {
            elf::PT_GNU_STACK if executable => {
                let message = "asks for an executable stack; link it with `-z noexecstack`";
                return Err(PluginProblem::new(Code::ExecStack, message));
            }
            elf::PT_LOAD if writable && executable => {
                let message =
                    "has code that it may write; link it without `-N` and text relocations";
                return Err(PluginProblem::new(Code::ExecStack, message));
            }
            // A library may be one that can be run, as glibc is; that one has a name to be linked by.
            elf::PT_INTERP if !has_soname(segments, bytes) => return Err(program()),
            _ => {}
        }
    }
    Ok(())
}

fn has_soname(segments: &[Segment], bytes: &[u8]) -> bool {
    let tables = segments.iter().filter_map(|s| s.dynamic(ENDIAN, bytes).ok().flatten());
    tables.flatten().any(|entry| entry.tag(ENDIAN) == elf::DT_SONAME)
}

fn program() -> PluginProblem {
    let message = "a program, not a shared library; build the plugin as a `cdylib`";
    PluginProblem::new(Code::NotALibrary, message)
}

fn check_ident(bytes: &[u8]) -> Result<(), PluginProblem> {
    let not_elf =
        |what: &str| PluginProblem::new(Code::NotElf, format!("{what}, not a shared library"));
    match bytes {
        [] => return Err(not_elf("an empty file")),
        [0x7f, b'E', b'L', b'F', ..] => {}
        [b'#', b'!', ..] => return Err(not_elf("a script")),
        _ if std::str::from_utf8(&bytes[..bytes.len().min(64)]).is_ok() => {
            return Err(not_elf(&format!("a text file of {} bytes", bytes.len())));
        }
        _ => {
            return Err(not_elf(&format!("a file of {} bytes in no known format", bytes.len())));
        }
    }
    let wrong = |what: &str| {
        PluginProblem::new(
            Code::WrongArch,
            format!(
                "built for {what}; this host needs {}, 64 bits, little-endian",
                std::env::consts::ARCH
            ),
        )
    };
    match (bytes.get(4), bytes.get(5)) {
        (Some(1), _) => Err(wrong("a 32-bit processor")),
        (_, Some(2)) => Err(wrong("a big-endian processor")),
        _ => Ok(()),
    }
}

fn check_kind(header: &Header) -> Result<(), PluginProblem> {
    let machine = header.e_machine(ENDIAN);
    if machine != OURS {
        let theirs = match machine {
            elf::EM_X86_64 => "x86_64".to_owned(),
            elf::EM_AARCH64 => "aarch64".to_owned(),
            elf::EM_RISCV => "riscv64".to_owned(),
            other => format!("ELF machine {}", other.0),
        };
        let ours = std::env::consts::ARCH;
        let message =
            format!("built for {theirs}, this host runs on {ours}; ask for the {ours} build");
        return Err(PluginProblem::new(Code::WrongArch, message));
    }
    match header.e_type(ENDIAN) {
        // A position-independent program is `ET_DYN` too; its segments tell it apart.
        elf::ET_DYN => Ok(()),
        elf::ET_EXEC => Err(program()),
        elf::ET_REL => Err(PluginProblem::new(
            Code::NotALibrary,
            "an object file, not a shared library; build the plugin as a `cdylib`",
        )),
        other => Err(PluginProblem::new(
            Code::NotALibrary,
            format!("ELF type {}, not a shared library", other.0),
        )),
    }
}

fn parse(desc: &[u8]) -> Result<Note, PluginProblem> {
    let bad = |why: String| {
        PluginProblem::new(
            Code::BadNote,
            format!("{why}; rebuild it with a released longshore-plugin-api"),
        )
    };
    let note: note::Note<'_> =
        serde_json::from_slice(desc).map_err(|e| bad(format!("its note does not parse: {e}")))?;
    if RESERVED.contains(&&*note.name) {
        return Err(PluginProblem::new(
            Code::Reserved,
            format!("`{}` is not a name for a plugin: the host's own log uses it", note.name),
        ));
    }
    if !is_name(&note.name) {
        return Err(bad(format!(
            "its name {:?} is not made of 1 to 64 of a-z, 0-9, `-` and `_`",
            note.name
        )));
    }
    Ok(into_owned(note))
}

/// Names stand in paths, routes and metrics.
pub(crate) fn is_name(name: &str) -> bool {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'-' | b'_');
    (1..=64).contains(&name.len()) && name.bytes().all(plain)
}

fn into_owned(note: note::Note<'_>) -> Note {
    let own = |text: std::borrow::Cow<'_, str>| text.into_owned().into();
    Note {
        note: note.note,
        name: own(note.name),
        version: own(note.version),
        vendor: own(note.vendor),
        api: own(note.api),
        min_host: own(note.min_host),
        abi_stable: own(note.abi_stable),
        async_ffi_abi: note.async_ffi_abi,
        panic: own(note.panic),
        target: own(note.target),
        rustc: own(note.rustc),
        profile: own(note.profile),
    }
}

/// Refuses what only a process of its own may run: a panic in it ends its process, whoever else is there.
pub(super) fn unwinds(note: &Note) -> Result<(), PluginProblem> {
    if note.panic == "unwind" {
        return Ok(());
    }
    let message = "built with `panic = \"abort\"`: a panic in it would end the host; set `isolation = \"process\"`, or rebuild it with `panic = \"unwind\"`";
    Err(PluginProblem::new(Code::PanicAbort, message))
}

fn check_note(note: &Note) -> Result<(), PluginProblem> {
    if note.note != NOTE_FORMAT {
        let message = format!(
            "its note has format {}, this host reads {NOTE_FORMAT}; upgrade the host, or rebuild it with a released longshore-plugin-api",
            note.note
        );
        return Err(PluginProblem::new(Code::BadNote, message));
    }
    let (major, minor) = API;
    let (api, min_host) = (version(&note.api), version(&note.min_host));
    let range = |what: String| PluginProblem::new(Code::ApiRange, what);
    match (api, min_host) {
        (Some((theirs, _)), _) if theirs != major => Err(range(format!(
            "built for plugin API {}; this host speaks {major}.0 to {major}.{minor}; ask for a build for API {major}",
            note.api,
        ))),
        (Some(_), Some(needs)) if needs > (major, minor) => Err(range(format!(
            "needs a host of plugin API {} or newer, this one speaks {major}.{minor}; upgrade the host",
            note.min_host,
        ))),
        (Some(_), Some(_))
            if note.abi_stable != "0.11" || note.async_ffi_abi != async_ffi::ABI_VERSION =>
        {
            Err(range(format!(
                "built with abi_stable {} and async-ffi ABI {}; API 1 means 0.11 and {}; rebuild it with a released longshore-plugin-api",
                note.abi_stable,
                note.async_ffi_abi,
                async_ffi::ABI_VERSION,
            )))
        }
        (Some(_), Some(_)) => Ok(()),
        _ => Err(PluginProblem::new(
            Code::BadNote,
            format!(
                "its note names API {:?} and host {:?}, not MAJOR.MINOR",
                note.api, note.min_host
            ),
        )),
    }
}

fn version(text: &str) -> Option<(u16, u16)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
