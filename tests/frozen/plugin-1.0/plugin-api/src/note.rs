//! What a plugin says of itself without being run: an ELF note in section `.note.longshore`, of
//! owner `Longshore` and type 1, whose description is a JSON object. It survives stripping and LTO.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// The note's section.
pub const SECTION: &str = ".note.longshore";
/// The note's owner.
pub const OWNER: &str = "Longshore";
/// The note's type.
pub const TYPE: u32 = 1;

/// The note's description.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Note<'a> {
    /// Version of this format: 1.
    pub note: u32,
    /// The plugin's name. Identity is this, never the file's name.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// The plugin's version.
    pub version: Cow<'a, str>,
    /// Who made it.
    pub vendor: Cow<'a, str>,
    /// The API it was built with: `MAJOR.MINOR`.
    pub api: Cow<'a, str>,
    /// The oldest minor of a host that it works with: `MAJOR.MINOR`.
    pub min_host: Cow<'a, str>,
    /// `abi_stable`'s version: `MAJOR.MINOR`.
    pub abi_stable: Cow<'a, str>,
    /// `async-ffi`'s ABI version.
    pub async_ffi_abi: u32,
    /// `unwind` or `abort`: with the latter a panic ends its process.
    pub panic: Cow<'a, str>,
    /// The target triple.
    pub target: Cow<'a, str>,
    /// The compiler, for bug reports only.
    pub rustc: Cow<'a, str>,
    /// `debug` or `release`.
    pub profile: Cow<'a, str>,
}

/// The bytes of a note, aligned as ELF wants it.
#[doc(hidden)]
#[repr(C, align(4))]
pub struct Bytes<const N: usize>([u8; N]);

/// Pieces of JSON: text as it is, and text that stands between quotes.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub enum Piece {
    Raw(&'static str),
    Quoted(&'static str),
}

const HEADER: usize = 12;
const PADDED_OWNER: usize = (OWNER.len() + 1).next_multiple_of(4);

/// The size of a note of these pieces.
#[doc(hidden)]
#[must_use]
pub const fn size(pieces: &[Piece]) -> usize {
    HEADER + PADDED_OWNER + json_len(pieces).next_multiple_of(4)
}

/// The note of these pieces.
#[doc(hidden)]
#[must_use]
pub const fn bytes<const N: usize>(pieces: &[Piece]) -> Bytes<N> {
    let mut out = [0; N];
    let mut at = put(&mut out, 0, &(OWNER.len() as u32 + 1).to_ne_bytes());
    at = put(&mut out, at, &(json_len(pieces) as u32).to_ne_bytes());
    at = put(&mut out, at, &TYPE.to_ne_bytes());
    put(&mut out, at, OWNER.as_bytes());
    at += PADDED_OWNER;
    let mut i = 0;
    while i < pieces.len() {
        let (text, quoted) = pieces[i].text();
        let mut j = 0;
        while j < text.len() {
            let (escaped, byte) = escape(text[j], quoted);
            if escaped {
                at = put(&mut out, at, b"\\");
            }
            at = put(&mut out, at, &[byte]);
            j += 1;
        }
        i += 1;
    }
    Bytes(out)
}

const fn put(out: &mut [u8], at: usize, bytes: &[u8]) -> usize {
    let mut i = 0;
    while i < bytes.len() {
        out[at + i] = bytes[i];
        i += 1;
    }
    at + bytes.len()
}

const fn json_len(pieces: &[Piece]) -> usize {
    let (mut len, mut i) = (0, 0);
    while i < pieces.len() {
        let (text, quoted) = pieces[i].text();
        let mut j = 0;
        while j < text.len() {
            len += 1 + escape(text[j], quoted).0 as usize;
            j += 1;
        }
        i += 1;
    }
    len
}

impl Piece {
    const fn text(self) -> (&'static [u8], bool) {
        match self {
            Self::Raw(text) => (text.as_bytes(), false),
            Self::Quoted(text) => (text.as_bytes(), true),
        }
    }
}

/// Whether a byte inside quotes needs a backslash. Control characters become spaces: a name has
/// none, and a note is one line.
const fn escape(byte: u8, quoted: bool) -> (bool, u8) {
    match byte {
        b'"' | b'\\' if quoted => (true, byte),
        0..=31 if quoted => (false, b' '),
        _ => (false, byte),
    }
}
