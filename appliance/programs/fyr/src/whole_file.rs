//! Writes files so that there is always a whole one.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use tempfile::Builder;

/// Writes a file by way of one beside it. A link to a file stays a link, and the permissions of a
/// file that is there stay.
pub(crate) fn write(path: &Path, text: &str) -> io::Result<()> {
    let target = if path.exists() { fs::canonicalize(path)? } else { path.to_owned() };
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let permissions = fs::metadata(&target).map(|metadata| metadata.permissions()).ok();
    if permissions.is_some() && !target.is_file() {
        // A device such as /dev/stdout is written to, not replaced.
        return fs::write(path, text);
    }
    let mut beside = Builder::new().prefix(".fyr-").tempfile_in(folder)?;
    beside.write_all(text.as_bytes())?;
    match permissions {
        Some(permissions) => beside.as_file().set_permissions(permissions)?,
        None => beside.as_file().set_permissions(default_permissions())?,
    }
    beside.as_file().sync_all()?;
    beside.persist(&target)?;
    Ok(())
}

/// What a new file gets from most shells: temporary files are for their owner alone.
fn default_permissions() -> fs::Permissions {
    use std::os::unix::fs::PermissionsExt as _;
    fs::Permissions::from_mode(0o644)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_file_is_replaced_with_its_permissions_and_through_links() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        write(&file, "1").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        symlink(&file, &link).unwrap();
        write(&link, "2").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "2");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        assert!(write(Path::new("/nowhere/file"), "1").is_err());
    }
}
