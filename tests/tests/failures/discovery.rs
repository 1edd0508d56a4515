//! Files, and how they come to be where they are.

use std::{
    ffi::OsStr,
    fs::{self, Permissions},
    io::Write as _,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{PermissionsExt as _, chown, symlink},
    },
    path::Path,
    time::Duration,
};

use longshore_tests::{
    Scene, evil,
    fixture::replaced,
    scene,
    wait::{PATIENCE, pause},
    wait_until,
};
use rustix::{
    fs::{CWD, Mode, mkfifoat},
    process::{Pid, Signal, kill_process},
};
use serde_json::{Value, json};

use crate::shelf::{library, looked, made_of, named, put, watching};

/// Every row of a plugin.
fn rows(scene: &Scene, plugin: &str) -> Vec<Value> {
    let answer = scene.client.get("/api/3.0/plugins");
    assert_eq!(answer.status, 200, "{}", answer.text);
    let rows = answer.json["plugins"].as_array().unwrap();
    rows.iter().filter(|row| row["name"] == plugin).cloned().collect()
}

/// What a process has mapped.
fn maps(pid: &Value) -> String {
    fs::read_to_string(format!("/proc/{pid}/maps")).unwrap()
}

#[test]
fn a_file_that_is_no_library_says_what_it_is() {
    let scene = Scene::of(watching(""));
    let files = [
        ("empty.so", &b""[..], "an empty file"),
        ("text.so", b"Not found", "a text file of 9 bytes"),
        ("short.so", b"\x80ELF", "a file of 4 bytes"),
    ];
    for (file, content, says) in files {
        put(&scene, file, content);
        let why = scene.says(file, "E_NOT_ELF");
        assert!(why.contains(says), "{why}");
    }
    scene.finish();
}

#[test]
fn a_truncated_library_is_never_mapped() {
    let scene = Scene::of(watching(&made_of("noop", "noop", "")));
    let whole = library("noop");
    for (file, len) in [("half.so", whole.len() / 2), ("all-but-one.so", whole.len() - 1)] {
        put(&scene, file, &whole[..len]);
        let why = scene.says(file, "E_TRUNCATED");
        assert!(why.contains(&format!("{len} of {} bytes", whole.len())), "{why}");
    }
    assert_eq!(scene.row("noop")["standing"], "absent", "and nothing is made of it");
    scene.finish();
}

#[test]
fn a_pin_catches_what_no_header_shows() {
    let scene = Scene::of(watching(&made_of("smallest", "smallest", "")));
    let good = library("smallest");
    put(&scene, "smallest.so", &good);
    let _ = scene.stands("smallest", "ready");
    let _ = scene.host.prints(&["plugin", "lock"]);

    // Behind all that is loaded: what only debuggers read.
    let mut flipped = good;
    let at = flipped.len() * 3 / 4;
    flipped[at] ^= 1;
    put(&scene, "smallest.so", &flipped);
    let why = scene.says("smallest.so", "E_PIN");
    assert!(why.contains("`longshore plugin lock`"), "{why}");
    let id = scene.client.submit("smallest", json!({}));
    assert_eq!(scene.client.result(&id), "done", "the one that was pinned goes on");
    scene.finish();
}

#[test]
fn a_zeroed_page_is_caught_by_pin_or_probe() {
    let scene = Scene::of(watching(&made_of("smallest", "smallest", "")));
    let good = library("smallest");
    put(&scene, "smallest.so", &good);
    let _ = scene.stands("smallest", "ready");
    let _ = scene.host.prints(&["plugin", "lock"]);
    put(&scene, "smallest.so", &without_code(good));
    let _ = scene.says("smallest.so", "E_PIN");

    fs::remove_file(scene.host.path("plugins.lock")).unwrap();
    let why = scene.says("smallest", "E_CRASHED");
    assert!(why.contains("while it was loaded"), "{why}");
    let id = scene.client.submit("smallest", json!({}));
    assert_eq!(scene.client.result(&id), "done", "the one before goes on");
    scene.finish();
}

