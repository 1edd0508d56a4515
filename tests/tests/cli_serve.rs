//! The first start of a host, and what an operator can spoil before the next.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    process::Output,
};

use longshore_tests::{TestHost, host::lossy, setup};

const HELLO: &str = "[jobs.hello]\ncommand = [\"true\"]";

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn refused(host: &TestHost) -> String {
    let Output { status, stdout, stderr } = host.says(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!((status.code(), lossy(&stdout)), (Some(1), String::new()), "{}", lossy(&stderr));
    lossy(&stderr)
}

#[test]
fn the_first_start_makes_a_private_state_and_a_secret_token_whatever_the_umask_is() {
    let umask = ["sh", "-c", "umask 0; exec \"$0\" \"$@\""].map(Into::into);
    let mut host = setup(HELLO).wrapped(umask).start();
    let token = fs::read_to_string(host.path("state/admin-token")).unwrap();
    assert!(token.len() >= 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(mode(&host.path("state")), 0o700);
    assert_eq!(mode(&host.path("state/admin-token")), 0o600);
    host.terminate();
    host.start();
    assert_eq!(fs::read_to_string(host.path("state/admin-token")).unwrap(), token, "it is kept");
    host.finish();
}

#[test]
fn a_host_does_not_start_on_what_others_can_write_or_read() {
    let mut host = setup(HELLO).start();
    assert!(host.terminate().success());
    let (state, token) = (host.path("state"), host.path("state/admin-token"));

    set_mode(&state, 0o777);
    let said = refused(&host);
    let expected = format!(
        "others may write the state directory `{state}` (mode 777), where the host loads code from; `chmod 700 {state}`",
        state = state.display()
    );
    assert!(said.contains(&expected), "{said}");

    set_mode(&state, 0o755);
    set_mode(&token, 0o644);
    let said = refused(&host);
    assert!(said.contains("others may look into the state directory"), "a warning: {said}");
    assert!(said.contains("can be read by others (mode 644); run `chmod 600"), "{said}");

    set_mode(&token, 0o600);
    host.start();
    host.finish();
}

#[test]
fn a_host_does_not_become_another_because_its_seat_cannot_be_read() {
    let mut host = setup(HELLO).start();
    assert!(host.terminate().success());
    let seat = host.path("state/replica.json");
    let kept = fs::read(&seat).unwrap();
    fs::write(&seat, &kept[..kept.len() / 2]).unwrap();
    let said = refused(&host);
    let expected = format!("`{}` does not say which host this is; restore it", seat.display());
    assert!(said.contains(&expected), "{said}");
    fs::write(&seat, kept).unwrap();
    host.start();
    host.finish();
}
