//! What becomes of positions and searches once they are logged: files that the command line counts and checks.

use std::path::Path;
use std::time::Duration;

use analytics::layout::Stream;
use analytics::positions::Positions;
use analytics::root::Root;
use analytics::rows::Rows;
use analytics::searches::Searches;
use analytics::verify::verify;
use api::serve::ProcessRole;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::broker;
use crate::database::Backend;
use crate::harness::client::Client;
use crate::harness::places::{MIDDLE, towns};
use crate::harness::program::Program;
use crate::harness::wait::{SOON, within};
use crate::world::World;

#[tokio::test]
async fn positions_and_searches_come_into_the_archive_and_outlive_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("maraude.toml"), "archive_after_s = 0").unwrap();
    let program = Program::new(folder.path(), None);
    let file = folder.path().join("towns.json");
    std::fs::write(&file, towns().to_string()).unwrap();
    program.done(&["import", "towns", file.to_str().unwrap()]).await;
    let mut keys = Vec::new();
    for (name, role) in [("op", "operateur"), ("app", "moteur")] {
        let added = program.done(&["user", "add", name, "--role", role, "--json"]).await;
        keys.push(serde_json::from_str::<Value>(&added).unwrap()["apikey"].as_str().unwrap().to_owned());
    }
    let (key, app) = (&keys[0], &keys[1]);

    for life in 1..=2 {
        let (mut server, http, _) = program.serve().await;
        let client = Client::new(http);
        let ready = async || (client.get("", "/health/ready").await.status == 200).then_some(());
        within(SOON, "readiness", ready).await;
        assert_eq!(client.get("", "/health/ready").await.body["archive"], "ready");
        let taxi = client.register(key, life, MIDDLE).await;
        for n in 0..10 {
            let at =
                json!({"positions": [{"taxi_id": taxi, "lat": 48.83, "lon": 2.35 + f64::from(n) / 1e4}]});
            assert_eq!(client.post(key, "/geotaxi/", &at).await.status, 200);
        }
        for _ in 0..3 {
            assert_eq!(client.get(app, "/taxis?lon=2.35&lat=48.83").await.status, 200);
        }
        let rows = [format!("with {} position(s)", 10 * life), format!("with {} search(es)", 3 * life)];
        let archived = async || {
            let out = program.done(&["archive", "verify"]).await;
            rows.iter().all(|rows| out.contains(rows)).then_some(())
        };
        within(SOON, "ten more positions and three more searches in the archive", archived).await;
        server.signal(if life == 1 { Signal::SIGKILL } else { Signal::SIGTERM });
        server.end().await;
    }

    let status = program.done(&["archive", "status"]).await;
    assert!(status.contains("recent   20 position(s)") && status.contains("until    20"), "{status}");
    assert!(status.contains("recent   6 search(es)"), "{status}");
    let of_searches = program.done(&["archive", "files", "searches"]).await;
    assert!(of_searches.lines().all(|file| file.contains("/recent/searches/")), "{of_searches}");
    let files = program.done(&["archive", "files"]).await;
    assert!(files.lines().count() >= 2 && files.lines().all(|file| Path::new(file).is_file()), "{files}");
    let compared = program.done(&["archive", "verify", "--with-log"]).await;
    assert!(compared.contains("20 position(s) compared with what their log has"), "{compared}");
    assert!(program.done(&["archive", "blur"]).await.contains("no day to blur"));
    assert!(program.done(&["archive", "blur", "--dry-run"]).await.contains("no day to blur"));
    let second = files.lines().nth(1).unwrap();
    std::fs::remove_file(second).unwrap();
    let (outcome, out, complaints) = program.run(&["archive", "verify"]).await;
    assert!(
        !outcome.success() && out.contains("are missing") && complaints.contains("1 problem(s)"),
        "{out}"
    );

    let tomorrow = program.run(&["archive", "compact", "--day", "2999-01-01"]).await;
    assert!(!tomorrow.0.success() && tomorrow.2.contains("not over yet"), "{tomorrow:?}");
    assert!(program.done(&["archive", "compact"]).await.contains("no day to write"));
    let tomorrow = program.run(&["archive", "blur", "--day", "2999-01-01"]).await;
    assert!(!tomorrow.0.success() && tomorrow.2.contains("not over yet"), "{tomorrow:?}");
    let (archive, _) = files.split_once("/recent/").unwrap();
    what_is_damaged_is_named_and_the_rest_is_done(&program, Path::new(archive)).await;
}

