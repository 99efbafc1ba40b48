//! Rules on the manifests: who may depend on whom.

use crate::tree::File;

/// The line of dependencies, against the flow of data: each crate may use those named after it, and no other.
const LINE: [&str; 7] = ["fuzz", "benches", "api", "cluster", "analytics", "engine", "ingest"];

/// Dependencies point upstream, in tests too: a cycle of tests is a cycle for who reads them.
pub(crate) fn direction(file: &File) -> Vec<String> {
    let Some(member) = member(file) else { return Vec::new() };
    let upstream = LINE.iter().skip_while(|&&name| name != member).skip(1).collect::<Vec<_>>();
    dependencies(&file.text)
        .filter(|dependency| LINE.contains(&dependency.name) && !upstream.contains(&&dependency.name))
        .map(|d| file.complaint(d.line, &format!("{member} must not know {}, which is downstream", d.name)))
        .collect()
}

/// Only the outermost crate knows JSON, and the archive's manifests are some; tests may.
pub(crate) fn json(file: &File) -> Vec<String> {
    let Some(member) = member(file) else { return Vec::new() };
    dependencies(&file.text)
        .filter(|d| {
            d.name == "serde_json" && !d.only_in_tests && !["api", "analytics", "benches"].contains(&member)
        })
        .map(|d| {
            file.complaint(d.line, "serde_json belongs to api, to the manifests of analytics, and to tests")
        })
        .collect()
}

/// A crate without a place in the line would escape the rules above.
pub(crate) fn members(file: &File) -> Vec<String> {
    if file.path != "Cargo.toml" {
        return Vec::new();
    }
    let list = file.text.split_once("\nmembers = [").and_then(|(_, rest)| rest.split_once(']'));
    let Some((list, _)) = list else { return vec![file.complaint(1, "there is no list of members")] };
    list.split('"')
        .skip(1)
        .step_by(2)
        .filter(|name| !LINE.contains(name))
        .map(|name| file.complaint(1, &format!("{name} has no place in the line of dependencies")))
        .collect()
}

struct Dependency<'a> {
    line: usize,
    name: &'a str,
    only_in_tests: bool,
}

/// The crate whose manifest this is.
fn member(file: &File) -> Option<&str> {
    file.path.strip_suffix("/Cargo.toml")
}

/// The dependencies of a manifest written as ours are: `name.workspace = true` or `name = ...`, one a line.
fn dependencies(manifest: &str) -> impl Iterator<Item = Dependency<'_>> {
    let mut section = "";
    (1..).zip(manifest.lines()).filter_map(move |(line, text)| {
        if let Some(title) = text.trim().strip_prefix('[') {
            section = title.trim_end_matches(']');
            let (kind, name) = section.rsplit_once('.')?;
            return kind.ends_with("dependencies").then(|| Dependency::new(line, name, kind));
        }
        let name =
            text.split(['.', '=', ' ']).next().filter(|name| !name.is_empty() && !name.starts_with('#'))?;
        section.ends_with("dependencies").then(|| Dependency::new(line, name, section))
    })
}

impl<'a> Dependency<'a> {
    fn new(line: usize, name: &'a str, kind: &str) -> Self {
        Self { line, name, only_in_tests: kind.ends_with("dev-dependencies") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::sample;

    #[test]
    fn downstream_is_refused() {
        for (path, text, complaints) in [
            ("engine/Cargo.toml", "[dependencies]\ngeo = \"1\"\ningest.workspace = true\n", 0),
            ("engine/Cargo.toml", "[dependencies]\napi.workspace = true\n", 1),
            ("engine/Cargo.toml", "[dev-dependencies]\napi = { path = \"../api\" }\n", 1),
            ("ingest/Cargo.toml", "[target.'cfg(unix)'.dependencies]\nengine.workspace = true\n", 1),
            ("ingest/Cargo.toml", "[dependencies.engine]\nworkspace = true\n", 1),
            ("ingest/Cargo.toml", "[package]\nname = \"ingest\"\n", 0),
            ("benches/Cargo.toml", "[dependencies]\napi.workspace = true\n", 0),
            ("api/Cargo.toml", "[dependencies]\nbenches.workspace = true\n", 1),
        ] {
            assert_eq!(direction(&sample(path, text)).len(), complaints, "{path}: {text}");
        }
    }

    #[test]
    fn json_is_refused_upstream() {
        let text = "[dependencies]\nserde_json.workspace = true\n";
        assert_eq!(
            json(&sample("engine/Cargo.toml", text)),
            ["engine/Cargo.toml:2: serde_json belongs to api, to the manifests of analytics, and to tests"]
        );
        assert!(json(&sample("api/Cargo.toml", text)).is_empty());
        assert!(json(&sample("engine/Cargo.toml", "[dev-dependencies]\nserde_json = \"1\"\n")).is_empty());
    }

    #[test]
    fn a_stranger_is_refused() {
        let members_of =
            |list| members(&sample("Cargo.toml", &format!("[workspace]\nmembers = [{list}]\n"))).len();
        assert_eq!(members_of(r#""ingest", "engine""#), 0);
        assert_eq!(members_of(r#""ingest", "shed""#), 1);
    }
}
