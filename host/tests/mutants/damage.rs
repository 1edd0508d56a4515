//! The ways in which a good library is damaged.

use std::ops::Range;

use object::{
    LittleEndian, elf,
    read::elf::{FileHeader as _, ProgramHeader as _, SectionHeader as _},
};

use super::chance::Chance;

const PAGE: usize = 4096;

/// What was done to a library.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Kind {
    /// It ends early.
    Cut,
    /// A word of a header is another one.
    Header,
    /// A letter of its note, of its symbols' names or of its ABI's is another one.
    Word,
    /// A section, or a page of one, is zeros.
    Zeros,
    /// Some bytes are others.
    Bytes,
    /// What is damaged is only for people to read.
    Harmless,
}

/// One way to damage one library: written over, then cut.
#[derive(Debug)]
pub(crate) struct Damage {
    pub(crate) kind: Kind,
    written: Vec<(usize, Vec<u8>)>,
    len: usize,
}

impl Damage {
    /// The library as a plugin of another name, and damaged.
    pub(crate) fn of(&self, library: &Library<'_>, name: &str) -> Vec<u8> {
        let mut damaged = library.bytes.to_vec();
        let names = library.names.iter().map(|at| (at, name.as_bytes()));
        let written = self.written.iter().map(|(at, bytes)| (at, &**bytes));
        for (at, bytes) in names.chain(written) {
            damaged[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        damaged.truncate(self.len);
        damaged
    }
}

/// A good library, and where its parts are.
pub(crate) struct Library<'a> {
    bytes: &'a [u8],
    /// Where it says what plugin it is.
    names: Vec<usize>,
    headers: Vec<Range<usize>>,
    sections: Vec<(String, Range<usize>)>,
}

impl<'a> Library<'a> {
    pub(crate) fn of(bytes: &'a [u8], name: &str) -> Self {
        let endian = LittleEndian;
        let header = elf::FileHeader64::parse(bytes).expect("it is ELF");
        let segments = header.program_headers(endian, bytes).expect("it has segments");
        let dynamic = segments.iter().find(|one| one.p_type(endian) == elf::PT_DYNAMIC);
        let (at, len) = dynamic.expect("it is linked dynamically").file_range(endian);
        let table = size_of_val(header) + size_of_val(segments);
        let found = header.sections(endian, bytes).expect("it has sections");
        let sections = found.iter().filter_map(|section| {
            let (at, len) = section.file_range(endian)?;
            let name = found.section_name(endian, section).ok()?;
            Some((String::from_utf8_lossy(name).into_owned(), range(at, len)))
        });
        let sections: Vec<_> = sections.filter(|(_, range)| !range.is_empty()).collect();
        let names = bytes.windows(name.len()).enumerate();
        let names = names.filter_map(|(at, text)| (text == name.as_bytes()).then_some(at));
        let headers = vec![0..table, range(at, len)];
        Self { bytes, names: names.collect(), headers, sections }
    }

    /// Every damage that is done to it, more than 2,000 of them.
    pub(crate) fn damages(&self, chance: &mut Chance) -> Vec<Damage> {
        let ways =
            [Self::cuts, Self::headers, Self::words, Self::zeros, Self::bytes, Self::harmless];
        ways.iter().flat_map(|way| way(self, chance)).collect()
    }

    /// At every page, or a byte beside it.
    fn cuts(&self, chance: &mut Chance) -> Vec<Damage> {
        let pages = (0..self.bytes.len()).step_by(PAGE);
        let len = |page: usize| (page + index(chance, 3)).saturating_sub(1);
        pages.map(len).map(|len| Damage { kind: Kind::Cut, written: Vec::new(), len }).collect()
    }

