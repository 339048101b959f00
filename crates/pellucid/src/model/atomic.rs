//! Files that are replaced whole or not at all.
//!
//! The new content goes to a temporary file in the same folder (a rename works only within one file system), is flushed
//! and synced, and then renamed over the target; the folder is synced so that the rename survives a power loss.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};
use thiserror::Error;

/// Large enough that the number of system calls does not matter beside the copying.
const BUFFER_BYTES: usize = 256 * 1024;

/// Why a file could not be written. Except for [`WriteError::NotSynced`], what stood at the path before is untouched.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The path ends in nothing that could name a file.
    #[error("cannot write {}: the path names no file; add a file name", path.display())]
    NoFileName {
        /// The path as given.
        path: PathBuf,
    },
    /// A folder stands at the path.
    #[error("cannot write {}: a folder of this name is in the way; choose another name or add a file name", path.display())]
    IsFolder {
        /// The path as given.
        path: PathBuf,
    },
    /// A device, pipe or socket stands at the path; a rename would destroy it.
    #[error("cannot write {}: it is a device or pipe, not a file; choose a file", path.display())]
    NotRegular {
        /// The path as given.
        path: PathBuf,
    },
    /// The file exists and is marked read-only.
    #[error("cannot write {}: the file is read-only; make it writable or choose another name", path.display())]
    ReadOnly {
        /// The path as given.
        path: PathBuf,
    },
    /// The folder does not exist or is not a folder.
    #[error("cannot write {}: there is no folder {}; create it first", path.display(), folder.display())]
    NoFolder {
        /// The path as given.
        path: PathBuf,
        /// The folder that is missing.
        folder: PathBuf,
    },
    /// The operating system, or the writing function, reported an error.
    #[error("cannot write {} ({doing}): {source}{}", path.display(), advice(source.kind()))]
    Io {
        /// The path as given.
        path: PathBuf,
        /// The step that failed.
        doing: &'static str,
        /// What the operating system says.
        source: io::Error,
    },
    /// The new file is in place, but the folder could not be synced: after a power loss the old one may be back.
    #[error("{} was written, but its folder could not be synced, so a power loss may undo it: {source}", path.display())]
    NotSynced {
        /// The path as given.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

fn advice(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "; free some space or choose another folder",
        ErrorKind::PermissionDenied => "; choose a folder that you may write to",
        ErrorKind::ReadOnlyFilesystem => "; the file system is read-only, choose another folder",
        _ => "",
    }
}

/// Replaces the file at `path` by what `write` writes, or creates it. At every moment, also after a kill or a power
/// loss, the path holds the whole old or the whole new content. On an error (or panic) of `write` the old file is
/// untouched and the temporary file removed; only a kill can leave one behind (see [`remove_leftovers`]).
///
/// The file has the permissions of an ordinary created file (0666 less the umask on Unix). A symbolic link is followed.
///
/// # Errors
/// [`WriteError`], which names the path, the step and the cause.
pub fn write_atomically<T>(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<T>) -> Result<T, WriteError> {
    let (staged, value) = stage(path, write)?;
    staged.replace()?;
    Ok(value)
}

/// A complete and synced temporary file that waits to take its place; dropped, it is removed.
pub struct Staged {
    file: NamedTempFile,
    /// The path as the caller gave it, for messages.
    path: PathBuf,
    target: PathBuf,
    folder: PathBuf,
}

