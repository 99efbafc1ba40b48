//! The files of the workspace.

use std::fs;
use std::path::{Path, PathBuf};

use crate::code;

/// A text file of the tree.
pub(crate) struct File {
    /// From the workspace's root, with slashes.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn is_rust(&self) -> bool {
        self.has_extension("rs")
    }

    pub(crate) fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|own| own == extension)
    }

    /// Whether all of it is tests.
    pub(crate) fn is_test(&self) -> bool {
        self.path.split('/').any(|part| part == "tests" || part == "tests.rs")
    }

    /// Its lines of code, numbered from 1: comments and literals blanked, the tests at its end left out.
    pub(crate) fn code(&self) -> Vec<(usize, String)> {
        let end = if self.is_test() { usize::MAX } else { code::tests_begin(&self.text) };
        (1..).zip(code::blank(&self.text).lines().map(str::to_owned)).take(end).collect()
    }

    /// A complaint about a line of it.
    pub(crate) fn complaint(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }
}

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every text file below the root, but for what `.gitignore` names and git's own.
pub(crate) fn read() -> Vec<File> {
    let ignored = fs::read_to_string(root().join(".gitignore")).unwrap_or_default();
    let mut files = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).into_iter().flatten().flatten() {
            let path = format!("{folder}{}", entry.file_name().to_string_lossy());
            if path == ".git" || ignored.lines().any(|line| line.trim_matches('/') == path) {
                continue;
            }
            if entry.path().is_dir() {
                folders.push(path + "/");
            } else if let Ok(text) = fs::read_to_string(entry.path()) {
                files.push(File { path, text });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// A file that exists in a test only.
pub(crate) fn sample(path: &str, text: &str) -> File {
    File { path: path.to_owned(), text: text.to_owned() }
}

#[test]
fn the_tree_is_read() {
    let files = read();
    for path in ["Cargo.toml", "ingest/src/lib.rs", "engine/src/lib.rs", "api/src/main.rs", "scripts/test"] {
        assert!(files.iter().any(|file| file.path == path), "{path} was not read");
    }
    assert!(!files.iter().any(|file| file.path.starts_with("target/") || file.path.starts_with(".git/")));
}
