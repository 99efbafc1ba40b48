//! Files that commands read: what ends in .gz is unpacked.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use anyhow::ensure;
use flate2::bufread::MultiGzDecoder;

use crate::limits::TEXT_MAX_BYTES;

/// The text of a file, to be read bit by bit; whoever reads sets a bound.
pub(super) fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    let file = BufReader::new(File::open(path)?);
    let is_packed = path.extension().is_some_and(|extension| extension == "gz");
    Ok(if is_packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) })
}

/// The whole text of a file.
pub(super) fn read_text(path: &Path) -> anyhow::Result<String> {
    read_within(TEXT_MAX_BYTES, open(path)?)
}

fn read_within(max_bytes: u64, text: impl Read) -> anyhow::Result<String> {
    // One byte more than is allowed, to tell a text that has too many; it may be a part of a character.
    let mut text = text.take(max_bytes + 1);
    let mut bytes = Vec::new();
    text.read_to_end(&mut bytes)?;
    ensure!(text.limit() > 0, "the file has more than {max_bytes} bytes of text: cut it into parts");
    Ok(String::from_utf8(bytes)?)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    #[test]
    fn what_ends_in_gz_is_unpacked_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let (plain, packed) = (folder.path().join("a.csv"), folder.path().join("a.csv.gz"));
        std::fs::write(&plain, "one\ntwo\n").unwrap();
        let members = ["one\n", "two\n"].map(|text| {
            let mut member = GzEncoder::new(Vec::new(), Compression::fast());
            member.write_all(text.as_bytes()).unwrap();
            member.finish().unwrap()
        });
        std::fs::write(&packed, members.concat()).unwrap();
        assert_eq!(read_text(&plain).unwrap(), "one\ntwo\n");
        assert_eq!(read_text(&packed).unwrap(), "one\ntwo\n");
        std::fs::write(&packed, "not packed").unwrap();
        assert!(read_text(&packed).is_err());
    }

    #[test]
    fn a_text_is_as_large_as_the_limit_and_no_larger() {
        assert_eq!(read_within(4, "abc\u{e9}".as_bytes()).unwrap_err().to_string(), told(4));
        assert_eq!(read_within(5, "abc\u{e9}".as_bytes()).unwrap(), "abc\u{e9}");
        assert_eq!(read_within(5, io::repeat(b'a')).unwrap_err().to_string(), told(5));
        assert!(read_within(5, &b"\xff"[..]).is_err());
    }

    fn told(limit: u64) -> String {
        format!("the file has more than {limit} bytes of text: cut it into parts")
    }
}
