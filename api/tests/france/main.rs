//! The whole country, as its open data has it: imported by the real program, then asked where points lie.
//!
//! The data lies beside the project, in `../shared/data`. Without it these tests are skipped aloud; with `CI=true` that
//! is a failure.

#![allow(dead_code, reason = "of the harness, only the program is needed here")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails here fails a test")]

#[path = "../harness/mod.rs"]
mod harness;

mod exact;
mod geography;
mod import;

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

/// A file of the open data.
fn data(name: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    if folder.is_dir() {
        return Some(folder.join(name));
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing", folder.display());
    eprintln!("SKIPPED: {} is missing", folder.display());
    None
}

/// A file's text, decompressed.
fn text(path: &Path) -> String {
    let mut file = BufReader::new(File::open(path).unwrap());
    let mut text = String::new();
    if path.extension().is_some_and(|extension| extension == "gz") {
        MultiGzDecoder::new(file).read_to_string(&mut text).unwrap();
    } else {
        file.read_to_string(&mut text).unwrap();
    }
    text
}
