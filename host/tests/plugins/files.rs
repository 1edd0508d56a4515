//! What can be wrong with a file, before any of its code runs.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use longshore::{
    config::Plugins,
    plugin::{Code, Places, Registry, inspect},
};

use super::bench::{Place, copies, noop, patched, program, smallest};

const NOTE: &str = r#""name":"noop","version":"0.1.0""#;

/// The one verdict on a directory with this one file.
fn verdict(bytes: &[u8]) -> String {
    let mut verdicts = Place::with(&[("x.so", bytes)]).verdicts();
    assert_eq!(verdicts.len(), 1, "{verdicts:?}");
    verdicts.remove(0)
}

#[test]
fn a_file_that_is_no_library_is_refused_by_what_it_is() {
    assert_eq!(verdict(b""), "E_NOT_ELF x.so: an empty file, not a shared library");
    assert_eq!(
        verdict(b"Not found"),
        "E_NOT_ELF x.so: a text file of 9 bytes, not a shared library"
    );
    assert_eq!(verdict(b"#!/bin/sh\n"), "E_NOT_ELF x.so: a script, not a shared library");
    assert_eq!(
        verdict(&[0x80; 7]),
        "E_NOT_ELF x.so: a file of 7 bytes in no known format, not a shared library"
    );
}

#[test]
fn a_library_that_is_cut_off_anywhere_in_its_code_is_refused_and_not_mapped() {
    for len in [4, 40, 64, 200, 4096, noop().len() / 8] {
        let verdict = verdict(&noop()[..len]);
        assert!(verdict.starts_with("E_TRUNCATED x.so: cut off: "), "{len}: {verdict}");
        assert!(verdict.ends_with("copy it again"), "{len}: {verdict}");
    }
}

#[test]
fn a_library_for_another_machine_is_refused_by_name() {
    let mut other = noop().to_vec();
    let (mine, theirs, theirs_elf) = match std::env::consts::ARCH {
        "aarch64" => ("aarch64", "x86_64", 62),
        mine => (mine, "aarch64", 183),
    };
    other[18] = theirs_elf;
    assert_eq!(
        verdict(&other),
        format!(
            "E_WRONG_ARCH x.so: built for {theirs}, this host runs on {mine}; ask for the {mine} build"
        )
    );
    for (byte, value, what) in [(4, 1, "a 32-bit processor"), (5, 2, "a big-endian processor")] {
        let mut other = noop().to_vec();
        other[byte] = value;
        let said = verdict(&other);
        assert!(said.starts_with(&format!("E_WRONG_ARCH x.so: built for {what}; ")), "{said}");
    }
}

#[test]
fn a_program_and_somebody_elses_library_are_no_plugins() {
    let mut program = noop().to_vec();
    program[16] = 2;
    assert_eq!(
        verdict(&program),
        "E_NOT_A_LIBRARY x.so: a program, not a shared library; build the plugin as a `cdylib`"
    );
    // This test is itself a position-independent program, of the same ELF type as a library.
    let this = fs::read(std::env::current_exe().expect("this runs")).expect("it is readable");
    assert_eq!(
        verdict(&this),
        "E_NOT_A_LIBRARY x.so: a program, not a shared library; build the plugin as a `cdylib`"
    );
    let mut foreign = vec![patched(noop(), "Longshore\0", "Shortlore\0")];
    // glibc's own can be run, and says so as a program does; it is a library all the same.
    foreign.extend(libc());
    for foreign in foreign {
        assert_eq!(
            verdict(&foreign),
            "E_NOT_A_PLUGIN x.so: a shared library, but no Longshore plugin (it has no `Longshore` \
             note); a plugin is built with `longshore_plugin_api::export_executor!`"
        );
    }
}

/// The C library that this test runs with, where there is one.
fn libc() -> Option<Vec<u8>> {
    let maps = fs::read_to_string("/proc/self/maps").expect("this runs on Linux");
    let path = maps.split_whitespace().find(|word| word.contains("/libc.so"))?;
    Some(fs::read(path).expect("it is readable"))
}

