//! What a linker makes of C: files that no patch of a good plugin would show.

use std::{fs, process::Command};

use super::bench::Place;

/// The note of a plugin `c`, as a section that every linker makes a segment of.
const NOTE: &str = r#"asm(".section .note.longshore,\"a\"\n"
    ".balign 4\n.long 10, 2f-1f, 1\n.asciz \"Longshore\"\n.balign 4\n"
    "1: .ascii \"{\\\"note\\\":1,\\\"name\\\":\\\"c\\\",\\\"version\\\":\\\"1.0.0\\\",\\\"vendor\\\":\\\"\\\","
    "\\\"api\\\":\\\"1.0\\\",\\\"min_host\\\":\\\"1.0\\\",\\\"abi_stable\\\":\\\"0.11\\\",\\\"async_ffi_abi\\\":2,"
    "\\\"panic\\\":\\\"unwind\\\",\\\"target\\\":\\\"\\\",\\\"rustc\\\":\\\"\\\",\\\"profile\\\":\\\"release\\\"}\"\n"
    "2: .balign 4\n.previous");
"#;
const ROOT: &str = "void *_1as_0lib_1header_0root_bmodule_bloader;\n";
const WRITABLE: &str = r#"asm(".section .both,\"awx\"\n.byte 0x90\n.previous");"#;
const MAIN: &str = "int main(void) { return 0; }\n";

/// The verdict on what `cc` makes of this.
fn verdict(source: &[&str], arguments: &[&str]) -> String {
    let place = Place::with(&[]);
    let c = place.temp.path().join("c.c");
    fs::write(&c, source.concat()).expect("it is new");
    let output = Command::new("cc")
        .args(arguments)
        .arg("-o")
        .args([place.file("c.so"), c])
        .output()
        .expect("a C compiler is here: Rust links with it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    place.verdicts().remove(0)
}

#[test]
fn what_a_linker_makes_is_judged_by_what_it_is() {
    const LIBRARY: &[&str] = &["-shared", "-fPIC", "-nostdlib"];
    let program =
        "E_NOT_A_LIBRARY c.so: a program, not a shared library; build the plugin as a `cdylib`";
    let hidden =
        "E_NOT_A_PLUGIN plugin `c` (c.so): it has the note of a plugin, but does not export one; ";
    let static_root = format!("static {ROOT}");
    for (what, source, arguments, says) in [
        ("a library with note and root", [NOTE, ROOT], LIBRARY.to_vec(), "ok c"),
        (
            "one that can be linked by name",
            [NOTE, ROOT],
            [LIBRARY, &["-Wl,-soname,c"]].concat(),
            "ok c",
        ),
        ("a root of this file only", [NOTE, &static_root], LIBRARY.to_vec(), hidden),
        (
            "a root that is hidden",
            [NOTE, ROOT],
            [LIBRARY, &["-fvisibility=hidden"]].concat(),
            hidden,
        ),
        ("a root that is called", [NOTE, &format!("extern {ROOT}")], LIBRARY.to_vec(), hidden),
        (
            "no note",
            ["", ROOT],
            LIBRARY.to_vec(),
            "E_NOT_A_PLUGIN c.so: a shared library, but no Longshore plugin",
        ),
        ("a program with the note", [NOTE, MAIN], vec!["-pie", "-fPIE"], program),
        ("a program at a fixed place", [NOTE, MAIN], vec!["-no-pie"], program),
        (
            "a stack that runs",
            [NOTE, ROOT],
            [LIBRARY, &["-Wl,-z,execstack"]].concat(),
            "E_EXEC_STACK c.so: asks for an executable stack; link it with `-z noexecstack`",
        ),
        (
            "code that may be written",
            [NOTE, &format!("{ROOT}{WRITABLE}")],
            LIBRARY.to_vec(),
            "E_EXEC_STACK c.so: has code that it may write; link it without `-N` and text relocations",
        ),
        (
            "an object file",
            [NOTE, ROOT],
            vec!["-c"],
            "E_NOT_A_LIBRARY c.so: an object file, not a shared library; build the plugin as a `cdylib`",
        ),
    ] {
        let said = verdict(&source, &arguments);
        assert!(said.starts_with(says), "{what}: {said}");
    }
}
