//! Rules on names, texts and code.

use crate::code::{blank, tests_begin, words};
use crate::tree::File;

/// Lines of a Rust file, without its tests.
const MAX_LINES: usize = 400;
/// Characters of a line.
const MAX_WIDTH: usize = 120;

/// A long file is two.
pub(crate) fn length(file: &File) -> Vec<String> {
    let lines = tests_begin(&file.text);
    if !file.is_rust() || file.is_test() || lines <= MAX_LINES {
        return Vec::new();
    }
    vec![file.complaint(lines, &format!("{lines} lines without tests; {MAX_LINES} are allowed"))]
}

/// Tables and addresses cannot be broken; everything else can.
pub(crate) fn line_length(file: &File) -> Vec<String> {
    let unbreakable = |line: &str| line.starts_with('|') || line.contains("://");
    if !file.is_rust() && !file.has_extension("md") {
        return Vec::new();
    }
    complain(file, numbered(&file.text), "too long a line", |line| {
        line.chars().count() > MAX_WIDTH && (file.is_rust() || !unbreakable(line))
    })
}

/// A name that says nothing collects what belongs elsewhere.
pub(crate) fn names(file: &File) -> Vec<String> {
    const EMPTY: [&str; 9] =
        ["common", "core", "helper", "helpers", "misc", "shared", "types", "util", "utils"];
    file.path
        .split('/')
        .map(|part| part.split_once('.').map_or(part, |(stem, _)| stem))
        .filter(|stem| EMPTY.contains(stem))
        .map(|stem| file.complaint(1, &format!("`{stem}` says nothing: name it after what it holds")))
        .collect()
}

/// What is not built yet is left out, and what is known to be wrong is an issue.
pub(crate) fn unfinished(file: &File) -> Vec<String> {
    // Each in two parts, or this file would be the first to be complained of.
    const MARKS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    if ["json", "geojson", "lock"].iter().any(|extension| file.has_extension(extension)) {
        return Vec::new();
    }
    let mut complaints = complain(file, numbered(&file.text), "an unfinished place", |line| {
        words(line).any(|word| MARKS.contains(&word))
    });
    if file.is_rust() {
        complaints.extend(complain(file, file.code(), "an unfinished function", |line| {
            line.contains("todo!") || line.contains("unimplemented!")
        }));
    }
    complaints
}

/// Memory orderings are argued in two files; the third switches between the standard library's and loom's atomics.
pub(crate) fn orderings(file: &File) -> Vec<String> {
    const ROOMS: [&str; 3] = ["engine/src/block.rs", "engine/src/sync.rs", "ingest/src/counter.rs"];
    if !file.is_rust() || file.is_test() || ROOMS.contains(&file.path.as_str()) {
        return Vec::new();
    }
    complain(
        file,
        file.code(),
        "a memory ordering: only engine::block and ingest::counter have some",
        |line| {
            let all: Vec<&str> = words(line).collect();
            let is_named = all.iter().any(|word| ["Relaxed", "AcqRel", "SeqCst"].contains(word))
                || all
                    .windows(2)
                    .any(|pair| pair[0] == "Ordering" && ["Acquire", "Release"].contains(&pair[1]));
            let is_imported = all.contains(&"use") && all.contains(&"sync") && all.contains(&"Ordering");
            is_named || is_imported
        },
    )
}

/// A reader who opens a file learns first what it is.
pub(crate) fn module_docs(file: &File) -> Vec<String> {
    if !file.is_rust() || file.text.starts_with("//! ") {
        return Vec::new();
    }
    vec![file.complaint(1, "begin with a line of `//!` that says what this is")]
}

/// A test that is not run says nothing, and looks as if it did.
pub(crate) fn left_out_tests(file: &File) -> Vec<String> {
    if !file.is_rust() {
        return Vec::new();
    }
    complain(file, numbered(&blank(&file.text)), "a test that is not run", |line| {
        line.contains("#[ignore") || (line.contains("cfg_attr") && words(line).any(|word| word == "ignore"))
    })
}

/// Where somebody has to decide what to do about an error, it has a type.
pub(crate) fn untyped_errors(file: &File) -> Vec<String> {
    let allowed = ["api/src/main.rs", "api/src/cli.rs"].contains(&file.path.as_str())
        || file.path.starts_with("api/src/cli/")
        || file.path.starts_with("benches/");
    if !file.is_rust() || file.is_test() || allowed {
        return Vec::new();
    }
    complain(file, file.code(), "anyhow is for the command line: give the error a type", |line| {
        words(line).any(|word| word == "anyhow")
    })
}

