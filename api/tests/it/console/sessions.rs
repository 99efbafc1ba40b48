//! Logging in, out, and acting for others; what holds for every page.

use api::activity::Actor;
use api::limits::SESSION_LASTS;
use api::passwords::TRIES_MAX;
use api::role::Role;
use api::store::users::UserChanges;
use reqwest::header::ORIGIN;
use reqwest::{Method, Url};
use serde_json::{Value, json};

use super::{Browser, HOSTILE, PASSWORD, Page};
use crate::world::World;

on_each_database!(
    everybody_sees_the_home_page,
    every_page_is_guarded_by_the_same_headers,
    who_logs_in_is_known_until_logging_out,
    a_session_ends_after_twelve_hours,
    another_password_ends_every_session,
    logging_in_ends_the_session_that_the_browser_had,
    passwords_are_tried_so_often_and_no_more,
    forms_of_elsewhere_are_refused,
    nobody_is_brought_elsewhere_by_logging_in,
    cookies_are_for_https_alone_where_browsers_come_by_it,
    an_administrator_acts_for_others_under_a_banner,
    a_manager_acts_for_whom_it_manages_alone,
    a_manager_does_not_act_for_an_administrator,
    only_the_hash_of_a_token_is_kept,
    many_sessions_end_the_oldest,
);

async fn everybody_sees_the_home_page(world: &mut World) {
    let page = Browser::new(world).get("/console/").await;
    page.says("Chiffres clés").says("Se connecter").says("href=\"/opendata\"").says("lang=\"fr\"");
    assert!(!page.html.contains("Mon compte"), "{page:?}");
}