/// The library with zeros for every page of its code.
pub(crate) fn without_code(mut library: Vec<u8>) -> Vec<u8> {
    let word = |at: usize| usize::from_le_bytes(library[at..at + 8].try_into().unwrap());
    let (table, count) = (word(32), usize::from(library[56]));
    let (load, executable) = (1_u32.to_le_bytes(), 1);
    let segments = (0..count).map(|i| table + i * 56);
    let is_code = |at: &usize| library[*at..at + 4] == load && library[at + 4] & executable != 0;
    let code = segments.filter(is_code).map(|at| word(at + 8)..word(at + 8) + word(at + 32));
    let code: Vec<_> = code.collect();
    assert!(!code.is_empty(), "a library has code");
    code.into_iter().for_each(|code| library[code].fill(0));
    library
}

#[test]
fn another_processor_is_named() {
    let scene = Scene::of(watching(""));
    let mut other = library("noop");
    let (theirs, machine) =
        if cfg!(target_arch = "aarch64") { ("x86_64", 62) } else { ("aarch64", 183) };
    other[18] = machine;
    put(&scene, "other.so", &other);
    let why = scene.says("other.so", "E_WRONG_ARCH");
    let ours = std::env::consts::ARCH;
    assert!(why.contains(&format!("built for {theirs}, this host runs on {ours}")), "{why}");
    scene.finish();
}

#[test]
fn a_program_an_object_and_32_bits_are_told_apart() {
    let scene = Scene::of(watching(""));
    let with = |at: usize, byte: u8| {
        let mut library = library("noop");
        library[at] = byte;
        library
    };
    let files = [
        ("executable.so", with(16, 2), "E_NOT_A_LIBRARY", "a program"),
        ("object.so", with(16, 1), "E_NOT_A_LIBRARY", "an object file"),
        // Of the same ELF type as a library.
        ("program.so", fs::read("/proc/self/exe").unwrap(), "E_NOT_A_LIBRARY", "a program"),
        ("short-words.so", with(4, 1), "E_WRONG_ARCH", "a 32-bit processor"),
        ("big-endian.so", with(5, 2), "E_WRONG_ARCH", "a big-endian processor"),
    ];
    for (file, content, code, says) in files {
        put(&scene, file, &content);
        let why = scene.says(file, code);
        assert!(why.contains(says), "{why}");
    }
    scene.finish();
}

#[test]
fn a_directory_and_dangling_links_are_rows() {
    let scene = Scene::of(watching(""));
    fs::create_dir(scene.host.path("plugins/directory.so")).unwrap();
    symlink("nowhere", scene.host.path("plugins/dangling.so")).unwrap();
    symlink("loop.so", scene.host.path("plugins/loop.so")).unwrap();
    let _ = scene.says("directory.so", "E_NOT_A_FILE");
    let why = scene.says("dangling.so", "E_OPEN");
    assert!(why.contains("a symbolic link to `nowhere`"), "{why}");
    let _ = scene.says("loop.so", "E_OPEN");
    scene.finish();
}

#[test]
fn a_pipe_named_like_a_plugin_blocks_nobody() {
    let scene = Scene::of(watching(""));
    mkfifoat(CWD, scene.host.path("plugins/pipe.so"), Mode::RUSR | Mode::WUSR).unwrap();
    let _ = scene.says("pipe.so", "E_NOT_A_FILE");
    looked(&scene);
    scene.finish();
}

#[test]
fn one_content_under_three_names_is_one_plugin() {
    let scene = Scene::of(watching(&made_of("noop", "noop", "")));
    let plugins = scene.host.path("plugins");
    put(&scene, "a.so", &library("noop"));
    symlink("a.so", plugins.join("b.so")).unwrap();
    fs::hard_link(plugins.join("a.so"), plugins.join("c.so")).unwrap();
    put(&scene, "d.so", &library("noop"));
    looked(&scene);
    let _ = scene.stands("noop", "ready");
    let rows = rows(&scene, "noop");
    assert_eq!(rows.len(), 1, "{rows:#?}");
    assert_eq!(rows[0]["problem"], Value::Null);

    // Its name may go while another of them stays.
    fs::remove_file(plugins.join("a.so")).unwrap();
    let _ = scene.says("b.so", "E_OPEN");
    let id = scene.client.submit("noop", json!({}));
    let _ = scene.client.until(&id, "SUCCEEDED");
    scene.finish();
}