    /// Every word of the file's header, of the table of segments and of the dynamic section.
    fn headers(&self, chance: &mut Chance) -> Vec<Damage> {
        let words = self.headers.iter().flat_map(|range| range.clone().step_by(4));
        let others = |at: usize| {
            let word = self.bytes[at..at + 4].try_into().expect("four bytes are a word");
            let word = u32::from_le_bytes(word);
            let any = u32::try_from(chance.below(1 << 32)).expect("it is less than that");
            let wild = [u32::MAX, any][index(chance, 2)];
            let others = [0, wild, word.wrapping_add(1)].map(u32::to_le_bytes);
            others.map(|other| self.written(Kind::Header, at, other.to_vec()))
        };
        words.flat_map(others).collect()
    }

    fn words(&self, chance: &mut Chance) -> Vec<Damage> {
        let [note, names] = [".note.longshore", ".dynstr"].map(|name| self.section(name));
        // As `abi_stable` describes memory layouts: names of fields and of types, side by side.
        let layouts = ["describe;open;", "inner;RString", "field_0;Ready;Pending"];
        let layouts: Vec<_> = layouts.iter().filter_map(|text| self.text(text)).collect();
        assert!(!layouts.is_empty(), "the ABI describes itself otherwise than it used to");
        let letters = note.chain(names.step_by(12)).chain(layouts.into_iter().flatten());
        letters.map(|at| self.letter(Kind::Word, at, chance)).collect()
    }

    fn zeros(&self, chance: &mut Chance) -> Vec<Damage> {
        let mut damages = Vec::new();
        for (_, range) in &self.sections {
            damages.push(self.written(Kind::Zeros, range.start, vec![0; range.len()]));
            for _ in 0..4 {
                let at = range.start + index(chance, range.len());
                let len = range.end.min(at + PAGE) - at;
                damages.push(self.written(Kind::Zeros, at, vec![0; len]));
            }
        }
        damages
    }

    fn bytes(&self, chance: &mut Chance) -> Vec<Damage> {
        let damage = |_| {
            let count = 1 + index(chance, 64);
            let byte = |_| {
                let byte = chance.below(256).to_le_bytes()[0];
                (index(chance, self.bytes.len()), vec![byte])
            };
            let written = (0..count).map(byte).collect();
            Damage { kind: Kind::Bytes, written, len: self.bytes.len() }
        };
        (0..400).map(damage).collect()
    }

    /// Who compiled it, and how.
    fn harmless(&self, chance: &mut Chance) -> Vec<Damage> {
        let note = [r#""rustc":"rustc "#, r#""profile":""#].map(|key| {
            let key = self.text(key).expect("the note says it");
            key.end..key.end + 5
        });
        let comment = self.section(".comment");
        let places: Vec<_> = note.into_iter().chain([comment]).flatten().collect();
        let damage = |_| {
            let at = places[index(chance, places.len())];
            self.letter(Kind::Harmless, at, chance)
        };
        (0..100).map(damage).collect()
    }

    /// Another letter there.
    fn letter(&self, kind: Kind, at: usize, chance: &mut Chance) -> Damage {
        let letters = (b'a'..=b'z').chain(b'0'..=b'9').filter(|letter| *letter != self.bytes[at]);
        let letters: Vec<_> = letters.collect();
        self.written(kind, at, vec![letters[index(chance, letters.len())]])
    }

    fn written(&self, kind: Kind, at: usize, bytes: Vec<u8>) -> Damage {
        Damage { kind, written: vec![(at, bytes)], len: self.bytes.len() }
    }

    fn section(&self, name: &str) -> Range<usize> {
        let section = self.sections.iter().find(|(of, _)| of == name);
        section.unwrap_or_else(|| panic!("it has no section {name}")).1.clone()
    }

    fn text(&self, text: &str) -> Option<Range<usize>> {
        let at = self.bytes.windows(text.len()).position(|window| window == text.as_bytes())?;
        Some(at..at + text.len())
    }
}

fn range(at: u64, len: u64) -> Range<usize> {
    let at = usize::try_from(at).expect("it is in memory");
    at..at + usize::try_from(len).expect("it is in memory")
}

fn index(chance: &mut Chance, below: usize) -> usize {
    usize::try_from(chance.below(below as u64)).expect("it is below a number of this size")
}
