//! What the dynamic linker has to say, and what runs while it is at work.

use std::fs;

use longshore_tests::{
    Scene,
    built::{built, install},
    fixture::{compiled, replaced},
    wait::PATIENCE,
};
use serde_json::{Value, json};

use crate::shelf::{evil_that, library, made_of, named, put, watching};

/// A scene with an executor `it` of what a C compiler makes of a fixture, once in a process of its own and
/// once, as `naked`, in the host's; and what both say.
fn refused(fixture: &str, code: &str) -> (Scene, String) {
    let plugin = fixture.replace('_', "-");
    let naked = made_of(&plugin, "naked", "isolation = \"none\"");
    let scene = Scene::of(watching(&[made_of(&plugin, "it", ""), naked].concat()));
    let made = tempfile::tempdir().unwrap();
    install(&compiled(fixture, made.path()), &scene.host.path("plugins"));
    let [why, naked] = ["it", "naked"].map(|executor| scene.says(executor, code));
    assert_eq!(why, naked);
    (scene, why)
}

#[test]
fn a_missing_library_is_named_with_its_plugin() {
    let (scene, why) = refused("needs_missing", "E_LOAD");
    assert!(why.contains("liblongshore_nowhere.so.7"), "{why}");
    let problem = scene.row("it")["problem"].take();
    assert_eq!(problem["plugin"], "needs-missing");
    let file = scene.host.path("plugins/needs_missing.so");
    assert_eq!(problem["file"], *file.to_string_lossy());
    scene.finish();
}

#[test]
fn the_linkers_own_words_are_printed() {
    let (scene, why) = refused("needs_missing", "E_LOAD");
    let words =
        "liblongshore_nowhere.so.7: cannot open shared object file: No such file or directory";
    assert!(why.contains(words), "{why}");
    let logged = scene.logs("cannot open shared object file");
    assert!(logged.contains("needs_missing.so") && logged.contains("E_LOAD"), "{logged}");
    scene.finish();
}

#[test]
fn a_newer_glibc_is_named() {
    let scene = Scene::of(watching(""));
    let noop = built().plugin("noop").display().to_string();
    let newest = scene.host.prints_json(&["plugin", "inspect", "--json", &noop])["glibc"].take();
    let newest = newest.as_str().unwrap();
    let [from, to] = [newest, &format!("9{}", &newest[1..])].map(|it| format!("GLIBC_{it}\0"));
    put(&scene, "newer.so", &replaced(library("noop"), &from, &to));
    let why = scene.says("newer.so", "E_GLIBC");
    assert!(why.contains("needs glibc 9.") && why.contains("an older system"), "{why}");
    scene.finish();
}

#[test]
fn an_undefined_symbol_is_found_at_load() {
    let (scene, why) = refused("undefined", "E_LOAD");
    assert!(why.contains("nobody_has_this"), "{why}");
    scene.finish();
}

#[test]
fn more_than_one_export_is_a_warning_of_the_kit() {
    // Its header is none, so that is what the host says.
    let (scene, _) = refused("exports_util", "E_LAYOUT");
    let file = scene.host.path("plugins/exports_util.so").display().to_string();
    let check = ["plugin", "check", "--json", "--only", "exports_one_symbol", &file];
    let output = scene.host.says(&check);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let tests = report["tests"].as_array().unwrap();
    let row = tests.iter().find(|row| row["test"] == "exports_one_symbol").unwrap();
    assert!(row["verdict"] == "warn" && row.to_string().contains("util"), "{row:#}");
    scene.finish();
}

#[test]
fn static_tls_says_so() {
    let (scene, why) = refused("static_tls", "E_LOAD");
    assert!(why.contains("static TLS block"), "{why}");
    assert!(why.contains("build it without `-ftls-model=initial-exec`"), "{why}");
    scene.finish();
}