#[test]
fn of_two_files_with_one_name_neither_is_used() {
    let next = |name: &str, library| {
        let says = |version: &str| format!("\"name\":\"{name}\",\"version\":\"{version}\"");
        replaced(library, &says("0.1.0"), &says("0.1.1"))
    };
    let setup = watching(&[made_of("noop", "noop", ""), made_of("smallest", "one", "")].concat());
    let setup = setup.plugin("smallest").file("plugins/a.so", library("noop"));
    let scene = Scene::of(setup.file("plugins/b.so", next("noop", library("noop"))));
    for (file, other) in [("a.so", "b.so"), ("b.so", "a.so")] {
        let why = scene.says(file, "E_DUPLICATE");
        assert!(why.contains(&format!("{other}` says that it is plugin `noop` too")), "{why}");
    }
    let _ = scene.says("noop", "E_DUPLICATE");

    // Beside one that runs: that one stays.
    put(&scene, "twin.so", &next("smallest", library("smallest")));
    let why = scene.says("twin.so", "E_DUPLICATE");
    assert!(why.contains("stays in use"), "{why}");
    let id = scene.client.submit("one", json!({}));
    assert_eq!(scene.client.result(&id), "done");
    scene.finish();
}

#[test]
fn a_reserved_name_is_refused() {
    let scene = Scene::of(watching(""));
    put(&scene, "host.so", &named("noop", "host", library("noop")));
    let why = scene.says("host.so", "E_RESERVED");
    assert!(why.contains("`host` is not a name for a plugin"), "{why}");
    scene.finish();
}

#[test]
fn a_link_is_as_good_as_every_directory_on_its_way() {
    let scene = Scene::of(watching(""));
    let (open, shut) = (scene.host.path("open"), scene.host.path("shut"));
    fs::create_dir(&open).unwrap();
    fs::create_dir(&shut).unwrap();
    fs::write(shut.join("real.so"), library("noop")).unwrap();
    symlink("../shut/real.so", open.join("between.so")).unwrap();
    chmod(&open, 0o777);
    symlink(open.join("between.so"), scene.host.path("plugins/link.so")).unwrap();
    let why = scene.says("link.so", "E_WRITABLE");
    assert!(why.contains("/open` is writable for all"), "{why}");
    scene.finish();
}

