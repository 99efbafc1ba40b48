//! What analysts ask: reports and SQL.

use std::time::Duration;

use api::role::Role;
use reqwest::header::ORIGIN;

use super::{Browser, HOSTILE, Page};
use crate::analytics::archived;
use crate::harness::wait::within;
use crate::world::World;

on_each_database!(
    a_report_is_a_table_and_files,
    a_query_is_answered_as_a_table_and_files,
    every_example_is_answered,
    what_is_added_up_is_a_number,
    none_but_analysts_ask,
    names_of_html_are_text,
);

const COVERAGE: &str = "/console/reports/coverage";
const PERIOD: &str = "from=2026-09-21&to=2026-09-22";

async fn a_report_is_a_table_and_files(world: &mut World) {
    archived(world).await;
    let browser = Browser::of(world, "analyst").await;
    let list = browser.get("/console/reports").await;
    list.says("Couverture : les taxis inscrits").says("href=\"/console/reports/work\"");
    let form = browser.get(COVERAGE).await;
    form.says("value=\"2026-09-14\"").says("value=\"2026-09-21\"").says("taxis inscrits pour cent ADS");
    assert!(!form.html.contains("Résultat"), "nothing is asked yet: {form:?}");

    let address = format!("{COVERAGE}?{PERIOD}&territory=75");
    let table = browser.get(&address).await;
    table.says("1 ligne").says("Town 75056").says("td class=\"number\">100,0<").says("inconnu");
    table.says("value=\"75\"");
    let csv = browser.get(&format!("{address}&format=csv")).await;
    assert_eq!(csv.headers["content-disposition"], "attachment; filename=\"coverage.csv\"");
    let expected = "\"2026-09-21\";\"75056\";\"Town 75056\";\"1\";\"1\";\"\";\"100,0\";\"\"\n";
    assert!(csv.html.starts_with("\u{feff}\"day\";") && csv.html.ends_with(expected), "{csv:?}");
    let parquet = browser.get(&format!("{address}&format=parquet")).await;
    assert_eq!(parquet.headers["content-type"], "application/vnd.apache.parquet");
    assert!(parquet.html.starts_with("PAR1"));

    for (arguments, why) in [
        ("from=2026-09-21&to=2026-09-21&territory=75", "La fin doit suivre le début"),
        ("from=2026-09-21&to=demain", "Il faut une date"),
        ("from=2026-09-21", "Une valeur requise manque"),
        ("from=2026-09-21&to=2026-09-22&territory=nulle+part", "ne s’appelle ainsi"),
    ] {
        let page = browser.get(&format!("{COVERAGE}?{arguments}")).await;
        assert!(page.status == 400 && page.html.contains(why), "{arguments}: {page:?}");
        assert!(page.html.contains("value=\"2026-09-21\""), "what was entered stays: {page:?}");
    }
    assert_eq!(browser.get("/console/reports/luck").await.status, 404);
}

async fn a_query_is_answered_as_a_table_and_files(world: &mut World) {
    archived(world).await;
    let browser = Browser::of(world, "analyst").await;
    let form = browser.get("/console/sql").await;
    form.says("<code>positions</code>").says("<code>received_at</code>").says("FROM positions");
    assert!(!form.html.contains("licence_plate"), "{form:?}");
    browser.get("/console/sql?sql=SELECT+42").await.says("\nSELECT 42</textarea>");
    let ask = async |sql: &str, format: &str| {
        browser.post("/console/sql", "/console/sql", &[("sql", sql), ("format", format)]).await
    };
    let sql = "SELECT town, count(*) AS n, avg(1.25) AS mean FROM positions GROUP BY town";
    ask(sql, "").await.says("1 ligne").says("td class=\"number\">2<").says("1,25").says(sql);
    let csv = ask(sql, "csv").await;
    assert_eq!(csv.html, "\u{feff}\"town\";\"n\";\"mean\"\n\"75056\";\"2\";\"1,25\"\n");
    assert!(ask(sql, "parquet").await.html.starts_with("PAR1"));
    let drawn = "SELECT status, count(*) AS n FROM (VALUES ('free'), ('off')) AS x(status) GROUP BY status";
    ask(drawn, "").await.says("2 lignes").says("data-chart=").says("/plotly.");
    let many = "SELECT value FROM generate_series(1, 600)";
    let cut = ask(many, "").await;
    cut.says("Les 500 premières lignes").says("td class=\"number\">500<");
    assert!(!cut.html.contains("td class=\"number\">501<"), "{cut:?}");
    assert_eq!(ask(many, "csv").await.html.lines().count(), 601);

    for (sql, format, why) in [
        ("DROP TABLE taxis", "", "DDL not supported"),
        ("SELECT licence_plate FROM taxis", "csv", "licence_plate"),
    ] {
        let page = ask(sql, format).await;
        assert!(page.status == 400 && page.html.contains(why) && page.html.contains(sql), "{page:?}");
    }
}

