//! What has changed in the plugin directory, told by looks at it. Whoever copies a file there needs a
//! while, so a look counts only once the next one agrees with it.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{thread::nanosleep, time::Timespec};

use super::{
    problem::{Code, PluginProblem},
    stamp::Stamp,
};
use crate::clock;

/// What stands behind a name, symbolic links followed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Seen {
    /// A file, or what else there is: a directory, a pipe.
    There(Stamp),
    /// It cannot be looked at, and this is the system's error: the end of a link is missing, say.
    Hidden(i32),
}

/// The names of the directory.
pub(super) type Listing = BTreeMap<PathBuf, Seen>;

/// What is settled and was not told yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Look {
    New(PathBuf),
    /// Its content, or only its mode or owner.
    Changed(PathBuf),
    Gone(PathBuf),
}

/// Remembers what was told.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    /// The look before.
    last: Listing,
    /// As it was told last; `None` where it has to be told again.
    told: BTreeMap<PathBuf, Option<Seen>>,
}

impl Shelf {
    /// What is new since the last look that counted. A directory that cannot be read is no look: its
    /// files are not gone.
    pub(super) fn look(&mut self, listing: Listing) -> Vec<Look> {
        let mut looks = Vec::new();
        for (path, seen) in &listing {
            if self.last.get(path) != Some(seen) {
                continue;
            }
            match self.told.insert(path.clone(), Some(*seen)) {
                None => looks.push(Look::New(path.clone())),
                Some(before) if before != Some(*seen) => looks.push(Look::Changed(path.clone())),
                Some(_) => {}
            }
        }
        // `rm` and then `cp` is a change of one plugin, not the end of it: a name that comes back at
        // the next look was never gone.
        let absent = |path: &PathBuf| !listing.contains_key(path) && !self.last.contains_key(path);
        let gone = self.told.extract_if(.., |path, _| absent(path));
        looks.extend(gone.map(|(path, _)| Look::Gone(path)));
        self.last = listing;
        looks
    }

    /// Takes a first listing for settled: all of it is new.
    pub(super) fn stock(&mut self, listing: Listing) -> Vec<Look> {
        self.last.clone_from(&listing);
        self.look(listing)
    }

    /// Tells this name again at the next look that counts: what was found there was not to be had
    /// (`E_CHANGING`).
    pub(super) fn again(&mut self, path: &Path) {
        if let Some(told) = self.told.get_mut(path) {
            *told = None;
        }
    }
}

/// The `*.so` of a directory; no dot-files, which may be on their way to another name, and no
/// sub-directories' contents.
pub(super) fn listing(dir: &Path) -> Result<Listing, PluginProblem> {
    let read = || -> io::Result<Listing> {
        let mut listing = Listing::new();
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if is_plugin(&path) {
                let seen = seen(&path);
                listing.insert(path, seen);
            }
        }
        Ok(listing)
    };
    read().map_err(|e| {
        let message = format!("the plugin directory cannot be read: {e}; set `plugins.dir`");
        PluginProblem::new(Code::Directory, message).file(dir)
    })
}

fn is_plugin(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_bytes();
    path.extension().is_some_and(|extension| extension == "so") && !name.starts_with(b".")
}

fn seen(path: &Path) -> Seen {
    match fs::metadata(path) {
        Ok(found) => Seen::There(Stamp::of(&found)),
        Err(error) => Seen::Hidden(error.raw_os_error().unwrap_or_default()),
    }
}

/// A file that was written this short a while ago may be about to be written again.
const YOUNG: Duration = Duration::from_millis(200);
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
const PAUSES: u32 = 20;

/// The directory as a host finds it that starts: a deployment that installs and starts at once is
/// waited for, at most two seconds. Blocks.
pub(super) fn settled(dir: &Path) -> Result<Listing, PluginProblem> {
    let now = || i128::from(clock::wall_us()) * 1_000;
    wait_until_settled(|| listing(dir), now, || drop(nanosleep(&PAUSE)))
}