#[test]
fn what_others_may_write_is_not_run() {
    let scene = Scene::of(watching(&made_of("noop", "noop", "")));
    put(&scene, "noop.so", &library("noop"));
    let file = scene.host.path("plugins/noop.so");
    let _ = scene.stands("noop", "ready");
    fs::remove_file(&file).unwrap();
    let _ = scene.says("noop", "E_GONE");

    let nobody = 65534;
    let give = |user, group| {
        chown(&file, user, group).expect("this test gives files away: run it as root");
    };
    put(&scene, "noop.so", &library("noop"));
    chmod(&file, 0o666);
    let why = scene.says("noop.so", "E_WRITABLE");
    assert!(why.contains("`chmod o-w` it"), "{why}");
    chmod(&file, 0o664);
    give(None, Some(nobody));
    wait_until("the group is the reason", PATIENCE, || {
        scene.says("noop.so", "E_WRITABLE").contains("group 65534").then_some(())
    });
    chmod(&file, 0o644);
    give(Some(nobody), Some(0));
    let why = scene.says("noop.so", "E_OWNER");
    assert!(why.contains("belongs to user 65534"), "{why}");
    give(Some(0), None);
    let _ = scene.stands("noop", "ready");
    scene.finish();
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn what_is_checked_is_what_runs() {
    let scene = Scene::of(watching(&made_of("smallest", "smallest", "")));
    let good = library("smallest");
    put(&scene, "smallest.so", &good);
    let before = scene.stands("smallest", "ready");
    let digest = before["digest"].as_str().unwrap();
    let copy = scene.host.path(&format!("state/plugins/{digest}/smallest.so"));
    assert!(fs::read(&copy).unwrap() == good, "the copy is what was read");

    // In place, and then it is needed again.
    fs::write(scene.host.path("plugins/smallest.so"), "something else").unwrap();
    let _ = scene.says("smallest.so", "E_NOT_ELF");
    let pid = before["pid"].as_i64().unwrap().try_into().unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    let after = wait_until("it runs again", PATIENCE, || {
        let row = scene.row("smallest");
        (row["standing"] == "ready" && row["pid"] != before["pid"]).then_some(row)
    });
    assert_eq!(after["digest"], before["digest"]);
    assert!(maps(&after["pid"]).contains(&*copy.to_string_lossy()));
    let id = scene.client.submit("smallest", json!({}));
    assert_eq!(scene.client.result(&id), "done");
    scene.finish();
}

#[test]
fn an_overwritten_file_does_not_touch_running_code() {
    let scene = Scene::of(watching(&evil("")));
    let hold = scene.host.path("hold");
    let id = scene.client.submit("evil", json!({ "hold": hold }));
    let _ = scene.client.until(&id, "RUNNING");
    // `cp` over it: the same file, cut to nothing and written anew.
    let file = scene.host.path("plugins/liblongshore_evil.so");
    fs::write(file, &library("evil")[..4096]).unwrap();
    let _ = scene.says("liblongshore_evil.so", "E_TRUNCATED");
    fs::write(hold, "").unwrap();
    assert_eq!(scene.client.until(&id, "SUCCEEDED")["attempt"], 1);
    scene.finish();
}

#[test]
fn a_renamed_over_file_is_new_code() {
    let scene = Scene::of(watching(&made_of("noop", "noop", "config = { echo = true }")));
    put(&scene, "noop.so", &library("noop"));
    let before = scene.stands("noop", "ready");
    assert_eq!(before["version"], "0.1.0");
    put(&scene, "noop.so", &everywhere(library("noop"), "0.1.0", "0.1.1"));
    wait_until("the next version runs", PATIENCE, || {
        let row = scene.row("noop");
        (row["version"] == "0.1.1" && row["standing"] == "ready").then_some(())
    });
    assert_ne!(scene.row("noop")["digest"], before["digest"]);
    let id = scene.client.submit("noop", json!({ "n": 1 }));
    assert_eq!(scene.client.result(&id), json!({ "n": 1 }));

    // And one that is not all of the next is not used, and says so.
    let note = "\"name\":\"noop\",\"version\":\"0.1.0\"";
    put(&scene, "noop.so", &replaced(library("noop"), note, &note.replace("0.1.0", "0.1.2")));
    let _ = scene.says("noop", "E_DESCRIBE");
    scene.finish();
}

/// The library with a text replaced wherever it stands.
fn everywhere(mut library: Vec<u8>, from: &str, to: &str) -> Vec<u8> {
    let found = library.windows(from.len()).enumerate();
    let found = found.filter_map(|(at, text)| (text == from.as_bytes()).then_some(at));
    let found: Vec<_> = found.collect();
    found.into_iter().for_each(|at| library[at..at + to.len()].copy_from_slice(to.as_bytes()));
    library
}

#[test]
fn each_content_has_a_path_of_its_own() {
    let scene = Scene::of(watching(&made_of("smallest", "smallest", "")));
    let mut digests = Vec::new();
    for number in 0..3 {
        // Behind all that anybody looks at: another content of the same plugin.
        let content = [library("smallest"), vec![number]].concat();
        put(&scene, "smallest.so", &content);
        let row = wait_until("the new content runs", PATIENCE, || {
            let row = scene.row("smallest");
            let is_new = !digests.contains(&row["digest"]);
            (is_new && row["standing"] == "ready").then_some(row)
        });
        let digest = row["digest"].as_str().unwrap();
        let maps = maps(&row["pid"]);
        assert!(maps.contains(&format!("/state/plugins/{digest}/smallest.so")), "{maps}");
        digests.push(row["digest"].clone());
    }
    // A fourth is a text under the same path.
    put(&scene, "smallest.so", b"no library");
    let _ = scene.says("smallest.so", "E_NOT_ELF");
    assert_eq!(scene.row("smallest")["digest"], digests[2]);
    scene.finish();
}

#[test]
fn a_half_written_file_is_never_used() {
    let scene = Scene::of(watching(&made_of("smallest", "smallest", "")));
    let whole = library("smallest");
    let plugins = scene.host.path("plugins");
    // On their way to another name, or from it.
    let asides = ["smallest.so.tmp", ".smallest.so", "smallest.so.bak", "smallest.so~"];
    for aside in asides {
        fs::write(plugins.join(aside), &whole).unwrap();
    }
    looked(&scene);
    let mut file = fs::File::create(plugins.join("smallest.so")).unwrap();
    for part in whole.chunks(whole.len() / 20) {
        assert_eq!(scene.row("smallest")["standing"], "absent", "half of it is there");
        file.write_all(part).unwrap();
        pause(Duration::from_millis(10));
    }
    drop(file);
    let _ = scene.stands("smallest", "ready");
    let rows = rows(&scene, "smallest");
    assert_eq!(rows.len(), 1, "one of the others was looked at: {rows:#?}");

    // And half of it that stays so is no plugin.
    put(&scene, "half.so", &whole[..whole.len() / 2]);
    let _ = scene.says("half.so", "E_TRUNCATED");
    for aside in asides {
        fs::remove_file(plugins.join(aside)).unwrap();
    }
    scene.finish();
}

#[test]
fn a_missing_default_directory_is_no_mistake() {
    let scene = Scene::of(watching(""));
    // The one that the configuration names has to be there.
    let (plugins, elsewhere) = (scene.host.path("plugins"), scene.host.path("elsewhere"));
    fs::rename(&plugins, &elsewhere).unwrap();
    let why = scene.says("plugins", "E_DIRECTORY");
    assert!(why.contains("set `plugins.dir`"), "{why}");
    assert_eq!(scene.row("local")["standing"], "ready", "what runs goes on");
    fs::rename(&elsewhere, &plugins).unwrap();
    wait_until("the directory is read again", PATIENCE, || {
        let plugins = scene.client.get("/api/3.0/plugins").json;
        plugins["plugins"].as_array()?.iter().all(|row| row["problem"].is_null()).then_some(())
    });

    let alone = scene.host.path("alone");
    fs::create_dir(&alone).unwrap();
    let config = "[executors.noop]\n[jobs.nothing]\nexecutor = \"noop\"\ncommand = [\"true\"]\n";
    fs::write(alone.join("longshore.toml"), config).unwrap();
    let config = alone.join("longshore.toml").display().to_string();
    let list = scene.host.longshore(&["plugin", "list", "--json", "--config", &config]);
    let list = { list }.env_remove("LONGSHORE_URL").output().unwrap();
    assert!(list.status.success(), "{list:?}");
    assert_eq!(serde_json::from_slice::<Value>(&list.stdout).unwrap(), json!([]), "{list:?}");
    scene.finish();
}

#[test]
fn a_file_name_is_bytes() {
    let scene = Scene::of(watching(&made_of("noop", "noop", "")));
    put(&scene, OsStr::from_bytes(b"lib\xff.so"), &library("noop"));
    let _ = scene.stands("noop", "ready");
    put(&scene, OsStr::from_bytes(b"bad\xff.so"), b"no library");
    let why = scene.says("bad\u{fffd}.so", "E_NOT_ELF");
    assert!(why.contains("a text file"), "{why}");
    let id = scene.client.submit("noop", json!({}));
    let _ = scene.client.until(&id, "SUCCEEDED");
    scene.finish();
}

#[test]
fn a_noexec_state_directory_is_named() {
    let setup = scene(&made_of("smallest", "smallest", "")).plugin("smallest");
    let host = setup.stopped();
    let file = host.path("plugins/liblongshore_smallest.so").display().to_string();
    let digest = host.prints_json(&["plugin", "inspect", "--json", &file])["digest"].clone();
    drop(host);
    // The copy of this one lies on a file system of its own, which only this host sees.
    let mount = "mkdir -p \"$0\" && mount -t tmpfs -o noexec,mode=0700 none \"$0\" && exec \"$@\"";
    let setup = scene(&made_of("smallest", "smallest", "")).plugin("smallest");
    let copy = setup.path("state/plugins").join(digest.as_str().unwrap());
    let words = ["unshare", "--mount", "sh", "-c", mount].map(Into::into);
    let scene = Scene::of(setup.wrapped(words.into_iter().chain([copy.into_os_string()])));
    let why = scene.says("smallest", "E_LOAD");
    assert!(why.contains("mounted `noexec`?"), "{why}");
    scene.finish();
}