fn numbered(text: &str) -> Vec<(usize, String)> {
    (1..).zip(text.lines().map(str::to_owned)).collect()
}

fn complain(
    file: &File,
    lines: Vec<(usize, String)>,
    what: &str,
    is_wrong: impl Fn(&str) -> bool,
) -> Vec<String> {
    let wrong = lines.into_iter().filter(|(_, text)| is_wrong(text));
    wrong.map(|(line, _)| file.complaint(line, what)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::sample;

    /// How often the rule complains of a text.
    fn count(rule: impl Fn(&File) -> Vec<String>, path: &str, text: &str) -> usize {
        rule(&sample(path, text)).len()
    }

    #[test]
    fn length_counts_without_tests() {
        let code = "fn a() {}\n".repeat(MAX_LINES);
        let tested = format!("{code}#[cfg(test)]\nmod tests {{\n}}\n");
        assert_eq!(count(length, "a/src/b.rs", &tested), 0);
        assert_eq!(count(length, "a/src/b.rs", &format!("fn one_more() {{}}\n{tested}")), 1);
        assert_eq!(count(length, "a/tests/b.rs", &format!("fn one_more() {{}}\n{code}")), 0);
    }

    #[test]
    fn width_is_in_characters() {
        let just = "é".repeat(MAX_WIDTH);
        assert_eq!(count(line_length, "a.rs", &just), 0);
        assert_eq!(line_length(&sample("a.md", &format!("\n{just}é"))), ["a.md:2: too long a line"]);
        assert_eq!(count(line_length, "a.md", &format!("| {just} |")), 0);
        assert_eq!(count(line_length, "a.rs", &format!("| {just} |")), 1);
        assert_eq!(count(line_length, "a.sql", &format!("{just}é")), 0);
    }

    #[test]
    fn empty_names_are_found_as_files_and_folders() {
        assert_eq!(count(names, "api/src/utils.rs", ""), 1);
        assert_eq!(count(names, "api/tests/common/mod.rs", ""), 1);
        assert_eq!(count(names, "api/src/commons.rs", ""), 0);
    }

    #[test]
    fn unfinished_places_are_found_in_comments_too() {
        let mark = concat!("TO", "DO");
        assert_eq!(count(unfinished, "a.rs", &format!("// {mark}: finish\n")), 1);
        assert_eq!(count(unfinished, "scripts/x", &format!("# {mark}\n")), 1);
        assert_eq!(count(unfinished, "a.rs", "fn a() { todo!() }\nfn b() { unimplemented!(\"c\") }\n"), 2);
        assert_eq!(count(unfinished, "a.rs", &format!("fn {mark}LIST() {{}}\n")), 0);
    }

    #[test]
    fn orderings_are_told_from_comparisons() {
        let path = "engine/src/shard.rs";
        assert_eq!(count(orderings, path, "a.load(Ordering::Acquire)\nb.load(SeqCst)\n"), 2);
        assert_eq!(count(orderings, path, "use std::sync::atomic::{AtomicU64, Ordering};\n"), 1);
        assert_eq!(count(orderings, path, "use crate::sync::Ordering as O;\n"), 1);
        assert_eq!(count(orderings, path, "use std::cmp::Ordering;\nOrdering::Less\n// SeqCst\n"), 0);
        assert_eq!(
            count(orderings, path, "#[cfg(test)]\nmod tests {\nuse std::sync::atomic::Ordering;\n}\n"),
            0
        );
        assert_eq!(count(orderings, "engine/src/block.rs", "a.load(Ordering::Acquire)\n"), 0);
    }

    #[test]
    fn a_module_without_words_is_found() {
        assert_eq!(count(module_docs, "a.rs", "use b;\n"), 1);
        assert_eq!(count(module_docs, "a.rs", "//! What it is.\nuse b;\n"), 0);
    }

    #[test]
    fn left_out_tests_are_found_in_test_modules() {
        assert_eq!(count(left_out_tests, "a.rs", "#[cfg(test)]\nmod tests {\n#[ignore = \"slow\"]\n}\n"), 1);
        assert_eq!(count(left_out_tests, "a.rs", "#[cfg_attr(miri, ignore)]\n"), 1);
        assert_eq!(count(left_out_tests, "a.rs", "//! ```ignore\nfn ignore() {}\n// #[ignore]\n"), 0);
    }

    #[test]
    fn untyped_errors_are_found_outside_the_command_line() {
        assert_eq!(count(untyped_errors, "api/src/store.rs", "use anyhow::Context;\n"), 1);
        assert_eq!(count(untyped_errors, "api/src/cli/user.rs", "use anyhow::Context;\n"), 0);
    }
}
