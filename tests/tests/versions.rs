//! Plugins and hosts of different versions. The 1.0 is the frozen one; the 1.1 is what the sources say
//! now, with a field and a method more.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use longshore_tests::{
    built::{built, install, repository, target},
    fixture::patched,
    host::lossy,
    setup,
    vendor::build,
    wait::PATIENCE,
    wait_until,
};
use serde_json::json;

/// A text of a file of `plugin-api`, and what replaces it.
type Edit = (&'static str, &'static str, &'static str);

/// What makes a 1.1 of the sources: its name, a field behind the last one, a method with a default.
const GROWN: &[Edit] = &[
    ("Cargo.toml", "version = \"1.0.0\"", "version = \"1.1.0\""),
    ("src/abi.rs", "API: (u16, u16) = (1, 0)", "API: (u16, u16) = (1, 1)"),
    ("src/export.rs", "API_TEXT: &str = \"1.0\"", "API_TEXT: &str = \"1.1\""),
    ("src/export.rs", "API.1 == 0", "API.1 == 1"),
    ("src/export.rs", r#""api":"1.0","min_host""#, r#""api":"1.1","min_host""#),
    (
        "src/abi.rs",
        "pub open: extern \"C\" fn(HostApiBox, RString) -> RResult<ExecutorBox, PluginError>,",
        "pub open: extern \"C\" fn(HostApiBox, RString) -> RResult<ExecutorBox, PluginError>,
         /// Seven.
         pub extra: extern \"C\" fn() -> u32,",
    ),
    ("src/export.rs", "open: open::<P> }", "open: open::<P>, extra }"),
    (
        "src/export.rs",
        "extern \"C\" fn describe<P: Plugin>() -> RString {",
        "extern \"C\" fn extra() -> u32 { 7 }
         extern \"C\" fn describe<P: Plugin>() -> RString {",
    ),
    (
        "src/abi.rs",
        "fn call(&self, verb: RStr<'_>, payload: RString) -> FfiFuture<Answer>;",
        "fn call(&self, verb: RStr<'_>, payload: RString) -> FfiFuture<Answer>;
         /// Eleven.
         fn more(&self) -> u32 { 11 }",
    ),
    (
        "examples/loader.rs",
        "println!(\"{said}\");",
        "println!(\"{said}, extra {:?}, more {}\", loaded.root.extra().map(|e| e()), executor.more());",
    ),
];

/// What no minor version may do: a field in the middle.
const INSERTED: &[Edit] = &[
    ("Cargo.toml", "version = \"1.0.0\"", "version = \"1.2.0\""),
    (
        "src/abi.rs",
        "pub describe: extern \"C\" fn() -> RString,",
        "pub describe: extern \"C\" fn() -> RString,
         /// Seven.
         pub extra: extern \"C\" fn() -> u32,",
    ),
    ("src/export.rs", "open: open::<P> }", "open: open::<P>, extra }"),
    (
        "src/export.rs",
        "extern \"C\" fn describe<P: Plugin>() -> RString {",
        "extern \"C\" fn extra() -> u32 { 7 }
         extern \"C\" fn describe<P: Plugin>() -> RString {",
    ),
];

fn frozen() -> PathBuf {
    repository().join("tests/frozen/plugin-1.0")
}

fn frozen_plugin() -> PathBuf {
    build(&frozen(), &["--package", "longshore-frozen"]).join("liblongshore_frozen.so")
}

/// The frozen plugin's source as a crate of this name, with a `plugin-api` of its own: today's, edited.
fn with_edited_api(name: &str, edits: &[Edit]) -> PathBuf {
    // Always at the same place: what has not changed since the last run is not compiled again.
    let directory = target().join("vendor-sources").join(name);
    let api = directory.join("plugin-api");
    let of_the_api = repository().join("plugin-api");
    let mut files = vec![of_the_api.join("Cargo.toml"), of_the_api.join("build.rs")];
    files.extend(sources(&of_the_api.join("src")));
    files.extend(sources(&of_the_api.join("examples")));
    let mut made = 0;
    for file in files {
        let path = file.strip_prefix(&of_the_api).unwrap();
        let mut text = fs::read_to_string(&file).unwrap();
        for (_, from, to) in edits.iter().filter(|(edited, ..)| Path::new(edited) == path) {
            assert_eq!(text.matches(from).count(), 1, "{}: {from}", path.display());
            text = text.replace(from, to);
            made += 1;
        }
        write(&api.join(path), &text);
    }
    assert_eq!(made, edits.len(), "an edit is of a file that is not there");
    let read = |file: &str| fs::read_to_string(frozen().join(file)).unwrap();
    let named = |text: String| text.replace("longshore-frozen", &format!("longshore-{name}"));
    write(&directory.join("Cargo.toml"), &named(read("Cargo.toml")));
    write(&directory.join("src/lib.rs"), &read("src/lib.rs"));
    // In the shared target directory a package is known by its name, its version and its place in its
    // workspace: two edited APIs of one version would be taken for each other.
    let version = edits.iter().find(|edit| edit.0 == "Cargo.toml").expect("a version of its own").2;
    let ours = "name = \"longshore-plugin-api\"\n";
    let lock = named(read("Cargo.lock"));
    assert_eq!(lock.matches(ours).count(), 1);
    let lock = lock.replace(&format!("{ours}version = \"1.0.0\""), &format!("{ours}{version}"));
    write(&directory.join("Cargo.lock"), &lock);
    directory
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files = Vec::new();
    for entry in entries {
        if entry.is_dir() {
            files.extend(sources(&entry));
        } else {
            files.push(entry);
        }
    }
    files
}

fn write(path: &Path, text: &str) {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return;
    }
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn grown() -> PathBuf {
    with_edited_api("grown", GROWN)
}

fn grown_plugin(directory: &Path) -> PathBuf {
    build(directory, &["--package", "longshore-grown"]).join("liblongshore_grown.so")
}

#[test]
fn frozen_sources_are_untouched() {
    let digests = Command::new(repository().join("tests/frozen/digests.sh")).output().unwrap();
    assert!(digests.status.success(), "{}", lossy(&digests.stderr));
    let recorded = repository().join("tests/frozen/plugin-1.0.sha256");
    let recorded = fs::read_to_string(recorded).unwrap();
    let found = lossy(&digests.stdout);
    let changed: Vec<&str> = recorded
        .lines()
        .filter(|line| !found.lines().any(|found| found == *line))
        .chain(found.lines().filter(|line| !recorded.lines().any(|kept| kept == *line)))
        .collect();
    assert!(changed.is_empty(), "see tests/frozen/README.md: {changed:#?}");
}

#[test]
fn a_plugin_of_1_0_runs_jobs_in_both_isolations_and_keeps_every_promise() {
    let plugin = frozen_plugin();
    let check = Command::new(built().host())
        .args(["plugin", "check"])
        .arg(&plugin)
        .arg("--with")
        .arg(frozen().join("check.toml"))
        .output()
        .unwrap();
    assert!(check.status.success(), "{}{}", lossy(&check.stdout), lossy(&check.stderr));

    let mut host = setup(
        r#"
        [executors.apart]
        plugin = "frozen"
        isolation = "process"
        [executors.together]
        plugin = "frozen"
        isolation = "none"
        [jobs.apart]
        executor = "apart"
        command = ["true"]
        [jobs.together]
        executor = "together"
        command = ["true"]
        "#,
    )
    .stopped();
    install(&plugin, &host.path("plugins"));
    host.start();
    let client = host.client();
    for job in ["apart", "together"] {
        let id = client.submit(job, json!({ "n": [1, "two"] }));
        assert_eq!(client.result(&id), json!({ "n": [1, "two"] }));
        let long = client.submit(job, json!({ "how": "long" }));
        client.until(&long, "RUNNING");
        client.cancel(&long);
        assert_eq!(client.ended(&long)["work"], "gone");
    }
    host.finish();
}

#[test]
fn a_1_1_loads_plugins_of_1_0_and_of_1_1_in_either_order() {
    let directory = grown();
    let (old, new) = (frozen_plugin(), grown_plugin(&directory));
    let loader = build(
        &directory,
        &["--package", "longshore-plugin-api", "--example", "loader", "--features", "load"],
    )
    .join("examples/loader");
    let facts = r#"{"remote_execution":false,"scope":"host","isolation":"none","reattach":false}"#;
    let of_old = format!("frozen 1.0.0 of API 1.0: {facts}, extra None, more 11\n");
    let of_new = format!("grown 1.0.0 of API 1.1: {facts}, extra Some(7), more 11\n");
    for (first, second, expected) in
        [(&old, &new, [&*of_old, &*of_new]), (&new, &old, [&*of_new, &*of_old])]
    {
        let loaded = Command::new(&loader).args([first, second]).output().unwrap();
        let said = lossy(&loaded.stdout) + &lossy(&loaded.stderr);
        assert_eq!(said, expected.concat());
    }
}

#[test]
fn a_plugin_of_1_1_runs_on_a_1_0_unless_it_wants_a_newer_host() {
    let plugin = grown_plugin(&grown());
    let mut host =
        setup("[executors.grown]\n[jobs.grown]\nexecutor = \"grown\"\ncommand = [\"true\"]")
            .stopped();
    install(&plugin, &host.path("plugins"));
    host.start();
    let client = host.client();
    let id = client.submit("grown", json!({ "n": 1 }));
    assert_eq!(client.result(&id), json!({ "n": 1 }));

    let elsewhere = tempfile::tempdir().unwrap();
    let newer = patched(&plugin, r#""min_host":"1.0""#, r#""min_host":"1.1""#, elsewhere.path());
    install(&newer, &host.path("plugins"));
    wait_until("the newer one is refused", PATIENCE, || {
        let text = client.get("/api/3.0/plugins").text;
        (text.contains("E_API_RANGE") && text.contains("upgrade the host")).then_some(())
    });
    let id = client.submit("grown", json!({ "n": 2 }));
    assert_eq!(client.result(&id), json!({ "n": 2 }), "the one before it goes on");
    host.finish();
}

#[test]
fn a_1_1_with_a_field_in_the_middle_is_refused() {
    let directory = with_edited_api("inserted", INSERTED);
    let plugin = build(&directory, &["--package", "longshore-inserted"]);
    let plugin = plugin.join("liblongshore_inserted.so");
    let mut host = setup("[executors.inserted]").stopped();
    install(&plugin, &host.path("plugins"));
    host.start();
    let found = host.client().get("/api/3.0/plugins").json["plugins"].take();
    let row = found.as_array().unwrap().iter().find(|row| row["name"] == "inserted").unwrap();
    let text = row.to_string();
    assert!(text.contains("E_LAYOUT") && text.contains("PrefixSize at the root"), "{row:#}");
    host.finish();
}