#[test]
fn a_plugin_for_another_api_is_refused_with_both_versions() {
    assert_eq!(
        verdict(&patched(noop(), r#""api":"1.0""#, r#""api":"2.0""#)),
        "E_API_RANGE plugin `noop` (x.so): built for plugin API 2.0; this host speaks 1.0 to 1.0; \
         ask for a build for API 1"
    );
    assert_eq!(
        verdict(&patched(noop(), r#""min_host":"1.0""#, r#""min_host":"1.7""#)),
        "E_API_RANGE plugin `noop` (x.so): needs a host of plugin API 1.7 or newer, this one speaks \
         1.0; upgrade the host"
    );
    let newer = patched(noop(), r#""api":"1.0""#, r#""api":"1.9""#);
    assert_eq!(verdict(&newer), "ok noop", "a newer minor that does without it is welcome");
}

#[test]
fn a_note_that_makes_no_sense_is_refused() {
    for (from, to) in [
        (r#"{"note":1,"#, r#"{"note":x,"#),
        (r#""name":"noop""#, r#""name":"../x""#),
        (r#""api":"1.0""#, r#""api":"one""#),
    ] {
        let verdict = verdict(&patched(noop(), from, to));
        assert!(verdict.starts_with("E_BAD_NOTE "), "{verdict}");
    }
}

#[test]
fn a_newer_format_of_notes_is_named_with_the_one_that_is_read() {
    let verdict = verdict(&patched(noop(), r#"{"note":1,"#, r#"{"note":2,"#));
    assert!(
        verdict.starts_with(
            "E_BAD_NOTE plugin `noop` (x.so): its note has format 2, this host reads 1; "
        ),
        "{verdict}"
    );
}

#[test]
fn what_asks_for_an_interpreter_is_a_program_whatever_its_note_says() {
    let mut program = noop().to_vec();
    let (unwinding, interpreter) = (0x6474_e550_u32.to_le_bytes(), 3_u32.to_le_bytes());
    let at = segments(&program)
        .find(|at| program[*at..at + 4] == unwinding)
        .expect("rustc writes PT_GNU_EH_FRAME");
    program[at..at + 4].copy_from_slice(&interpreter);
    assert_eq!(
        verdict(&program),
        "E_NOT_A_LIBRARY x.so: a program, not a shared library; build the plugin as a `cdylib`"
    );
}

#[test]
fn a_note_without_a_plugin_is_refused_before_it_is_loaded() {
    let root = "_1as_0lib_1header_0root_bmodule_bloader\0";
    let hidden = root.replace("_1as", "_2as");
    let verdict = verdict(&patched(noop(), root, &hidden));
    assert!(
        verdict
            .starts_with("E_NOT_A_PLUGIN plugin `noop` (x.so): it has the note of a plugin, but"),
        "{verdict}"
    );

    // Without section headers nobody can look: the linker will.
    let mut bare = patched(noop(), root, &hidden);
    bare[40..48].fill(0);
    bare[60..64].fill(0);
    assert_eq!(self::verdict(&bare), "ok noop");
}

#[test]
fn an_executable_stack_is_refused() {
    let mut library = noop().to_vec();
    let stack = segments(&library)
        .find(|at| library[*at..at + 4] == 0x6474_e551_u32.to_le_bytes())
        .expect("rustc writes PT_GNU_STACK");
    library[stack + 4] |= 1;
    let verdict = verdict(&library);
    assert!(verdict.starts_with("E_EXEC_STACK x.so: "), "{verdict}");
}

/// The program headers of a library: where each begins.
fn segments(library: &[u8]) -> impl Iterator<Item = usize> {
    let table = u64::from_le_bytes(library[32..40].try_into().expect("8 bytes"));
    let table = usize::try_from(table).expect("it is small");
    (0..usize::from(library[56])).map(move |i| table + i * 56)
}

#[test]
fn code_that_may_be_written_is_refused() {
    let mut library = noop().to_vec();
    let (load, writable, executable) = (1_u32.to_le_bytes(), 2, 1);
    let code = segments(&library)
        .find(|at| library[*at..at + 4] == load && library[at + 4] & executable != 0)
        .expect("it has code");
    library[code + 4] |= writable;
    let verdict = verdict(&library);
    assert!(verdict.starts_with("E_EXEC_STACK x.so: has code that it may write"), "{verdict}");
}

#[test]
fn a_name_of_the_hosts_own_is_refused() {
    let verdict = verdict(&patched(noop(), r#""name":"noop""#, r#""name":"host""#));
    assert!(verdict.starts_with("E_RESERVED x.so: `host` is not a name"), "{verdict}");
}

#[test]
fn a_newer_c_library_is_named_with_the_one_that_is_here() {
    let newest = inspect(&Place::with(&[("x.so", noop())]).file("x.so"))
        .expect("it is a plugin")
        .glibc
        .expect("it is linked with glibc");
    let (from, to) = (format!("GLIBC_{newest}\0"), format!("GLIBC_9{}\0", &newest[1..]));
    let verdict = verdict(&patched(noop(), &from, &to));
    assert!(verdict.starts_with("E_GLIBC plugin `noop` (x.so): needs glibc 9."), "{verdict}");
    assert!(verdict.ends_with("; ask for a build for an older system"), "{verdict}");
}

#[test]
fn what_is_no_regular_file_is_refused_without_waiting_for_it() {
    let place = Place::with(&[]);
    fs::create_dir(place.file("a-directory.so")).expect("it is new");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, place.file("b-pipe.so"), mode).expect("it is new");
    symlink("nowhere", place.file("c-dangling.so")).expect("it is new");
    symlink("d-loop.so", place.file("d-loop.so")).expect("it is new");
    assert_eq!(
        place.verdicts(),
        [
            "E_NOT_A_FILE a-directory.so: not a regular file; a plugin is a shared library (`.so`)",
            "E_NOT_A_FILE b-pipe.so: not a regular file; a plugin is a shared library (`.so`)",
            "E_OPEN c-dangling.so: a symbolic link to `nowhere`, which does not open: No such file \
             or directory (os error 2)",
            "E_OPEN d-loop.so: a symbolic link to `d-loop.so`, which does not open: Too many levels \
             of symbolic links (os error 40)",
        ]
    );
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is ours");
}

#[test]
fn a_file_that_others_may_write_or_replace_is_refused() {
    let place = Place::with(&[("x.so", noop())]);
    let refused = |words: &str| {
        let verdict = place.verdicts().remove(0);
        assert!(verdict.starts_with(&format!("E_WRITABLE x.so: {words}")), "{verdict}");
    };
    chmod(&place.file("x.so"), 0o666);
    refused("it runs with the host's rights and is writable for all; `chmod o-w` it");

    chmod(&place.file("x.so"), 0o644);
    chmod(&place.dir(), 0o777);
    refused("others may replace it, since the directory `");

    // One may rename only one's own where the sticky bit is.
    chmod(&place.dir(), 0o1777);
    assert!(!place.verdicts()[0].starts_with("E_"), "{:?}", place.verdicts());
}

#[test]
fn what_belongs_to_somebody_else_or_to_another_group_is_not_run() {
    let place = Place::with(&[("x.so", noop())]);
    let nobody = 65534;
    let chown = |path: &Path, user, group| {
        std::os::unix::fs::chown(path, user, group)
            .expect("this test gives files away and needs the right to: run it as root");
    };
    let refused = |code: &str, words: &str| {
        let verdict = place.verdicts().remove(0);
        assert!(verdict.starts_with(code) && verdict.contains(words), "{verdict}");
    };
    chown(&place.file("x.so"), Some(nobody), None);
    refused("E_OWNER x.so: ", "belongs to user 65534");
    chown(&place.file("x.so"), Some(0), None);
    chown(&place.dir(), Some(nobody), None);
    refused("E_OWNER x.so: ", "others may replace it, since the directory");
    chown(&place.dir(), Some(0), Some(nobody));
    chmod(&place.dir(), 0o775);
    refused("E_WRITABLE x.so: ", "is writable for group 65534");
    chown(&place.dir(), None, Some(0));
    assert!(!place.verdicts()[0].starts_with("E_"), "{:?}", place.verdicts());
}

#[test]
fn a_link_is_as_good_as_every_directory_on_its_way() {
    let place = Place::with(&[]);
    let (open, shut) = (place.state().join("open"), place.state().join("shut"));
    fs::create_dir_all(&open).expect("it is new");
    fs::create_dir_all(&shut).expect("it is new");
    fs::write(shut.join("real.so"), noop()).expect("it is new");
    symlink("../shut/real.so", open.join("between.so")).expect("it is new");
    symlink(open.join("between.so"), place.file("x.so")).expect("it is new");
    assert!(!place.verdicts()[0].starts_with("E_"), "{:?}", place.verdicts());
    // The file and where it stands are as before; the link between is not.
    chmod(&open, 0o777);
    let verdict = place.verdicts().remove(0);
    assert!(verdict.starts_with("E_WRITABLE x.so: ") && verdict.contains("/open` is"), "{verdict}");
}

#[test]
fn of_files_with_one_name_none_is_used_and_each_names_another() {
    let twin = patched(noop(), NOTE, r#""name":"noop","version":"0.1.1""#);
    let third = patched(noop(), NOTE, r#""name":"noop","version":"0.1.2""#);
    let place = Place::with(&[("a.so", noop()), ("b.so", &twin), ("c.so", &third)]);
    let verdicts = place.verdicts();
    assert_eq!(verdicts.len(), 3, "{verdicts:?}");
    for (verdict, [file, other]) in
        verdicts.iter().zip([["a.so", "b.so"], ["b.so", "a.so"], ["c.so", "a.so"]])
    {
        assert_eq!(
            verdict,
            &format!(
                "E_DUPLICATE plugin `noop` ({file}): `{other}` says that it is plugin `noop` too, so \
                 neither is used; remove one"
            )
        );
    }
}

#[test]
fn one_content_under_two_names_is_one_plugin() {
    let place = Place::with(&[("a.so", noop())]);
    symlink("a.so", place.file("b.so")).expect("it is new");
    assert_eq!(place.verdicts(), ["ok noop"]);
}

#[test]
fn only_shared_libraries_of_the_directory_itself_are_looked_at() {
    let place = Place::with(&[
        (".hidden.so", b"x"),
        ("upload.so.part", b"x"),
        ("README", b"x"),
        ("good.so", smallest()),
    ]);
    fs::create_dir(place.file("sub")).expect("it is new");
    fs::write(place.file("sub/deep.so"), b"x").expect("it is writable");
    assert_eq!(place.verdicts(), ["ok smallest"]);
}

#[test]
fn a_directory_that_is_not_there_is_one_row() {
    let place = Place::with(&[]);
    let list = |dir_named| {
        let plugins = Plugins { dir_named, ..Plugins::of("/nonexistent/plugins") };
        Registry::discover(plugins, Places::below(place.state()), program()).list()
    };
    let entries = list(true);
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].problem.as_ref().map(|p| p.code), Some(Code::Directory));
    assert!(list(false).is_empty(), "nobody said that it should be there");
}

#[test]
fn what_runs_is_a_private_copy_named_by_its_content() {
    let place = Place::with(&[("x.so", noop())]);
    let list = place.discover().list();
    let digest = list[0].digest.clone().expect("a good plugin has one");
    let copy = place.state().join("plugins").join(&digest).join("noop.so");
    assert_eq!(copies(&place), [&*copy]);
    assert_eq!(fs::read(&copy).expect("it is there"), noop());
    let mode = |path: &Path| path.metadata().expect("it is there").permissions().mode() & 0o7777;
    assert_eq!((mode(&copy), mode(copy.parent().expect("it has one"))), (0o500, 0o700));

    // A damaged copy is made anew, and one that nothing refers to any more is removed.
    fs::set_permissions(&copy, Permissions::from_mode(0o700)).expect("it is ours");
    fs::write(&copy, b"damaged").expect("it is writable");
    assert_eq!(place.verdicts(), ["ok noop"]);
    assert_eq!(fs::read(&copy).expect("it is there"), noop());
    fs::write(place.file("x.so"), smallest()).expect("it is writable");
    assert_eq!(place.verdicts(), ["ok smallest"]);
    assert!(!copy.exists());
    assert_eq!(copies(&place).len(), 1);
}
