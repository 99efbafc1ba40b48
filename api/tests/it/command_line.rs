//! The command line, as the real binary.

use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::places::{collection, rectangle, towns};
use crate::harness::program::Program;

const SECRET: &str = "abababababababababababababababababababababababababababababababab";

fn program() -> (TempDir, Program) {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::new(folder.path(), None);
    (folder, program)
}

#[tokio::test]
async fn config_tells_each_value_and_its_source_and_no_secret() {
    let (folder, program) = program();
    std::fs::write(folder.path().join("maraude.toml"), "shards = 3\nlog_commit_ms = 20\n").unwrap();
    let mut command = program.command(&["config", "--json", "--log-commit-ms", "30"]);
    command.env("MARAUDE_SECRET_KEY", SECRET).env("MARAUDE_DATABASE", "postgres://ann:hush@127.0.0.1:5432/m");
    let out = command.output().unwrap();
    assert!(out.status.success(), "{out:?}");
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(!text.contains(SECRET) && !text.contains("hush"), "{text}");
    let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
    let told = |key: &str| {
        let row = rows.iter().find(|row| row["key"] == key).unwrap();
        (row["value"].as_str().unwrap(), row["source"].as_str().unwrap())
    };
    assert_eq!(told("shards"), ("3", "maraude.toml"));
    assert_eq!(told("log_commit_ms"), ("30", "--log-commit-ms"), "a flag before the file");
    assert_eq!(told("secret_key"), ("***", "MARAUDE_SECRET_KEY"));
    assert_eq!(told("database"), ("postgres://ann:***@127.0.0.1:5432/m", "MARAUDE_DATABASE"));
    assert_eq!(told("http"), ("127.0.0.1:8080", "default"));
    let log = format!("file:{}/log", folder.path().display());
    assert_eq!(told("log"), (log.as_str(), "default"), "in the data directory");
    assert_eq!(left_in(folder.path()), ["maraude.toml"], "asking makes nothing");
    let plain = program.done(&["config"]).await;
    assert_eq!(plain.lines().count(), rows.len());
    assert!(
        plain.lines().any(|line| line.starts_with("shards ") && line.contains("maraude.toml")),
        "{plain}"
    );
}

#[tokio::test]
async fn a_wrong_value_names_key_value_and_what_is_allowed() {
    let (folder, program) = program();
    let wrong: [(&[&str], &[&str]); 5] = [
        (&["config", "--shards", "65"], &["shards", "\"65\"", "--shards", "1 to 64"]),
        (&["serve", "--http", "here"], &["http", "\"here\"", "--http", "127.0.0.1:8080"]),
        (&["serve", "--database", "mysql://x"], &["database", "--database", "sqlite:", "postgres://"]),
        (&["user", "list", "--log", "x"], &["log", "\"x\"", "file:"]),
        (&["serve", "--fake-taxi-id", "maybe"], &["fake_taxi_id", "\"maybe\"", "true or false"]),
    ];
    for (arguments, told) in wrong {
        let (status, out, complaints) = program.run(arguments).await;
        assert!(!status.success(), "{arguments:?} {out}");
        for part in told {
            assert!(complaints.contains(part), "{arguments:?} does not name {part}: {complaints}");
        }
    }
    std::fs::write(folder.path().join("maraude.toml"), "htpp = \"x\"").unwrap();
    let (status, _, complaints) = program.run(&["config"]).await;
    assert!(!status.success());
    assert!(
        ["maraude.toml", "htpp", "udp_threads"].iter().all(|part| complaints.contains(part)),
        "{complaints}"
    );
    assert_eq!(left_in(folder.path()), ["maraude.toml"], "nothing was begun");
}

