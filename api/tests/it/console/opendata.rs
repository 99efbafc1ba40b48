//! The catalogue of open data, to be read.

use super::Browser;
use crate::world::World;

on_each_database!(everybody_reads_what_is_published, the_home_page_leads_to_it_and_to_the_map);

async fn everybody_reads_what_is_published(world: &mut World) {
    let nobody = Browser::new(world);
    let page = nobody.get("/console/opendata").await;
    page.says("<h1>Données ouvertes</h1>").says("Stations de taxis").says("Zones uniques de prise en charge");
    page.says("Licence Ouverte 2.0").says("du 21/09/2026").says("Aucun mois n’est encore publié");
    // What the page links to is there, as large as it says.
    let links = page.html.split("href=\"/opendata/").skip(1).map(|rest| rest.split('"').next().unwrap());
    let links: Vec<_> = links.collect();
    for link in ["stations.csv", "stations.geojson", "stations.schema.json", "zupc.geojson", "ledger"] {
        assert!(links.contains(&link), "{link} in {links:?}");
        assert_eq!(nobody.get(&format!("/opendata/{link}")).await.status, 200, "{link}");
    }
    let csv = nobody.get("/opendata/stations.csv").await;
    page.says(&format!("CSV</a> ({} octets)", csv.html.len()));
    let own = Browser::of(world, "op-a").await;
    own.get("/console/opendata").await.says("Se déconnecter");
}

async fn the_home_page_leads_to_it_and_to_the_map(world: &mut World) {
    let nobody = Browser::new(world);
    nobody.get("/console").await.says("href=\"/console/opendata\"").says("href=\"/console/map\"");
}
