//! What imports did.

use api::import::{Remark, Report};
use api::limits::{IMPORT_REMARKS_KEPT, IMPORT_TEXT_CHARS, IMPORTS_KEPT};
use api::store::places::Imported;

use super::{Browser, HOSTILE};
use crate::world::World;

on_each_database!(
    an_import_leaves_its_report,
    an_import_that_fails_says_why,
    an_import_that_does_not_end_is_told_from_one_that_did,
    reports_are_for_administrators,
    imports_are_searched_paged_and_downloaded,
    the_newest_reports_stay,
    names_of_html_are_text_and_remarks_are_bounded,
);

const DEPARTEMENTS: &str = r#"[{"numero":"2A","nom":"Corse"},{"numero":"988","nom":"Nouvelle-Calédonie"},
                              {"numero":"75","nom":"Paris"},{"numero":"1","nom":"Ain"}]"#;

/// Imports a text of departements; gives whether that went well.
async fn import(world: &World, name: &str, text: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    std::fs::write(&file, text).unwrap();
    let (status, _, _) = world.program().run(&["import", "departements", file.to_str().unwrap()]).await;
    status.success()
}

/// The address of the first report on the list.
async fn first(browser: &Browser) -> String {
    let list = browser.get("/console/imports").await;
    let (_, rest) = list.html.split_once("href=\"/console/imports/").expect("a report");
    format!("/console/imports/{}", rest.split('"').next().unwrap())
}

async fn an_import_leaves_its_report(world: &mut World) {
    let admin = Browser::of(world, "admin").await;
    admin.get("/console/imports").await.says("Aucun résultat").says("maraude import towns FICHIER");
    assert!(import(world, "departements.json", DEPARTEMENTS).await);
    let list = admin.get("/console/imports").await;
    list.says("1 résultat")
        .says("departements.json")
        .says("<td>Départements</td><td>")
        .says("<td>terminé</td>");
    list.says("<td>4</td><td>1</td><td>1</td><td>1</td><td>1</td><td>0</td>");
    let report = admin.get(&first(&admin).await).await;
    report.says("la ligne de commande").says("<dt>Lignes lues</dt><dd>4</dd>");
    report.says("<th scope=\"row\">4</th><td>numero</td>").says("1 is no number of a departement");
    assert!(!report.html.contains("<h2>Signalées"), "nothing was noted: {report:?}");
}

async fn an_import_that_fails_says_why(world: &mut World) {
    let admin = Browser::of(world, "admin").await;
    assert!(!import(world, "departements.json", "nothing").await);
    admin.get("/console/imports").await.says("1 résultat").says("<td>échec</td>");
    let report = admin.get(&first(&admin).await).await;
    report.says("Rien n’a été importé").says("this is no JSON");
    let missing = ["import", "towns", "/nowhere/towns.geojson"];
    assert!(!world.program().run(&missing).await.0.success());
    admin.get(&first(&admin).await).await.says("reading /nowhere/towns.geojson");
}

async fn an_import_that_does_not_end_is_told_from_one_that_did(world: &mut World) {
    let store = world.server().app.registry.store();
    let id = store.begin_import("towns", "towns.geojson").await.unwrap();
    let admin = Browser::of(world, "admin").await;
    let path = format!("/console/imports/{id}");
    admin.get("/console/imports").await.says("en cours ou interrompu");
    admin.get(&path).await.says("interrompu");
    world.clock.advance(1_250);
    store.end_import(&id, Ok(&Report::default())).await.unwrap();
    let report = admin.get(&path).await;
    report.says("<dd>terminé</dd>").says("1,250 s");
    assert!(!report.html.contains("interrompu"), "{report:?}");
}