#[test]
fn a_constructor_that_ends_its_process_ends_only_the_probe() {
    let isolations = [("exit", ""), ("exi0", NAKED), ("segv", ""), ("seg0", NAKED)];
    let config = isolations.map(|(name, isolation)| made_of(name, name, isolation)).concat();
    let mut scene = Scene::of(watching(&config));
    for (name, _) in isolations {
        let deed = if name.starts_with('e') { "exit" } else { "segv" };
        put(&scene, format!("{name}.so"), &named("evil", name, evil_that(deed)));
    }
    let how = |name: &str| if name.starts_with('e') { "exited with 42" } else { "SIGSEGV" };
    for (name, _) in isolations {
        let why = scene.says(name, "E_CRASHED");
        assert!(why.contains(how(name)) && why.contains("while it was loaded"), "{why}");
        // Once may be an accident. Twice is not.
        let _ = scene.stands(name, "failed");
    }
    // The neighbour ends here: its work does not outlive its host, whoever else misbehaves.
    fs::write(scene.host.path("go"), "").unwrap();
    scene.client.until_idle(PATIENCE);
    // The next host reads what became of them, and leaves them alone.
    assert!(scene.host.terminate().success());
    scene.host.start();
    scene.client = scene.host.client();
    for (name, _) in isolations {
        let why = scene.says(name, "E_CRASHED");
        assert!(why.contains("not tried again until the file or the host changes"), "{why}");
        assert!(why.contains(&format!("`longshore plugin release {name}`")), "{why}");
    }
    scene.finish();
}

const NAKED: &str = "isolation = \"none\"";

#[test]
fn a_constructor_that_hangs_costs_its_deadline() {
    let soon = "deadlines = { load = \"1s\" }";
    let naked = format!("{soon}\n{NAKED}");
    let config = [made_of("hang", "hang", soon), made_of("han0", "naked", &naked)].concat();
    let scene = Scene::of(watching(&config));
    put(&scene, "hang.so", &named("evil", "hang", evil_that("hang")));
    put(&scene, "han0.so", &named("evil", "han0", evil_that("hang")));
    for executor in ["hang", "naked"] {
        let why = scene.says(executor, "E_HUNG");
        assert!(why.contains("1s"), "{why}");
    }
    scene.finish();
}

#[test]
fn an_executable_stack_is_refused() {
    let scene = Scene::of(watching(""));
    let mut library = library("noop");
    let stack = 0x6474_e551_u32.to_le_bytes();
    let segments = (0..usize::from(library[56])).map(|i| 64 + i * 56);
    let at = { segments }.find(|at| library[*at..at + 4] == stack).expect("it says so");
    library[at + 4] |= 1;
    put(&scene, "stack.so", &library);
    let why = scene.says("stack.so", "E_EXEC_STACK");
    assert!(why.contains("an executable stack"), "{why}");

    let made = tempfile::tempdir().unwrap();
    install(&compiled("rwx", made.path()), &scene.host.path("plugins"));
    let why = scene.says("rwx.so", "E_EXEC_STACK");
    assert!(why.contains("code that it may write"), "{why}");
    scene.finish();
}

#[test]
fn a_library_that_needs_its_siblings_is_told_why() {
    let (scene, why) = refused("origin", "E_LOAD");
    assert!(why.contains("liblongshore_sibling.so"), "{why}");
    assert!(why.contains("loaded from a private copy"), "{why}");
    scene.finish();
}

#[test]
fn somebody_elses_library_is_no_plugin() {
    let scene = Scene::of(watching(&made_of("smallest", "smallest", "")));
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let libc = maps.split_whitespace().find(|word| word.contains("/libc.so")).unwrap();
    put(&scene, "libc.so", &fs::read(libc).unwrap());
    let why = scene.says("libc.so", "E_NOT_A_PLUGIN");
    assert!(why.contains("export_executor!"), "{why}");
    put(&scene, "smallest.so", &library("smallest"));
    let _ = scene.stands("smallest", "ready");
    let id = scene.client.submit("smallest", json!({}));
    assert_eq!(scene.client.result(&id), "done");
    scene.finish();
}

#[test]
fn another_products_plugin_is_told_apart() {
    let scene = Scene::of(watching(""));
    put(&scene, "other.so", &replaced(library("noop"), "Longshore\0", "Shortlore\0"));
    let why = scene.says("other.so", "E_NOT_A_PLUGIN");
    assert!(why.contains("it has no `Longshore` note"), "{why}");
    scene.finish();
}
