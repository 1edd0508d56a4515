//! Whose attempts these are. Several hosts may share a `cache_dir` for its Python environments; none of
//! them knows which of the others' evidence still counts.

use std::{fs, io, path::Path};

/// The name of this executor over restarts: drawn once, kept in `home`, which is its alone.
pub(crate) fn of(home: &Path) -> io::Result<String> {
    let file = home.join("owner");
    match fs::read_to_string(&file) {
        Ok(name) if !name.trim().is_empty() => return Ok(name.trim().to_owned()),
        // Cut off by a crash of the machine: what it named is of another boot, or proven otherwise.
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let name = fs::read_to_string("/proc/sys/kernel/random/uuid")?.trim().to_owned();
    let draft = home.join("owner.part");
    fs::write(&draft, &name)?;
    fs::rename(&draft, &file)?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_and_nobody_elses() {
        let [one, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let name = of(one.path()).unwrap();
        assert_eq!(of(one.path()).unwrap(), name);
        assert_ne!(of(other.path()).unwrap(), name);
        fs::write(one.path().join("owner"), "").unwrap();
        assert_eq!(of(one.path()).unwrap().len(), name.len());
    }
}
