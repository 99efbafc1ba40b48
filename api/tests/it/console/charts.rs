//! Charts, and what draws them.

use api::store::places::ShapeRow;
use reqwest::Method;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING};

use super::Browser;
use crate::harness::places::rectangle;
use crate::world::World;

on_each_database!(a_page_with_a_chart_brings_what_draws_it,);

/// A town of a conurbation that is followed.
const LYON: &str = "69123";
const A_MONTH_MS: i64 = 31 * 86_400_000;

async fn a_page_with_a_chart_brings_what_draws_it(world: &mut World) {
    let nobody = Browser::new(world);
    let without = nobody.get("/console").await;
    assert!(!without.says("Aucun taxi n’est encore inscrit").html.contains("/plotly."), "{without:?}");
    lyon(world).await;
    world.register("op-a", 1, LYON).await;
    world.clock.advance(A_MONTH_MS);
    let page = nobody.get("/console").await;
    page.says("data-chart=").says("&quot;name&quot;:&quot;Lyon&quot;").says("Mois</th>");
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(!policy.contains("unsafe") && !policy.contains("blob:"), "{policy}");

    let mut scripts = page.html.split('"').filter(|text| text.starts_with("/console/assets/plotly."));
    let address = scripts.next().expect("what draws it");
    assert_eq!(scripts.next(), None, "it is brought once");
    let plain = nobody.get(address).await;
    assert!(plain.status == 200 && plain.html.trim_start().starts_with("/**\n* plotly.js v3."));
    assert!(!plain.headers.contains_key(CONTENT_ENCODING), "{:?}", plain.headers);
    let compressed =
        nobody.request(Method::GET, address).header(ACCEPT_ENCODING, "br, gzip").send().await.unwrap();
    assert_eq!(compressed.headers()[CONTENT_ENCODING], "gzip");
    let varies = compressed.headers().get_all("vary");
    assert!(varies.into_iter().any(|names| names.to_str().unwrap().contains("Accept-Encoding")));
    let length = compressed.bytes().await.unwrap().len();
    assert!(length < plain.html.len() / 3, "{length} bytes");
}

/// Puts the town where there was none.
async fn lyon(world: &World) {
    let app = &world.server().app;
    let shape = rectangle((4.8, 4.9), (45.7, 45.8)).to_string();
    let town = ShapeRow { key: LYON.to_owned(), name: "Lyon".to_owned(), shape };
    app.registry.store().import_towns(&[town], |_| {}).await.unwrap();
    app.registry.read_all().await.unwrap();
}
