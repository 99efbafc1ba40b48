//! What is no page is shown as one.

use reqwest::Method;
use reqwest::header::ORIGIN;

use super::{Browser, Page};
use crate::harness::wait::{SOON, within};
use crate::world::World;

on_each_database!(
    whatever_is_answered_is_a_page,
    who_comes_back_to_a_form_is_brought_to_its_page,
    whoever_acts_for_another_is_told_so_on_every_page,
    no_other_site_reads_pages,
    the_home_page_tells_administrators_of_today,
);

async fn whatever_is_answered_is_a_page(world: &mut World) {
    let browser = Browser::of(world, "op-a").await;
    let long = "x".repeat(9_000);
    let body = "x".repeat(3 << 20);
    let post = |path: &str| browser.request(Method::POST, path).header(ORIGIN, &browser.base);
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    for (request, status, title) in [
        (browser.request(Method::DELETE, "/console/account"), 405, "Méthode refusée"),
        (
            post("/console/logout").header("Content-Type", "application/json").body("{}"),
            400,
            "Demande incorrecte",
        ),
        (post("/console/logout").header(form.0, form.1).body(body), 413, "Formulaire trop long"),
        (browser.request(Method::GET, &format!("/console?x={long}")), 414, "Adresse trop longue"),
        (browser.request(Method::GET, "/console/nowhere"), 404, "Page introuvable"),
        (browser.request(Method::GET, "/console/taxis/%00"), 404, "Page introuvable"),
    ] {
        let page = Page::of(request).await;
        assert!(page.status == status && page.html.contains(&format!("<h1>{title}</h1>")), "{page:?}");
        assert_eq!(page.headers["content-type"], "text/html; charset=utf-8", "{title}");
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{title}: {policy}");
        assert_eq!(page.headers["cache-control"], "no-store", "{title}");
    }
    // What is no page stays as it was.
    let answer = Page::of(browser.request(Method::DELETE, "/taxis")).await;
    assert_eq!((answer.status, answer.headers["content-type"].as_bytes()), (405, &b"application/json"[..]));
}

async fn who_comes_back_to_a_form_is_brought_to_its_page(world: &mut World) {
    let browser = Browser::of(world, "op-a").await;
    for (form, page) in [
        ("/console/account/key", "/console/account"),
        ("/console/account/password", "/console/account"),
        ("/console/act-as/end", "/console/act-as"),
        ("/console/logout", "/console"),
    ] {
        assert_eq!(browser.get(form).await.location(), page);
    }
}

async fn whoever_acts_for_another_is_told_so_on_every_page(world: &mut World) {
    let admin = Browser::of(world, "admin").await;
    let number = world.number("op-a").to_string();
    admin.post("/console/act-as", "/console/act-as", &[("account", &number)]).await;
    for (path, status) in
        [("/console/users", 403), ("/console/taxis/nowhere", 404), ("/console/taxis?p=x", 400)]
    {
        let page = admin.get(path).await;
        assert!(page.status == status && page.html.contains("Vous agissez en tant que"), "{path}: {page:?}");
    }
}

async fn no_other_site_reads_pages(world: &mut World) {
    let browser = Browser::new(world);
    for path in ["/console", "/console/login", "/console/nowhere"] {
        let page = Page::of(browser.request(Method::GET, path).header(ORIGIN, "https://evil.example")).await;
        assert!(!page.headers.contains_key("access-control-allow-origin"), "{path}: {page:?}");
    }
    let open =
        Page::of(browser.request(Method::GET, "/health/live").header(ORIGIN, "https://app.example")).await;
    assert_eq!(open.headers["access-control-allow-origin"], "*");
}

async fn the_home_page_tells_administrators_of_today(world: &mut World) {
    let admin = Browser::of(world, "admin").await;
    admin.get("/console").await.says("<dt>Taxis connectés</dt><dd>0</dd>");
    let mut taxis = Vec::new();
    for number in 1..=5 {
        taxis.push(world.register("op-a", number, crate::harness::places::MIDDLE).await);
    }
    world.clock.advance(60_000);
    for taxi in &taxis {
        world.place("op-a", taxi, (48.8566, 2.3522)).await;
    }
    world.hail("app", &taxis[0], "op-a").await;
    // Those of a minute ago are told once more, while others are counted.
    let of_now = async || {
        let page = admin.get("/console").await;
        page.html.contains("<dt>Taxis connectés</dt><dd>5</dd>").then_some(page)
    };
    let page = within(SOON, "figures of now", of_now).await;
    page.says("aujourd’hui (UTC)</dt><dd>1</dd>");
    for other in [Browser::new(world), Browser::of(world, "op-a").await] {
        let page = other.get("/console").await;
        page.says("<dt>Groupements</dt>");
        assert!(!page.html.contains("Taxis connectés") && !page.html.contains("aujourd’hui"), "{page:?}");
    }
}
