//! Figures, as the worked example has them.

use serde_json::json;

use super::{Browser, HOSTILE, Page};
use crate::harness::wait::{SOON, within};
use crate::statistics::example::example;
use crate::statistics::searches::{search_again, searched};
use crate::world::World;

on_each_database!(in example:
    figures_are_tables_with_charts_and_files,
    figures_for_everybody_are_drawn_too,
    figures_are_narrowed_and_what_is_wrong_is_told,
    maps_stand_for_a_minute,
    figures_of_everything_stand_for_a_minute,
    only_administrators_see_them,
    names_of_html_are_text,
);

const PAGE: &str = "/console/statistics";

/// A row of a table, as it is written in the page.
fn row(name: &str, figures: &[&str]) -> String {
    let figures = figures.iter().map(|figure| format!("<td class=\"number\">{figure}</td>"));
    format!("<tr><td>{name}</td>{}", figures.collect::<String>())
}

fn charts(page: &Page) -> usize {
    page.html.matches("data-chart=").count()
}

async fn figures_are_tables_with_charts_and_files(world: &mut World) {
    let browser = Browser::of(world, "admin").await;
    browser
        .get(PAGE)
        .await
        .says("href=\"/console/statistics/hails\"")
        .says("<a href=\"/console/statistics/letaxi\">chiffres publics</a>")
        .says("href=\"/console/statistics\" aria-current");
    let taxis = browser.get(&format!("{PAGE}/taxis")).await;
    taxis.says(&row("Inscrits", &["6", "4", "3", "2"])).says(&row("Rayon moyen", &["175"]));
    taxis
        .says(&row("9 h", &["3,5"]))
        .says("<dt>Inscrits depuis 2022</dt>")
        .says("data-chart=")
        .says("/plotly.");
    assert_eq!(charts(&taxis), 2 + 4, "one for each unit of what there is now");
    let hails = browser.get(&format!("{PAGE}/hails")).await;
    hails
        .says(&row("Demandées", &["8", "3", "3", "1"]))
        .says(&row("Distance moyenne", &["230", "223", "223", "200"]));
    hails
        .says(&row("février", &["3", "1"]))
        .says(&row("par semaine, cette année", &["2", "1", "1", "1", "0"]));
    hails.says(&row("Prise en charge", &["378,6"]));
    assert_eq!(charts(&hails), 5, "one for each table");
    browser
        .get(&format!("{PAGE}/searches?departements=38"))
        .await
        .says("<td>Taxis trouvés</td><td><span role=\"img\" aria-label=\"inconnu\"");
    searched(world).await;
    let searches = browser.get(&format!("{PAGE}/searches")).await;
    searches.says(&row("Taxis trouvés", &["0,75", "1,5", "3,25"])).says(&row("app1", &["3"]));
    searches.says("Graphique : Ce que trouvent les recherches, en mètres. Le tableau a les mêmes valeurs.");
    browser.get(&format!("{PAGE}/groupements")).await.says(&row("opA", &["3", "8", "37,5"]));
    browser.get(&format!("{PAGE}/adsmap")).await.says(&row("69 Rhône", &["4"]));
    let cells = browser.get(&format!("{PAGE}/heatmaps")).await;
    cells.says("Où sont les taxis libres").says("Aucune ligne");
    assert!(!cells.html.contains("data-chart"), "no cell has five: {cells:?}");

    taxis.says("href=\"/console/statistics/taxis?table=dates\"");
    let file = browser.get(&format!("{PAGE}/taxis?table=heures")).await;
    assert_eq!(file.headers["content-disposition"], "attachment; filename=\"taxis-heures.csv\"");
    assert!(file.html.starts_with("\u{feff}\"Heure (UTC)\";\"Taxis\"\n\"0 h\";\"\"\n"), "{file:?}");
    assert!(file.html.contains("\"9 h\";\"3,5\"\n"), "{file:?}");
    assert_eq!(browser.get(&format!("{PAGE}/taxis?table=luck")).await.status, 404);
    assert_eq!(browser.get(&format!("{PAGE}/luck")).await.status, 404);
}

async fn figures_for_everybody_are_drawn_too(world: &mut World) {
    let browser = Browser::of(world, "admin").await;
    let public = browser.get(&format!("{PAGE}/letaxi")).await;
    public
        .says(&row("Groupements", &["2"]))
        .says(&row("Éditeurs d’applications de taxi", &["1"]))
        .says(&row("Courses demandées, sur un an, Lyon", &["100"]));
    public.says(&row("2025-03-01", &["0,14"])).says(&row("2026-03-01", &["0,21", "0,94"]));
    public.says("13 lignes").says("<dt>Part des taxis inscrits</dt>");
    assert_eq!(charts(&public), 2 + 1, "one for accounts, one for growth, one for months");
    assert!(!public.html.contains("name=\"departements\""), "nothing narrows them: {public:?}");
    let file = browser.get(&format!("{PAGE}/letaxi?table=inscrits")).await;
    assert_eq!(file.headers["content-disposition"], "attachment; filename=\"letaxi-inscrits.csv\"");
    let first = "\"Date\";\"Lyon (%)\";\"Grenoble (%)\";\"Rouen (%)\"\n\"2025-03-01\";\"0,14\";\"\";\"\"\n";
    assert!(file.html.starts_with(&format!("\u{feff}{first}")), "{file:?}");
    assert!(file.html.ends_with("\"2026-03-01\";\"0,21\";\"0,94\";\"\"\n"), "{file:?}");
}

