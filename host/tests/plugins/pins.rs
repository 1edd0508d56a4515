//! The lock file: which contents are meant.

use std::fs;

use longshore::{
    config::Plugins,
    plugin::{Places, Registry},
};

use super::bench::{Place, copies, noop, patched, program};

const VERSION: &str = r#""name":"noop","version":"0.1.0""#;

fn lock(place: &Place, keep: bool) {
    let found =
        Registry::discover(Plugins::of(place.dir()), Places::below(place.state()), program())
            .list();
    let [plugin] = &*found else { panic!("one plugin: {found:?}") };
    let (Some(name), Some(version), Some(digest)) = (&plugin.name, &plugin.version, &plugin.digest)
    else {
        panic!("it is usable: {plugin:?}")
    };
    let mut pins = place.pins(false);
    pins.lock(name, version, digest, keep);
    pins.write().expect("it is writable");
}

#[test]
fn a_pin_catches_what_no_header_shows_before_anything_is_kept() {
    let place = Place::with(&[("noop.so", noop())]);
    lock(&place, false);
    assert_eq!(place.verdicts(), ["ok noop"]);
    fs::remove_dir_all(place.state()).unwrap();

    let mut flipped = noop().to_vec();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    fs::write(place.file("noop.so"), flipped).unwrap();
    let verdict = place.verdicts().remove(0);
    assert!(verdict.starts_with("E_PIN plugin `noop` (noop.so): its content is "), "{verdict}");
    assert!(
        verdict.ends_with("(version 0.1.0); if it is meant, run `longshore plugin lock`"),
        "{verdict}"
    );
    assert!(copies(&place).is_empty(), "{:?}", copies(&place));
}

#[test]
fn the_next_version_can_be_pinned_beside_the_one_in_use() {
    let place = Place::with(&[("noop.so", noop())]);
    lock(&place, false);
    let next = patched(noop(), VERSION, r#""name":"noop","version":"0.1.1""#);
    fs::write(place.file("noop.so"), next).unwrap();
    lock(&place, true);
    assert_eq!(place.verdicts(), ["ok noop"]);
    fs::write(place.file("noop.so"), noop()).unwrap();
    assert_eq!(place.verdicts(), ["ok noop"], "back to the old one");
    lock(&place, false);
    assert_eq!(place.pins(false).plugins()["noop"].sha256.len(), 1, "without the one it replaced");
}

#[test]
fn what_is_not_pinned_runs_only_where_pins_are_not_required() {
    let place = Place::with(&[("noop.so", noop())]);
    let problem = |required| {
        let found =
            Registry::discover(place.settings(required), Places::below(place.state()), program())
                .list();
        found[0].problem.as_ref().map(|problem| problem.code.as_str())
    };
    assert_eq!((problem(false), problem(true)), (None, Some("E_UNPINNED")));
}

#[test]
fn a_lock_file_that_cannot_be_read_lets_nothing_through() {
    let place = Place::with(&[("noop.so", noop())]);
    fs::write(place.temp.path().join("plugins.lock"), "[[plugin]]\nname = 7\n").unwrap();
    let verdict = place.verdicts().remove(0);
    assert!(verdict.starts_with("E_PIN ") && verdict.contains("mend or remove it"), "{verdict}");
}