async fn reports_are_for_administrators(world: &mut World) {
    let id = world.server().app.registry.store().begin_import("towns", "f").await.unwrap();
    let (admin, operator) = (Browser::of(world, "admin").await, Browser::of(world, "op-a").await);
    for path in ["/console/imports", &format!("/console/imports/{id}")] {
        assert_eq!(admin.get(path).await.status, 200, "{path}");
        assert_eq!(operator.get(path).await.status, 403, "{path}");
        assert!(Browser::new(world).get(path).await.location().starts_with("/console/login"), "{path}");
    }
    for unknown in ["/console/imports/nothing", "/console/imports/a%00b"] {
        assert_eq!(admin.get(unknown).await.status, 404, "{unknown}");
    }
    admin.get("/console").await.says("href=\"/console/imports\"");
    assert!(!operator.get("/console").await.says("Accueil").html.contains("/console/imports"));
}

async fn imports_are_searched_paged_and_downloaded(world: &mut World) {
    let store = world.server().app.registry.store();
    for number in 0..31 {
        world.clock.advance(1);
        let what = if number == 7 { "zupc" } else { "towns" };
        let id = store.begin_import(what, &format!("file-{number}")).await.unwrap();
        store.end_import(&id, Ok(&Report::default())).await.unwrap();
    }
    let admin = Browser::of(world, "admin").await;
    let newest = admin.get("/console/imports").await;
    newest.says("31 résultats").says("page 1 sur 2").says("file-30");
    assert!(!newest.html.contains("file-0<"), "{newest:?}");
    admin.get("/console/imports?p=2").await.says("page 2 sur 2").says("file-0<");
    admin.get("/console/imports?what=zupc").await.says("1 résultat").says("file-7<");
    let file = admin.get("/console/imports?format=csv").await;
    assert_eq!(file.html.lines().count(), 32, "{file:?}");
    assert!(file.html.lines().nth(1).unwrap().contains("\"Communes\";\"file-30\";\"terminé\""), "{file:?}");
    let wrong = admin.get("/console/imports?what=people").await;
    assert!(wrong.status == 400 && wrong.html.contains("role=\"search\""), "{wrong:?}");
}

async fn the_newest_reports_stay(world: &mut World) {
    let store = world.server().app.registry.store();
    let report = Report { refused: vec![remark("a", "b")], ..Report::default() };
    let oldest = store.begin_import("towns", "oldest").await.unwrap();
    store.end_import(&oldest, Ok(&report)).await.unwrap();
    for _ in 1..IMPORTS_KEPT {
        world.clock.advance(1);
        store.begin_import("towns", "f").await.unwrap();
    }
    assert!(store.import(&oldest).await.unwrap().is_some());
    world.clock.advance(1);
    store.begin_import("towns", "newest").await.unwrap();
    assert_eq!(store.import(&oldest).await.unwrap(), None);
    let (rows, total) = store.imports(None, (1, 0)).await.unwrap();
    assert_eq!((rows[0].file.as_str(), total), ("newest", IMPORTS_KEPT));
    // One that ends after that many others is not kept, and that is no error.
    store.end_import(&oldest, Ok(&report)).await.unwrap();
}

async fn names_of_html_are_text_and_remarks_are_bounded(world: &mut World) {
    let store = world.server().app.registry.store();
    let id = store.begin_import("stations", HOSTILE).await.unwrap();
    let refused = vec![remark(HOSTILE, HOSTILE); IMPORT_REMARKS_KEPT + 1];
    let noted = vec![remark("noted", &"é".repeat(IMPORT_TEXT_CHARS + 1))];
    let imported = Imported { added: 3, changed: 0, same: 0 };
    store.end_import(&id, Ok(&Report { imported, refused, noted })).await.unwrap();
    let (row, remarks) = store.import(&id).await.unwrap().unwrap();
    assert_eq!((row.refused_count, remarks.len()), (1_001, IMPORT_REMARKS_KEPT + 1));
    assert_eq!(remarks.last().unwrap().reason.chars().count(), IMPORT_TEXT_CHARS);
    let admin = Browser::of(world, "admin").await;
    admin.get("/console/imports").await.says("1 résultat").shows_html_as_text();
    let report = admin.get(&format!("/console/imports/{id}")).await;
    report.says("les 1000 premières sur 1001").says("<h2>Signalées</h2>").shows_html_as_text();
}

fn remark(field: &str, reason: &str) -> Remark {
    Remark { row: 2, field: field.to_owned(), reason: reason.to_owned() }
}
