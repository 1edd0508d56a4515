//! Panics, aborts and exits.

use longshore_tests::{Scene, evil, scene};

#[test]
fn a_panic_while_it_opens_is_the_reason() {
    let here = evil("config = { mode = \"panic-new\" }");
    let scene = Scene::of(scene(&here));
    let why = scene.says("evil", "E_EXECUTOR");
    assert!(why.contains("asked to panic in new"), "{why}");
    scene.finish();
}
