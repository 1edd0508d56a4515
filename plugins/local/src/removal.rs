//! Removing what a job has had its hands on.

use std::{fs, io, os::unix::fs::PermissionsExt as _, path::Path};

/// Removes a directory with all that is in it. One that is not there is removed.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    let gone = |result: io::Result<()>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    match gone(fs::remove_dir_all(path)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            // A directory that the job has closed to us is ours all the same.
            open_directories(path)?;
            gone(fs::remove_dir_all(path))
        }
        other => other,
    }
}

fn open_directories(directory: &Path) -> io::Result<()> {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        // Of the entry itself: a link to a directory is not followed.
        if entry.file_type()?.is_dir() {
            open_directories(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_job_left_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let [directory, outside] = ["attempt", "outside"].map(|name| root.path().join(name));
        fs::create_dir_all(outside.join("kept")).unwrap();
        let locked = directory.join("work/a");
        fs::create_dir_all(locked.join("b")).unwrap();
        std::os::unix::fs::symlink(&outside, locked.join("link")).unwrap();
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o0)).unwrap();
        remove(&directory).unwrap();
        remove(&directory).unwrap();
        assert!(!directory.exists());
        assert!(outside.join("kept").exists());
    }
}
