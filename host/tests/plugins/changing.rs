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
    let next = patched(noop(), VERSION, r#""name":"noop","version":"0.1.1""#);
    let place = Place::with(&[("x.so", noop())]);
    let path = place.file("x.so");
    let old = inspect(&path).expect("nobody writes it yet").digest;
    fs::write(&path, &next).expect("it is writable");
    let new = inspect(&path).expect("nobody writes it any more").digest;

    let enough = AtomicBool::new(false);
    let mut refused = 0;
    thread::scope(|scope| {
        // In place and in small pieces: between any two of them the file is neither.
        scope.spawn(|| {
            let file = File::options().write(true).open(&path).expect("it is there");
            for content in [noop(), &*next].into_iter().cycle() {
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
                Ok(seen) if seen.digest == old || seen.digest == new => {}
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

    fs::write(&path, &next).expect("it is writable");
    assert_eq!(inspect(&path).expect("nobody writes it any more").digest, new);
}