#[tokio::test]
async fn an_import_reports_each_row_and_repeats_as_an_update() {
    let (folder, program) = program();
    let import = async |what: &str, file: &Path| -> Value {
        let out = program.done(&["import", what, file.to_str().unwrap(), "--json"]).await;
        serde_json::from_str(&out).unwrap()
    };
    let mut features = towns()["features"].as_array().unwrap().clone();
    features.push(
        json!({"type": "Feature", "properties": {"nom": "X"}, "geometry": rectangle((0.0, 1.0), (0.0, 1.0))}),
    );
    features.push(json!({"type": "Feature", "properties": {"insee": "01001", "nom": "Y"},
                         "geometry": {"type": "Point", "coordinates": [0, 0]}}));
    let file = gz(folder.path(), "towns.geojson.gz", &collection(&features));
    let refused = |report: &Value| {
        let refused = report["refused"].as_array().unwrap();
        let told = |row: &Value| (row["row"].as_u64().unwrap(), row["field"].as_str().unwrap().to_owned());
        assert!(refused.iter().all(|row| !row["reason"].as_str().unwrap().is_empty()));
        refused.iter().map(told).collect::<Vec<_>>()
    };
    let counts =
        |report: &Value| (report["added"].clone(), report["changed"].clone(), report["same"].clone());
    let first = import("towns", &file).await;
    assert_eq!(counts(&first), (json!(3), json!(0), json!(0)));
    assert_eq!(refused(&first), [(4, "properties.insee".to_owned()), (5, "geometry".to_owned())]);
    assert_eq!(counts(&import("towns", &file).await), (json!(0), json!(0), json!(3)));
    features[0]["properties"]["nom"] = json!("Renamed");
    let renamed = gz(folder.path(), "renamed.gz", &collection(&features));
    assert_eq!(counts(&import("towns", &renamed).await), (json!(0), json!(1), json!(2)));
    let plain = program.done(&["import", "towns", renamed.to_str().unwrap()]).await;
    let mut lines = plain.lines();
    assert_eq!(lines.next(), Some("towns: 0 added, 0 changed, 3 as before, 2 refused, 0 noted"));
    assert_eq!(lines.next(), Some("  refused: row 4, properties.insee: is missing"));

    let zones = json!({"zones": [
        {"id": "a", "name": "A", "allowed": [{"insee": "75056"}, {"insee": "00000"}]},
        {"id": "b", "allowed": []},
    ]});
    let file = folder.path().join("zupc.json");
    std::fs::write(&file, zones.to_string()).unwrap();
    let report = import("zupc", &file).await;
    assert_eq!(
        (counts(&report).0, refused(&report)),
        (json!(1), vec![(1, "allowed.1.insee".to_owned()), (2, "name".to_owned()),])
    );
    assert_eq!(counts(&import("zupc", &file).await), (json!(0), json!(0), json!(1)));

    for text in ["", "{", "[]", "{\"zones\": 1}"] {
        std::fs::write(&file, text).unwrap();
        for what in ["towns", "zupc", "exclusions", "departements", "stations"] {
            if (what, text) == ("departements", "[]") {
                continue;
            }
            let (status, _, complaints) = program.run(&["import", what, file.to_str().unwrap()]).await;
            assert!(!status.success() && !complaints.is_empty(), "{what} {text}");
        }
    }
    let (status, _, complaints) = program.run(&["import", "towns", "missing.geojson"]).await;
    assert!(!status.success() && complaints.contains("missing.geojson"), "{complaints}");
}

#[tokio::test]
async fn accounts_are_kept_and_their_keys_shown_on_demand() {
    let (_folder, program) = program();
    let add = ["user", "add", "op", "--role", "operateur", "--role", "moteur", "--name", "Taxis", "--json"];
    let added: Value = serde_json::from_str(&program.done(&add).await).unwrap();
    program.done(&["user", "add", "boss"]).await;
    program.done(&["user", "set-manager", "op", "boss"]).await;
    program.done(&["user", "set-password", "op", "--password", "long enough"]).await;
    let list = program.done(&["user", "list", "--json"]).await;
    assert!(!list.contains(added["apikey"].as_str().unwrap()), "no key unasked");
    let list: Vec<Value> = serde_json::from_str(&list).unwrap();
    let told: Vec<_> =
        list.iter().map(|user| (&user["email"], &user["name"], &user["roles"], &user["manager"])).collect();
    assert_eq!(
        told,
        [
            (&json!("op"), &json!("Taxis"), &json!(["moteur", "operateur"]), &json!("boss")),
            (&json!("boss"), &json!("boss"), &json!([]), &json!(null)),
        ]
    );
    let shown = program.done(&["user", "show", "op", "--with-key", "--json"]).await;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["apikey"], added["apikey"]);
    assert_eq!(program.done(&["user", "list"]).await.lines().count(), 2);

    program.done(&["user", "add", "root", "--role", "admin"]).await;
    let wrong: [(&[&str], &str); 7] = [
        (&["user", "set-manager", "root", "boss"], "root is an administrator"),
        (&["user", "add", "op"], "already"),
        (&["user", "add", " "], "email"),
        (&["user", "add", "x", "--role", "king"], "king"),
        (&["user", "set-password", "op", "--password", "short"], "characters"),
        (&["user", "remove", "boss"], "refer"),
        (&["user", "rotate-key", "nobody"], "nobody"),
    ];
    for (arguments, told) in wrong {
        let (status, _, complaints) = program.run(arguments).await;
        assert!(!status.success() && complaints.contains(told), "{arguments:?}: {complaints}");
    }
    program.done(&["user", "set-manager", "op", "root"]).await;
    program.done(&["user", "set-manager", "root"]).await;
    for account in ["op", "boss", "root"] {
        program.done(&["user", "remove", account]).await;
    }
    assert_eq!(program.done(&["user", "list", "--json"]).await.trim(), "[]");
}

/// What a folder holds, by name.
fn left_in(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<_> = folder.read_dir().unwrap().map(name).collect();
    names.sort_unstable();
    names
}

fn gz(folder: &Path, name: &str, text: &Value) -> std::path::PathBuf {
    let path = folder.join(name);
    let mut file = GzEncoder::new(std::fs::File::create(&path).unwrap(), Compression::fast());
    file.write_all(text.to_string().as_bytes()).unwrap();
    file.finish().unwrap();
    path
}