/// The first half of [`write_atomically`]: everything but the rename.
///
/// # Errors
/// As [`write_atomically`].
pub fn stage<T>(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<T>) -> Result<(Staged, T), WriteError> {
    // Links are followed, so that the file behind the link is replaced and not the link; a path to nothing stays as it is.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let name = target.file_name().ok_or_else(|| WriteError::NoFileName { path: path.to_path_buf() })?;
    check_target(path, &target)?;
    let folder = folder_of(&target);
    if !folder.is_dir() {
        return Err(WriteError::NoFolder { path: path.to_path_buf(), folder });
    }

    let failed = |doing| move |source| WriteError::Io { path: path.to_path_buf(), doing, source };
    let mut builder = Builder::new();
    let prefix = leftover_prefix(&name.to_string_lossy());
    builder.prefix(&prefix).suffix(LEFTOVER_SUFFIX);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let file = builder.tempfile_in(&folder).map_err(failed("creating the temporary file"))?;

    let mut writer = BufWriter::with_capacity(BUFFER_BYTES, file.as_file());
    let value = write(&mut writer).map_err(failed("writing"))?;
    writer.flush().map_err(failed("writing"))?;
    drop(writer);
    file.as_file().sync_all().map_err(failed("syncing"))?;
    Ok((Staged { file, path: path.to_path_buf(), target, folder }, value))
}

impl Staged {
    /// Renames the temporary file over its target and syncs the folder.
    ///
    /// # Errors
    /// [`WriteError::Io`] when the rename fails (the old file is untouched), [`WriteError::NotSynced`] afterwards.
    pub fn replace(self) -> Result<(), WriteError> {
        let Staged { file, path, target, folder } = self;
        if let Err(error) = file.persist(&target) {
            return Err(WriteError::Io { path, doing: "renaming the temporary file", source: error.error });
        }
        sync_folder(&folder).map_err(|source| WriteError::NotSynced { path, source })
    }
}

/// Refuses what a rename would destroy or the user has protected.
fn check_target(path: &Path, target: &Path) -> Result<(), WriteError> {
    let Ok(found) = fs::metadata(target) else {
        return Ok(());
    };
    let path = path.to_path_buf();
    if found.is_dir() {
        Err(WriteError::IsFolder { path })
    } else if !found.is_file() {
        Err(WriteError::NotRegular { path })
    } else if found.permissions().readonly() {
        Err(WriteError::ReadOnly { path })
    } else {
        Ok(())
    }
}

fn folder_of(target: &Path) -> PathBuf {
    match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// Makes renames and removals in `folder` durable. Does nothing where folders cannot be synced.
///
/// # Errors
/// What the operating system says.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(folder).and_then(|handle| handle.sync_all()) {
        // Some network and user-space file systems know no sync of a folder.
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        other => other,
    }
}

const LEFTOVER_SUFFIX: &str = ".tmp";

fn leftover_prefix(name: &str) -> String {
    format!(".{name}.")
}