fn wait_until_settled(
    mut look: impl FnMut() -> Result<Listing, PluginProblem>,
    now: impl Fn() -> i128,
    mut pause: impl FnMut(),
) -> Result<Listing, PluginProblem> {
    for _ in 0..PAUSES {
        let listing = look()?;
        let now = now();
        let young =
            |seen: &Seen| matches!(seen, Seen::There(stamp) if stamp.is_younger(YOUNG, now));
        if !listing.values().any(young) {
            return Ok(listing);
        }
        pause();
    }
    look()
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, os::unix::fs::symlink};

    use proptest::prelude::*;

    use super::{super::stamp::tests::written, *};

    fn listed(names: &[(&str, u64)]) -> Listing {
        let seen = |version: u64| match version {
            0 => Seen::Hidden(2),
            version => Seen::There(written(version, 0)),
        };
        names.iter().map(|(name, version)| (name.into(), seen(*version))).collect()
    }

    /// What each look tells: `+` new, `~` changed, `-` gone.
    fn told(looks: &[&[(&str, u64)]]) -> Vec<String> {
        let mut shelf = Shelf::default();
        looks.iter().map(|look| line(&shelf.look(listed(look)))).collect()
    }

    fn line(looks: &[Look]) -> String {
        let word = |look: &Look| match look {
            Look::New(path) => format!("+{}", path.display()),
            Look::Changed(path) => format!("~{}", path.display()),
            Look::Gone(path) => format!("-{}", path.display()),
        };
        looks.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_name_is_told_when_two_looks_agree_and_once() {
        let (old, new) = (("a", 1), ("a", 2));
        assert_eq!(told(&[&[old], &[old], &[old]]), ["", "+a", ""]);
        assert_eq!(told(&[&[old], &[old], &[new], &[new], &[new]]), ["", "+a", "", "~a", ""]);
        assert_eq!(told(&[&[old], &[old], &[], &[], &[]]), ["", "+a", "", "-a", ""]);
        assert_eq!(told(&[&[old], &[], &[old], &[]]), ["", "", "", ""], "it never settled");
        assert_eq!(told(&[&[old], &[new], &[old], &[new]]), ["", "", "", ""], "nor did this");
    }

    #[test]
    fn a_file_that_is_removed_and_copied_anew_has_changed() {
        let (old, new) = (("a", 1), ("a", 2));
        assert_eq!(told(&[&[old], &[old], &[], &[new], &[new]]), ["", "+a", "", "", "~a"]);
        assert_eq!(
            told(&[&[old], &[old], &[], &[old], &[old]]),
            ["", "+a", "", "", ""],
            "as it was"
        );
        assert_eq!(
            told(&[&[old], &[old], &[], &[], &[new], &[new]]),
            ["", "+a", "", "-a", "", "+a"]
        );
    }

    #[test]
    fn a_link_without_its_end_is_told_and_so_is_its_mending() {
        let (dangling, mended) = (("a", 0), ("a", 1));
        assert_eq!(told(&[&[dangling], &[dangling], &[mended], &[mended]]), ["", "+a", "", "~a"]);
    }

    #[test]
    fn what_could_not_be_had_is_told_again_and_its_end_is_told_too() {
        let mut shelf = Shelf::default();
        let here = || listed(&[("a", 1), ("b", 1)]);
        assert_eq!(line(&shelf.stock(here())), "+a +b");
        shelf.again(Path::new("a"));
        shelf.again(Path::new("never-seen"));
        assert_eq!(line(&shelf.look(here())), "~a");
        assert_eq!(line(&shelf.look(here())), "");
        shelf.again(Path::new("a"));
        shelf.look(listed(&[]));
        assert_eq!(line(&shelf.look(listed(&[]))), "-a -b");
    }

    proptest! {
        #[test]
        fn nothing_unsettled_is_told_nothing_twice_and_nothing_settled_kept_back(
            looks in prop::collection::vec(prop::collection::btree_map(0_u8..4, 0_u64..3, 0..4), 0..24),
        ) {
            let mut shelf = Shelf::default();
            // As somebody knows it who hears nothing but what is told.
            let mut heard = Listing::new();
            let mut last = Listing::new();
            for look in looks {
                let names: Vec<_> = look.iter().map(|(n, v)| (n.to_string(), *v)).collect();
                let names: Vec<_> = names.iter().map(|(n, v)| (n.as_str(), *v)).collect();
                let now = listed(&names);
                for told in shelf.look(now.clone()) {
                    match told {
                        Look::New(path) => {
                            prop_assert_eq!(last.get(&path), now.get(&path));
                            prop_assert_eq!(heard.insert(path.clone(), now[&path]), None);
                        }
                        Look::Changed(path) => {
                            prop_assert_eq!(last.get(&path), now.get(&path));
                            let before = heard.insert(path.clone(), now[&path]);
                            prop_assert!(before.is_some() && before != Some(now[&path]));
                        }
                        Look::Gone(path) => {
                            prop_assert!(!last.contains_key(&path) && !now.contains_key(&path));
                            prop_assert!(heard.remove(&path).is_some());
                        }
                    }
                }
                for path in last.keys().chain(now.keys()).chain(&heard.keys().cloned().collect::<Vec<_>>()) {
                    if last.get(path) == now.get(path) {
                        prop_assert_eq!(heard.get(path), now.get(path), "two looks agree");
                    }
                }
                last = now;
            }
        }
    }

    #[test]
    fn a_listing_has_every_shared_library_and_what_pretends_to_be_one() {
        let temp = tempfile::tempdir().expect("a directory for the test");
        let file = |name: &str| temp.path().join(name);
        for name in ["a.so", ".b.so", "c.so.part", "d", "so"] {
            fs::write(file(name), name).expect("it is new");
        }
        fs::create_dir(file("e.so")).expect("it is new");
        symlink("nowhere", file("f.so")).expect("it is new");
        symlink("a.so", file("g.so")).expect("it is new");
        let listing = listing(temp.path()).expect("it is readable");
        let names: Vec<_> = listing.keys().filter_map(|path| path.file_name()).collect();
        assert_eq!(names, ["a.so", "e.so", "f.so", "g.so"]);
        assert_eq!(listing[&file("f.so")], Seen::Hidden(libc::ENOENT));
        assert_eq!(listing[&file("g.so")], listing[&file("a.so")], "a link is what it leads to");

        // A content that is written over, a mode, an end of a link: each is another look.
        fs::write(file("a.so"), "longer than before").expect("it is writable");
        fs::write(file("nowhere"), "").expect("it is new");
        let later = settled(temp.path()).expect("it is readable");
        let changed = later.iter().filter(|(path, seen)| listing[*path] != **seen);
        let changed: Vec<_> = changed.filter_map(|(path, _)| path.file_name()).collect();
        assert_eq!(changed, ["a.so", "f.so", "g.so"]);

        let missing = super::listing(&file("missing")).expect_err("it is not there");
        assert_eq!(missing.code, Code::Directory);
    }

    #[test]
    fn a_host_that_starts_waits_for_what_is_being_installed_and_not_for_ever() {
        const MS: i128 = 1_000_000;
        let clock = Cell::new(1_000_000 * MS);
        let pause = || clock.set(clock.get() + 100 * MS);
        let begin = clock.get();
        let wait = |written_at: &dyn Fn() -> i128| {
            clock.set(begin);
            let look = || {
                Ok(Listing::from([
                    ("a.so".into(), Seen::There(written(1, written_at()))),
                    ("b.so".into(), Seen::Hidden(2)),
                ]))
            };
            wait_until_settled(look, || clock.get(), pause).expect("it can be looked at");
            (clock.get() - begin) / MS
        };
        assert_eq!(wait(&|| begin - 60_000 * MS), 0, "installed long ago");
        assert_eq!(wait(&|| begin - 50 * MS), 200, "installed just now");
        assert_eq!(wait(&|| clock.get().min(begin + 400 * MS)), 600, "written for a while");
        assert_eq!(wait(&|| clock.get()), 2_000, "written for ever");
    }
}