async fn every_page_is_guarded_by_the_same_headers(world: &mut World) {
    let nobody = Browser::new(world);
    let home = nobody.get("/console").await;
    let policy = home.headers["content-security-policy"].to_str().unwrap();
    for directive in ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"]
    {
        assert!(policy.contains(directive), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    for text in [" style=", "<style", " onclick", "javascript:"] {
        assert!(!home.html.contains(text), "{text} in {home:?}");
    }
    let missing = nobody.get("/console/nowhere/at/all").await;
    assert_eq!(missing.status, 404);
    assert!(missing.html.contains("Page introuvable"), "{missing:?}");
    for page in [&home, &missing, &nobody.get("/console/login").await, &nobody.get("/console/account").await]
    {
        assert_eq!(page.headers["content-security-policy"], policy, "{page:?}");
        assert_eq!(page.headers["x-content-type-options"], "nosniff");
        assert_eq!(page.headers["referrer-policy"], "same-origin");
        assert_eq!(page.headers["cache-control"], "no-store");
    }
    // What a page loads is named by its content, and kept for ever.
    let assets: Vec<_> = home.html.split('"').filter(|text| text.starts_with("/console/assets/")).collect();
    assert_eq!(assets.len(), 2, "{home:?}");
    for asset in assets {
        let file = nobody.get(asset).await;
        assert_eq!((file.status, file.headers["x-content-type-options"].as_bytes()), (200, &b"nosniff"[..]));
        assert!(file.headers["cache-control"].to_str().unwrap().contains("immutable"), "{file:?}");
    }
    assert_eq!(nobody.get("/console/assets/console.0000000000000000.css").await.status, 404);
}

async fn who_logs_in_is_known_until_logging_out(world: &mut World) {
    let mut nobody = Browser::new(world);
    assert!(!nobody.is_known().await);
    let wrong = nobody.log_in("op-a", "wrong horse").await;
    assert!(wrong.status == 401 && wrong.html.contains("incorrect"), "{wrong:?}");
    let browser = Browser::of(world, "op-a").await;
    browser.get("/console/account").await.says("op-a").says("aria-current=\"page\"");
    let entries = world.client.get(world.key("admin"), "/activity_logs?action=login_password").await;
    assert_eq!(entries.body["data"][0]["resource_id"], world.number("op-a").to_string());
    let out = browser.post("/console", "/console/logout", &[]).await;
    assert_eq!(out.location(), "/console");
    assert_eq!(out.cookie(), "maraude_session=", "the browser forgets it");
    assert!(!browser.is_known().await, "and so does the server");
}

async fn a_session_ends_after_twelve_hours(world: &mut World) {
    let browser = Browser::of(world, "op-a").await;
    let lasts_ms = i64::try_from(SESSION_LASTS.as_millis()).unwrap();
    world.clock.advance(lasts_ms - 1);
    assert!(browser.is_known().await);
    let store = world.server().app.registry.store();
    assert_eq!(store.prune_console_sessions().await.unwrap(), 0);
    world.clock.advance(1);
    assert!(!browser.is_known().await);
    assert_eq!(store.prune_console_sessions().await.unwrap(), 1);
}

async fn another_password_ends_every_session(world: &mut World) {
    let (browser, other) = (Browser::of(world, "op-a").await, Browser::of(world, "op-b").await);
    let path = format!("/users/{}", world.number("op-a"));
    let change = async |change: Value| world.client.put(world.key("op-a"), &path, &change).await.element(200);
    change(json!({"name": "Another name"})).await;
    assert!(browser.is_known().await, "another name ends none");
    change(json!({"password": "another horse"})).await;
    assert!(!browser.is_known().await);
    assert!(other.is_known().await, "somebody else's goes on");
}

async fn logging_in_ends_the_session_that_the_browser_had(world: &mut World) {
    let mut browser = Browser::of(world, "op-a").await;
    let mut elsewhere = Browser::new(world);
    elsewhere.log_in("op-a", PASSWORD).await;
    let former = Browser { cookie: browser.cookie.clone(), ..Browser::new(world) };
    assert_eq!(browser.log_in("op-a", "wrong horse").await.status, 401);
    assert!(former.is_known().await, "nobody logged in");
    browser.log_in("op-a", PASSWORD).await;
    assert!(browser.is_known().await && !former.is_known().await);
    assert!(elsewhere.is_known().await, "another browser's goes on");
}

async fn passwords_are_tried_so_often_and_no_more(world: &mut World) {
    let mut browser = Browser::of(world, "op-a").await;
    for _ in 0..TRIES_MAX {
        assert_eq!(browser.log_in("op-a", "wrong horse").await.status, 401);
    }
    let throttled = browser.log_in("op-a", PASSWORD).await;
    assert_eq!((throttled.status, throttled.headers["retry-after"].as_bytes()), (429, &b"60"[..]));
    assert!(throttled.html.contains("Patientez"), "{throttled:?}");
}

async fn forms_of_elsewhere_are_refused(world: &mut World) {
    let (browser, other) = (Browser::of(world, "op-a").await, Browser::of(world, "op-b").await);
    let token = browser.get("/console").await.form_token();
    let foreign = other.get("/console").await.form_token();
    assert_ne!(token, foreign);
    let good = [("form_token", token.as_str())];
    let log_out = || browser.form("/console/logout", &good);
    let ours = browser.base.clone();
    for (request, why) in [
        (log_out(), "it does not say where it was"),
        (log_out().header(ORIGIN, "https://evil.example"), "another site's"),
        (log_out().header(ORIGIN, "null"), "nobody's"),
        (
            log_out().header(ORIGIN, &ours).header("Sec-Fetch-Site", "cross-site"),
            "another site's, with our name",
        ),
        (log_out().header(ORIGIN, &ours).header("Sec-Fetch-Site", "same-site"), "a neighbour's"),
        (browser.form("/console/logout", &[]).header(ORIGIN, &ours), "without a token"),
        (
            browser.form("/console/logout", &[("form_token", &foreign)]).header(ORIGIN, &ours),
            "another's token",
        ),
    ] {
        let page = Page::of(request).await;
        assert!(page.status == 403 && page.html.contains("Formulaire refusé"), "{why}: {page:?}");
    }
    let login = browser.form("/console/login", &[("email", "op-a"), ("password", PASSWORD)]);
    assert_eq!(Page::of(login.header(ORIGIN, "https://evil.example")).await.status, 403);
    assert!(browser.is_known().await);
    let no_form = browser.request(Method::POST, "/console/logout").header(ORIGIN, &ours).json(&json!({}));
    assert_eq!(Page::of(no_form).await.status, 400);
    assert_eq!(Page::of(log_out().header("Sec-Fetch-Site", "same-origin")).await.location(), "/console");
}

async fn nobody_is_brought_elsewhere_by_logging_in(world: &mut World) {
    let browser = Browser::of(world, "op-a").await;
    for (to, way) in [
        ("/console/account?x=1", "/console/account?x=1"),
        ("https://evil.example/console", "/console"),
        ("//evil.example/console", "/console"),
    ] {
        let fields = [("email", "op-a"), ("password", PASSWORD), ("to", to)];
        let page = Page::of(browser.form("/console/login", &fields).header(ORIGIN, &browser.base)).await;
        assert_eq!(page.location(), way, "{to}");
    }
    let hostile = browser.form("/console/login", &[("email", HOSTILE), ("password", "x")]);
    let page = Page::of(hostile.header(ORIGIN, &browser.base)).await;
    assert_eq!(page.status, 401);
    page.shows_html_as_text();
}

async fn cookies_are_for_https_alone_where_browsers_come_by_it(world: &mut World) {
    let mut browser = Browser::of(world, "op-a").await;
    let set = async |browser: &mut Browser| {
        let page = browser.log_in("op-a", PASSWORD).await;
        page.headers["set-cookie"].to_str().unwrap().to_owned()
    };
    let plain = set(&mut browser).await;
    assert!(plain.contains("; HttpOnly; SameSite=Lax") && !plain.contains("Secure"), "{plain}");
    world.stop().await;
    let public = Url::parse("https://taxis.example.org").unwrap();
    world.start_as(|config| config.behaviour.public_url = Some(public)).await;
    let mut browser = Browser::new(world);
    let secured = set(&mut browser).await;
    assert!(secured.starts_with("__Host-maraude_session="), "{secured}");
    assert!(
        secured.contains("; Path=/; Secure; ") && secured.ends_with("; HttpOnly; SameSite=Lax"),
        "{secured}"
    );
    assert!(browser.is_known().await);
    // A proxy may call us by a name of its own; the browser says where it is.
    let fields = [("email", "op-a"), ("password", PASSWORD)];
    let proxied = browser.form("/console/login", &fields).header(ORIGIN, "https://taxis.example.org");
    assert_eq!(Page::of(proxied).await.location(), "/console");
}

async fn an_administrator_acts_for_others_under_a_banner(world: &mut World) {
    let account = format!("/users/{}", world.number("op-a"));
    world.client.put(world.key("op-a"), &account, &json!({"name": HOSTILE})).await.element(200);
    let admin = Browser::of(world, "admin").await;
    let list = admin.get("/console/act-as").await;
    list.says("Agir pour un compte").shows_html_as_text();
    let number = world.number("op-a").to_string();
    let begun = admin.post("/console/act-as", "/console/act-as", &[("account", &number)]).await;
    assert_eq!(begun.location(), "/console");
    let page = admin.get("/console/account").await;
    page.says("Vous agissez en tant que").says("Réception des courses").shows_html_as_text();
    assert!(
        !page.html.contains("Mot de passe actuel"),
        "nobody changes a password that is not theirs: {page:?}"
    );
    let password = [("old", PASSWORD), ("new", "another horse"), ("again", "another horse")];
    let refused = admin.post("/console/account", "/console/account/password", &password).await;
    assert_eq!(refused.status, 403);
    let endpoint = [("hail_endpoint_production", ""), ("operator_header_name", "X-Set-By-Admin")];
    admin.post("/console/account", "/console/account/endpoint", &endpoint).await.says("enregistrés");
    let seen = world.client.get(world.key("op-a"), &account).await.element(200);
    assert_eq!(seen["operator_header_name"], "X-Set-By-Admin");

    let logged = world.client.get(world.key("admin"), "/activity_logs?action=auth_logas").await;
    let logged = logged.body["data"].as_array().unwrap().clone();
    let told: Vec<_> = logged.iter().map(|entry| entry["extra"]["location"].as_str().unwrap()).collect();
    let (endpoint, password) = ("/console/account/endpoint", "/console/account/password");
    assert_eq!(told, [endpoint, password, "/console/act-as"]);
    for entry in &logged {
        assert_eq!(entry["resource_id"], number);
        assert_eq!(entry["extra"]["apikey_belongs_to"], world.number("admin").to_string());
    }
    admin.post("/console", "/console/act-as/end", &[]).await;
    let page = admin.get("/console/account").await;
    assert!(page.status == 200 && !page.html.contains("Vous agissez"), "{page:?}");
}

async fn a_manager_acts_for_whom_it_manages_alone(world: &mut World) {
    let manager = Browser::of(world, "op-a").await;
    let number = world.number("op-b").to_string();
    let begin = async || manager.post("/console", "/console/act-as", &[("account", &number)]).await;
    assert_eq!(manager.get("/console/act-as").await.status, 403);
    assert_eq!(begin().await.status, 403);
    world.program().done(&["user", "set-manager", "op-b", "op-a"]).await;
    world.server().app.registry.read_all().await.unwrap();
    manager.get("/console").await.says("Agir pour un compte");
    assert_eq!(begin().await.location(), "/console");
    manager.get("/console/account").await.says("Vous agissez en tant que");
    // Whoever no longer manages it does not go on, not even as themselves.
    world.program().done(&["user", "set-manager", "op-b"]).await;
    world.server().app.registry.read_all().await.unwrap();
    assert!(!manager.is_known().await);
}

async fn a_manager_does_not_act_for_an_administrator(world: &mut World) {
    world.add_account("root", &[Role::Admin]).await;
    let manager = Browser::of(world, "op-a").await;
    // As somebody could be told to before that was refused.
    let (root, number) = (world.number("root"), world.number("op-a"));
    let changes = UserChanges { manager_id: Some(Some(number)), ..UserChanges::default() };
    let registry = &world.server().app.registry;
    let whose = (root, "root".to_owned());
    assert!(registry.change_user(Actor::COMMAND_LINE, whose, changes, None).await.unwrap());
    let page = manager.get("/console").await;
    assert!(page.status == 200 && !page.html.contains("Agir pour un compte"), "{page:?}");
    let refused = manager.post("/console", "/console/act-as", &[("account", &root.to_string())]).await;
    assert_eq!(refused.status, 403, "{refused:?}");
    // Neither by the API, nor with the administrator's key.
    let with = |key: &str| {
        let request = manager.request(Method::GET, "/users").header("X-Api-Key", key);
        Page::of(request.header("X-Logas", "root"))
    };
    assert_eq!(with(world.key("op-a")).await.status, 401);
    let listed = world.client.get(world.key("op-a"), "/users").await;
    assert_eq!(listed.body["data"], json!([]));
    assert_eq!(with(world.key("admin")).await.status, 200, "an administrator acts for anybody");
}

async fn only_the_hash_of_a_token_is_kept(world: &mut World) {
    let browser = Browser::of(world, "op-a").await;
    let (_, token) = browser.cookie.split_once('=').unwrap();
    let store = world.server().app.registry.store();
    assert_eq!(token.len(), 64);
    assert!(store.console_session(token).await.unwrap().is_none());
    let hash = api::secrets::api_key_digest(token);
    assert_eq!(store.console_session(&hash).await.unwrap().unwrap().user_id, world.number("op-a"));
    // Who reads the hash is nobody by it.
    let thief = Browser { cookie: format!("maraude_session={hash}"), ..Browser::new(world) };
    assert!(!thief.is_known().await);
}

async fn many_sessions_end_the_oldest(world: &mut World) {
    let first = Browser::of(world, "op-a").await;
    for _ in 1..api::limits::SESSIONS_AN_ACCOUNT {
        world.clock.advance(1);
        Browser::new(world).log_in("op-a", PASSWORD).await;
    }
    assert!(first.is_known().await);
    world.clock.advance(1);
    let mut later = Browser::new(world);
    later.log_in("op-a", PASSWORD).await;
    assert!(!first.is_known().await && later.is_known().await);
}