async fn figures_are_narrowed_and_what_is_wrong_is_told(world: &mut World) {
    let browser = Browser::of(world, "admin").await;
    let isere = browser.get(&format!("{PAGE}/taxis?departements=38&insee=&groups=&manager=")).await;
    isere.says(&row("Inscrits", &["2", "1", "1", "0"])).says("value=\"38\"");
    isere.says("href=\"/console/statistics/taxis?departements=38&amp;table=dates\"");
    let group = world.number("opB").to_string();
    let of_group = browser.get(&format!("{PAGE}/taxis?groups={group}")).await;
    of_group.says(&row("Inscrits", &["3", "1", "0", "0"])).says(&format!("value=\"{group}\" selected"));
    let managed = browser.get(&format!("{PAGE}/hails?manager={}", world.number("boss"))).await;
    managed.says("selected>BOSS</option>");
    let wrong = browser.get(&format!("{PAGE}/hails?groups=x&departements=38")).await;
    assert!(wrong.status == 400 && wrong.html.contains("Il faut un nombre entier"), "{wrong:?}");
    assert!(wrong.html.contains("value=\"38\""), "what was entered stays: {wrong:?}");
}

async fn maps_stand_for_a_minute(world: &mut World) {
    let browser = Browser::of(world, "admin").await;
    let (page, file) = (format!("{PAGE}/heatmaps"), format!("{PAGE}/heatmaps?table=recherches"));
    browser.get(&page).await.says("D’où partent les recherches").says("Aucune ligne");
    searched(world).await;
    for _ in 1..5 {
        search_again(world);
    }
    let history = world.server().app.history.clone().unwrap();
    within(SOON, "every search", async || (history.len() == 12).then_some(())).await;
    assert_eq!(browser.get(&file).await.html.lines().count(), 1, "they are those of a moment ago");
    world.clock.advance(60_000);
    // Those are told once more, while others are counted.
    let counted = async || Some(browser.get(&file).await).filter(|told| told.html.lines().count() == 2);
    let told = within(SOON, "a map of now", counted).await;
    assert!(told.html.ends_with(";\"5\"\n"), "{told:?}");
    let maps = browser.get(&page).await;
    maps.says("Carte : D’où partent les recherches").says("1 ligne").says("<td class=\"number\">5</td>");
    assert_eq!(browser.get(&format!("{page}?table=luck")).await.status, 404);
}

async fn figures_of_everything_stand_for_a_minute(world: &mut World) {
    let browser = Browser::of(world, "admin").await;
    let page = format!("{PAGE}/searches");
    browser.get(&page).await.says("Sans filtre, ces chiffres ont 10 minutes au plus, si");
    searched(world).await;
    let is_told = |page: &Page| page.html.contains(&row("app1", &["3"]));
    assert!(!is_told(&browser.get(&page).await), "they are those of a moment ago");
    assert!(is_told(&browser.get(&format!("{page}?departements=38,69")).await), "those of a part are of now");
    world.clock.advance(60_000);
    let counted = async || Some(browser.get(&page).await).filter(is_told);
    within(SOON, "figures of now", counted).await;
}

async fn only_administrators_see_them(world: &mut World) {
    let (admin, operator) = (Browser::of(world, "admin").await, Browser::of(world, "opA").await);
    for path in [PAGE.to_owned(), format!("{PAGE}/taxis"), format!("{PAGE}/heatmaps")] {
        // What is kept is kept for those who may see it.
        assert_eq!(admin.get(&path).await.status, 200, "{path}");
        assert_eq!(operator.get(&path).await.status, 403, "{path}");
        assert!(Browser::new(world).get(&path).await.location().starts_with("/console/login"), "{path}");
    }
    let home = operator.get("/console").await;
    assert!(!home.html.contains(PAGE), "{home:?}");
}

async fn names_of_html_are_text(world: &mut World) {
    let account = format!("/users/{}", world.number("opA"));
    world.client.put(world.key("admin"), &account, &json!({"name": HOSTILE})).await.element(200);
    let browser = Browser::of(world, "admin").await;
    browser.get(&format!("{PAGE}/taxis")).await.shows_html_as_text();
}
