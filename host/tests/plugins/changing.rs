//! Files that somebody writes while the host reads them.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use longshore::{
    clock::Moment,
    plugin::{Code, inspect},
};

use super::bench::{Place, noop, patched};

const VERSION: &str = r#""name":"noop","version":"0.1.0""#;

#[test]
fn of_a_file_that_is_being_written_no_mixture_is_ever_taken() {
    // They differ at both ends, so whoever reads while one is written over the other has a third.
    let old = [noop(), b"0"].concat();
    let new = patched(noop(), VERSION, r#""name":"noop","version":"0.1.1""#);
    let new = [&*new, b"1"].concat();
    let place = Place::with(&[("x.so", &old)]);
    let path = place.file("x.so");
    let digest = |content: &[u8]| {
        fs::write(&path, content).expect("it is writable");
        inspect(&path).expect("nobody writes it now").digest
    };
    let good = [digest(&old), digest(&new)];

    let enough = AtomicBool::new(false);
    let mut refused = 0;
    thread::scope(|scope| {
        // In place and in small pieces: between any two of them the file is neither.
        scope.spawn(|| {
            let file = File::options().write(true).open(&path).expect("it is there");
            for content in [&old, &new].into_iter().cycle() {
                for (piece, at) in content.chunks(64 << 10).zip((0..).step_by(64 << 10)) {
                    file.write_all_at(piece, at).expect("it is writable");
                    if enough.load(Ordering::Relaxed) {
                        return;
                    }
                }
            }
        });
        let deadline = Moment::now().after(Duration::from_secs(30));
        for look in 0.. {
            match inspect(&path) {
                Ok(seen) if good.contains(&seen.digest) => {}
                Err(problem) if problem.code == Code::Changing => refused += 1,
                other => {
                    enough.store(true, Ordering::Relaxed);
                    panic!("look {look} took a mixture: {other:?}");
                }
            }
            if look >= 20 && refused > 0 || deadline.remaining().is_zero() {
                break;
            }
        }
        enough.store(true, Ordering::Relaxed);
    });
    assert!(refused > 0, "the writer never got between two looks at the file's times");

    assert_eq!(digest(&new), good[1], "once it is written");
}
