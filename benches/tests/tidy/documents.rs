//! Rules on the documents: a path they name is there.

use std::path::Path;

use crate::tree::File;

/// What a path in our documents begins with; anything else between backticks is not one of ours.
const ROOMS: [&str; 11] = [
    ".ci",
    "analytics",
    "api",
    "benches",
    "cluster",
    "deploy",
    "docs",
    "engine",
    "ingest",
    "migrations",
    "scripts",
];

/// Paths of the tree in backticks, from the root, and links, from the document's folder. The changelog is exempt:
/// it tells of what was.
pub(crate) fn dead_paths(file: &File, exists: impl Fn(&str) -> bool) -> Vec<String> {
    if !file.has_extension("md") || file.path == "CHANGELOG.md" {
        return Vec::new();
    }
    let folder = file.path.rfind('/').map_or("", |slash| &file.path[..=slash]);
    let mut complaints = Vec::new();
    for (number, line) in (1..).zip(file.text.lines()) {
        let named = paths(line).map(str::to_owned);
        let linked = links(line).map(|link| format!("{folder}{link}"));
        for path in named.chain(linked).filter(|path| !exists(path)) {
            complaints.push(file.complaint(number, &format!("{path} does not exist")));
        }
    }
    complaints
}

/// The words between backticks that are paths of the tree: `scripts/test`, `engine/src/block.rs`, `README.md`.
fn paths(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2).flat_map(str::split_whitespace).filter_map(|word| {
        let path = word.trim_start_matches("./").trim_end_matches(['.', ',', ':', ';']);
        let is_pattern = path.contains(['*', '<', '{', '$']);
        let is_room = path.split_once('/').is_some_and(|(room, _)| ROOMS.contains(&room));
        let is_document = !path.contains('/') && Path::new(path).extension().is_some_and(|end| end == "md");
        (!is_pattern && (is_room || is_document)).then_some(path)
    })
}

/// The targets of links that stay in the tree, without their anchors.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| {
        let target = rest.split([')', '#', ' ']).next()?;
        (!target.is_empty() && !target.contains("://") && !target.starts_with("mailto:")).then_some(target)
    })
}

#[test]
fn dead_paths_are_found() {
    const FILES: [&str; 4] = ["scripts/test", "engine/src/block.rs", "docs/a.md", "README.md"];
    for (path, line, complaints) in [
        ("README.md", "run `scripts/test --all`, see `engine/src/block.rs`.", 0),
        ("README.md", "run `scripts/tests`", 1),
        ("README.md", "`POST /taxis`, `ingest::log`, `and/or`, `engine/*.rs`, engine/gone.rs", 0),
        ("README.md", "[a](docs/a.md#b) [b](https://example.org/c) [c](#d) [d](docs/gone.md)", 1),
        ("docs/b.md", "[a](a.md) and `README.md`", 0),
        ("docs/b.md", "[a](docs/a.md) and `GONE.md`", 2),
        ("CHANGELOG.md", "`scripts/gone`", 0),
    ] {
        let file = crate::tree::sample(path, line);
        assert_eq!(dead_paths(&file, |path| FILES.contains(&path)).len(), complaints, "{path}: {line}");
    }
}
