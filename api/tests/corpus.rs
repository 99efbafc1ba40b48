//! Every file of the fuzzers' corpora: what was found once stays mended, on the stable toolchain too.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::path::{Path, PathBuf};

#[path = "../../fuzz/targets.rs"]
mod targets;

/// Does with each file of a corpus what its fuzzer does; a panic names the file.
fn each(target: &str, run: impl Fn(&[u8]) + std::panic::RefUnwindSafe) {
    let files = files(target);
    assert!(files.len() >= 3, "{target} has a corpus");
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        let outcome = std::panic::catch_unwind(|| run(&bytes));
        assert!(outcome.is_ok(), "{}", file.display());
    }
}

fn files(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn datagrams() {
    each("datagram", targets::datagram);
}

#[test]
fn compact_datagrams() {
    each("compact", targets::compact);
}

#[test]
fn streams() {
    each("arrow", targets::arrow);
}

#[test]
fn records() {
    each("batch", targets::batch);
}

#[test]
fn configurations() {
    each("config", targets::config);
}

#[test]
fn shapes() {
    each("geojson", targets::geojson);
}

#[test]
fn every_target_has_a_test() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/fuzz_targets");
    let mut targets: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    targets.sort();
    assert_eq!(targets, ["arrow.rs", "batch.rs", "compact.rs", "config.rs", "datagram.rs", "geojson.rs"]);
}
