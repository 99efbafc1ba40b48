//! The house rules, as tests: what `ARCHITECTURE.md` promises of the tree and no compiler checks.
//!
//! A rule is a pure function from a file to its complaints, `path:line: what is wrong and what to do`; it is tried on
//! a sample that breaks it right beside it, and on the whole tree here.

mod code;
mod documents;
mod manifests;
mod rules;
mod tree;

use tree::File;

#[test]
fn dependencies_point_upstream() {
    assert_clean(manifests::direction);
}

#[test]
fn only_api_knows_json() {
    assert_clean(manifests::json);
}

#[test]
fn every_member_has_its_place_in_the_line() {
    assert_clean(manifests::members);
}

#[test]
fn no_file_is_too_long() {
    assert_clean(rules::length);
}

#[test]
fn no_line_is_too_long() {
    assert_clean(rules::line_length);
}

#[test]
fn no_room_is_named_after_nothing() {
    assert_clean(rules::names);
}

#[test]
fn nothing_is_left_unfinished() {
    assert_clean(rules::unfinished);
}

#[test]
fn memory_orderings_stay_in_their_files() {
    assert_clean(rules::orderings);
}

#[test]
fn every_module_says_what_it_is() {
    assert_clean(rules::module_docs);
}

#[test]
fn no_test_is_left_out() {
    assert_clean(rules::left_out_tests);
}

#[test]
fn errors_without_a_type_stay_in_the_command_line() {
    assert_clean(rules::untyped_errors);
}

#[test]
fn the_documents_exist() {
    let files = tree::read();
    for document in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"] {
        assert!(files.iter().any(|file| file.path == document), "{document} is missing");
    }
}

#[test]
fn the_documents_name_what_exists() {
    let exists = |path: &str| tree::root().join(path).exists();
    assert_clean(|file| documents::dead_paths(file, exists));
}

fn assert_clean(rule: impl Fn(&File) -> Vec<String>) {
    let complaints: Vec<String> = tree::read().iter().flat_map(rule).collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}