/// Removes temporary files that a killed process left while it was writing `path`. Call it only where no other process
/// may be writing the same file.
///
/// # Errors
/// What the operating system says; a missing folder is no error.
pub fn remove_leftovers(path: &Path) -> io::Result<()> {
    let Some(name) = path.file_name() else {
        return Ok(());
    };
    let prefix = leftover_prefix(&name.to_string_lossy());
    let entries = match fs::read_dir(folder_of(path)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let found: OsString = entry.file_name();
        let found = found.to_string_lossy();
        if found.len() > prefix.len() + LEFTOVER_SUFFIX.len()
            && found.starts_with(&prefix)
            && found.ends_with(LEFTOVER_SUFFIX)
            && entry.file_type()?.is_file()
        {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .expect("the folder exists")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_created_and_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("model.safetensors");
        for content in [&b"first, longer"[..], b"second", b""] {
            let count = write_atomically(&path, |writer| writer.write_all(content).map(|()| content.len()));
            assert_eq!(count.expect("written"), content.len());
            assert_eq!(fs::read(&path).expect("readable"), content);
        }
        assert_eq!(names(folder.path()), ["model.safetensors"]);
    }

    #[test]
    fn a_failure_of_the_writer_leaves_the_old_file_and_no_temporary_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("model.safetensors");
        fs::write(&path, b"old").expect("written");
        let full = write_atomically(&path, |writer| {
            writer.write_all(&vec![7; 3 * BUFFER_BYTES])?;
            Err::<(), _>(io::Error::from(ErrorKind::StorageFull))
        });
        let message = full.expect_err("the writer failed").to_string();
        assert!(message.contains("model.safetensors") && message.contains("free some space"), "{message}");
        assert_eq!(fs::read(&path).expect("readable"), b"old");
        assert_eq!(names(folder.path()), ["model.safetensors"]);
    }

    #[test]
    fn a_panic_of_the_writer_leaves_the_old_file_and_no_temporary_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("model.safetensors");
        fs::write(&path, b"old").expect("written");
        let outcome = std::panic::catch_unwind(|| {
            write_atomically(&path, |writer| {
                writer.write_all(b"half")?;
                panic!("a bug in the caller");
                #[allow(unreachable_code)]
                Ok(())
            })
        });
        assert!(outcome.is_err());
        assert_eq!(fs::read(&path).expect("readable"), b"old");
        assert_eq!(names(folder.path()), ["model.safetensors"]);
    }

    #[test]
    fn impossible_targets_are_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |path: &Path| write_atomically(path, |writer| writer.write_all(b"x")).expect_err("impossible");

        let missing = folder.path().join("none").join("file");
        assert!(
            matches!(write(&missing), WriteError::NoFolder { folder: found, .. } if found == missing.parent().unwrap())
        );
        assert!(matches!(write(folder.path()), WriteError::IsFolder { .. }));
        assert!(matches!(write(Path::new("")), WriteError::NoFileName { .. }));

        let file = folder.path().join("file");
        fs::write(&file, b"old").expect("written");
        assert!(matches!(write(&file.join("inside")), WriteError::NoFolder { .. }));

        let mut permissions = fs::metadata(&file).expect("exists").permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&file, permissions).expect("ours");
        assert!(matches!(write(&file), WriteError::ReadOnly { .. }));
        assert_eq!(fs::read(&file).expect("readable"), b"old");
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_not_replaced() {
        let error = write_atomically(Path::new("/dev/null"), |writer| writer.write_all(b"x")).expect_err("a device");
        assert!(matches!(error, WriteError::NotRegular { .. }), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn permissions_are_those_of_an_ordinary_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let (ours, ordinary) = (folder.path().join("ours"), folder.path().join("ordinary"));
        write_atomically(&ours, |writer| writer.write_all(b"x")).expect("written");
        fs::write(&ordinary, b"x").expect("written");
        let mode = |path: &Path| fs::metadata(path).expect("exists").permissions().mode();
        assert_eq!(mode(&ours), mode(&ordinary));
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_without_write_permission_is_named() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).expect("ours");
        let path = folder.path().join("file");
        if fs::write(&path, b"x").is_ok() {
            eprintln!("SKIPPED a_folder_without_write_permission_is_named: this user may write anywhere (root)");
            return;
        }
        let message = write_atomically(&path, |writer| writer.write_all(b"x")).expect_err("forbidden").to_string();
        assert!(message.contains("you may write to"), "{message}");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, b"old").expect("written");
        std::os::unix::fs::symlink(&file, &link).expect("linked");
        write_atomically(&link, |writer| writer.write_all(b"new")).expect("written");
        assert_eq!(fs::read(&file).expect("readable"), b"new");
        assert!(fs::symlink_metadata(&link).expect("exists").is_symlink());
    }

    #[test]
    fn leftovers_of_one_file_are_removed_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in [".a.safetensors.x1Y2z3.tmp", ".b.safetensors.x1Y2z3.tmp", "a.safetensors", ".a.safetensors..tmp2"]
        {
            fs::write(folder.path().join(name), b"x").expect("written");
        }
        remove_leftovers(&folder.path().join("a.safetensors")).expect("removed");
        assert_eq!(names(folder.path()), [".a.safetensors..tmp2", ".b.safetensors.x1Y2z3.tmp", "a.safetensors"]);
        remove_leftovers(&folder.path().join("none").join("a.safetensors")).expect("nothing to do");
    }
}