async fn every_example_is_answered(world: &mut World) {
    archived(world).await;
    let browser = Browser::of(world, "analyst").await;
    let form = browser.get("/console/sql").await;
    let links = form.html.split("href=\"/console/sql?").skip(1).filter_map(|rest| rest.split('"').next());
    let examples: Vec<_> =
        links.map(|query| form_urlencoded::parse(query.as_bytes()).next().unwrap().1).collect();
    assert_eq!(examples.len(), 3, "{form:?}");
    for sql in examples {
        browser.post("/console/sql", "/console/sql", &[("sql", &sql)]).await.says("<h2>Résultat</h2>");
    }
}

async fn what_is_added_up_is_a_number(world: &mut World) {
    archived(world).await;
    world.search("app", (48.8566, 2.3522)).await;
    let browser = Browser::of(world, "analyst").await;
    let sql = "SELECT town, sum(found) AS found FROM searches GROUP BY town";
    within(Duration::from_secs(20), "a search in the archive", async || {
        let page = browser.post("/console/sql", "/console/sql", &[("sql", sql)]).await;
        page.html.contains("<td>75056</td><td class=\"number\">1</td>").then_some(())
    })
    .await;
}

async fn none_but_analysts_ask(world: &mut World) {
    world.add_account("analyst", &[Role::Analyste]).await;
    let browser = Browser::of(world, "analyst").await;
    browser.get("/console").await.says("/console/reports").says("/console/sql");
    let without_token = browser.form("/console/sql", &[("sql", "SELECT 1")]).header(ORIGIN, &browser.base);
    assert_eq!(Page::of(without_token).await.status, 403);
    let operator = Browser::of(world, "op-a").await;
    for path in ["/console/reports", COVERAGE, "/console/sql"] {
        assert_eq!(operator.get(path).await.status, 403, "{path}");
        let nobody = Browser::new(world).get(path).await;
        assert!(nobody.location().starts_with("/console/login?to="), "{path}");
    }
    assert_eq!(operator.post("/console", "/console/sql", &[("sql", "SELECT 1")]).await.status, 403);
    let home = operator.get("/console").await;
    assert!(!home.html.contains("/console/sql"), "{home:?}");
}

async fn names_of_html_are_text(world: &mut World) {
    world.add_account("analyst", &[Role::Analyste]).await;
    let browser = Browser::of(world, "analyst").await;
    let sql = format!("SELECT '{}' AS x", HOSTILE.replace('\'', "''"));
    let page = browser.post("/console/sql", "/console/sql", &[("sql", sql.as_str())]).await;
    page.says("1 ligne").shows_html_as_text();
    let wrong = browser.post("/console/sql", "/console/sql", &[("sql", HOSTILE)]).await;
    assert_eq!(wrong.status, 400);
    wrong.shows_html_as_text();
    let territory = form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect::<String>();
    let page = browser.get(&format!("{COVERAGE}?{PERIOD}&territory={territory}")).await;
    assert_eq!(page.status, 400);
    page.shows_html_as_text();
}