async fn what_is_damaged_is_named_and_the_rest_is_done(program: &Program, archive: &Path) {
    const MANIFEST: &str = "manifests/searches/date=2001-01-01/000001.json";
    const ROLLUP: &str = "rollups/hails_day/date=2001-01-01/000001.parquet";
    for name in [MANIFEST, ROLLUP] {
        std::fs::create_dir_all(archive.join(name).parent().unwrap()).unwrap();
        std::fs::write(archive.join(name), "{").unwrap();
    }
    let (outcome, out, complaints) = program.run(&["archive", "files", "searches"]).await;
    assert!(!outcome.success() && complaints.contains(MANIFEST), "{complaints}");
    assert!(out.lines().count() > 0 && out.lines().all(|file| Path::new(file).is_file()), "{out}");
    let commands: [(&[&str], &str); 7] = [
        (&["status"], "hails\n"),
        (&["compact"], ""),
        (&["blur"], ""),
        (&["blur", "--dry-run"], ""),
        (&["delete"], ""),
        (&["delete", "--dry-run"], ""),
        (&["verify"], ROLLUP),
    ];
    for (command, rest) in commands {
        let (outcome, out, complaints) = program.run(&[&["archive"][..], command].concat()).await;
        assert!(!outcome.success() && complaints.contains("problem(s)"), "{command:?}: {complaints}");
        assert!(out.contains(MANIFEST) && out.contains(rest), "{command:?}: {out}");
    }
    let (outcome, out, complaints) = program.run(&["retain", "--dry-run"]).await;
    assert!(!outcome.success() && complaints.contains(MANIFEST), "{complaints}");
    assert!(out.contains("of archived hails would be deleted"), "{out}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_of_its_own_archives_what_others_take() {
    let Some(log) = broker::new_log() else { return };
    let Some(mut world) = World::begin(Backend::Postgres).await else { return };
    world.stop().await;
    world.start_as(|config| (config.role, config.log) = (ProcessRole::Api, log.clone())).await;
    let (key, taxi) = (world.key("op-a").to_owned(), world.register("op-a", 1, MIDDLE).await);
    let start = |config: &mut api::config::Config| {
        (config.role, config.log) = (ProcessRole::Archive, log.clone());
        config.archive_after = Duration::ZERO;
    };
    let (archive, folder) = world.another(start).await;
    let ready = Client::new(archive.http).get("", "/health/ready").await;
    assert_eq!(
        (ready.status, &ready.body["archive"], &ready.body["map"]),
        (200, &json!("ready"), &Value::Null)
    );
    assert_eq!(Client::new(archive.http).get(&key, "/taxis").await.status, 404, "it answers nothing else");
    assert_eq!(world.client.get("", "/health/ready").await.body["archive"], Value::Null);

    world.place("op-a", &taxi, (48.83, 2.35)).await;
    assert_eq!(world.search("app", (48.83, 2.35)).await.len(), 1);
    let root = Root::open(&format!("file:{}/archive", folder.path().display()).parse().unwrap()).unwrap();
    within(SOON, "the position in the archive", async || has_one::<Positions>(&root).await).await;
    within(SOON, "the search in the archive", async || has_one::<Searches>(&root).await).await;
    let current = analytics::current::Current::read(&root, Stream::Positions).await.unwrap();
    assert_eq!(current.recent[0].name.epoch, archive.app.log.epoch());
    archive.stop().await;
    world.stop().await;
}

/// Whether a stream has one row, with which nothing is wrong.
async fn has_one<R: Rows>(root: &Root) -> Option<()> {
    let findings = verify::<R>(root, &|_, _| ()).await.unwrap();
    assert_eq!(findings.problems, [""; 0]);
    (findings.rows == 1).then_some(())
}
