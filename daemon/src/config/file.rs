//! One small file, read whole: bounded, and never waiting for a pipe that nobody writes to.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The bytes of a plain file of at most `limit` bytes.
///
/// # Errors
/// As [`File::open`]; and a folder, pipe or device, or a longer file, is refused with a sentence.
pub(super) fn read_whole(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    // Looked at before it is opened: opening a pipe waits for its writer.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a plain file"));
    }
    let mut bytes = Vec::new();
    let taken = File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if taken as u64 > limit {
        return Err(io::Error::other(format!(
            "it holds more than {limit} bytes"
        )));
    }
    Ok(bytes)
}

/// As [`read_whole`], for text.
pub(super) fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    String::from_utf8(read_whole(path, limit)?)
        .map_err(|_| io::Error::other("it is not UTF-8 text"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_files_within_the_bound_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let said = |path: &Path| read_text(path, 4).map_err(|error| error.to_string());
        std::fs::write(&path, "1234").unwrap();
        assert_eq!(said(&path), Ok("1234".to_owned()));
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(said(&path), Err("it holds more than 4 bytes".to_owned()));
        std::fs::write(&path, [0xff]).unwrap();
        assert_eq!(said(&path), Err("it is not UTF-8 text".to_owned()));
        assert_eq!(
            said(folder.path()),
            Err("it is not a plain file".to_owned())
        );
        assert_eq!(
            said(Path::new("/dev/zero")),
            Err("it is not a plain file".to_owned())
        );
        assert!(
            said(&folder.path().join("absent"))
                .unwrap_err()
                .contains("No such file")
        );
    }
}
