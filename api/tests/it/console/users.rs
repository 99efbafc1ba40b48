//! Accounts that administrators add and change.

use api::activity::Actor;
use api::role::Role;
use api::store::users::UserChanges;
use serde_json::{Value, json};

use super::{Browser, HOSTILE, PASSWORD, Page};
use crate::harness::client::Answer;
use crate::world::World;

on_each_database!(
    an_account_that_is_added_logs_in_and_calls,
    what_is_wrong_with_a_new_account_is_told_by_field,
    an_account_is_changed_as_by_the_api,
    rights_hold_at_once_and_are_in_the_activity_log,
    rights_that_somebody_else_changed_meanwhile_are_not_overwritten,
    an_account_that_somebody_else_changed_meanwhile_is_not_overwritten,
    what_stands_already_is_not_judged_again,
    one_administrator_is_left_however_many_give_up_the_role_at_once,
    what_is_lent_to_everybody_is_no_administrator,
    no_administrator_is_locked_out_by_itself,
    a_manager_of_an_administrator_is_one,
    accounts_are_changed_by_administrators_alone,
);

const NEW: &str = "/console/users/new";

async fn activity(world: &World, action: &str) -> Vec<Value> {
    let path = format!("/activity_logs?action={action}");
    let answer = world.client.get(world.key("admin"), &path).await;
    answer.body["data"].as_array().unwrap().clone()
}

/// That this page refuses what was sent, and says so.
fn refuses(page: &Page, why: &str) {
    assert!(page.status == 400 && page.html.contains(why), "no {why:?} in {page:?}");
}

/// The version that the forms of an account have.
fn version(page: &Page) -> String {
    let (_, rest) = page.html.split_once("name=\"version\" value=\"").expect("a form with a version");
    rest.split('"').next().unwrap().to_owned()
}

/// Changes what an account says of itself.
async fn change(admin: &Browser, number: i32, fields: &[(&str, &str)]) -> Page {
    let path = format!("/console/users/{number}");
    let version = version(&admin.get(&path).await);
    let fields = [&[("version", version.as_str())], fields].concat();
    admin.post(&path, &path, &fields).await
}

async fn set_rights(admin: &Browser, number: i32, fields: &[(&str, &str)]) -> Page {
    let path = format!("/console/users/{number}");
    let version = version(&admin.get(&path).await);
    let fields = [&[("version", version.as_str())], fields].concat();
    admin.post(&path, &format!("{path}/rights"), &fields).await
}

async fn an_account_that_is_added_logs_in_and_calls(world: &mut World) {
    let admin = Browser::of(world, "admin").await;
    admin.get("/console/users").await.says("href=\"/console/users/new\"");
    let fields = [
        ("email", " new@example.org "),
        ("name", HOSTILE),
        ("role", "moteur"),
        ("role", "operateur"),
        ("manager", "op-a"),
        ("password", PASSWORD),
    ];
    let page = admin.post(NEW, NEW, &fields).await;
    page.says("Le compte est ajouté");
    let (_, rest) = page.html.split_once("id=\"key\">").unwrap();
    let key = rest.split('<').next().unwrap();
    let (_, rest) = page.html.split_once("href=\"/console/users/").unwrap();
    let number = rest.split('"').next().unwrap();
    let seen = world.client.get(key, &format!("/users/{number}")).await.element(200);
    assert_eq!((&seen["email"], &seen["name"]), (&json!("new@example.org"), &json!(HOSTILE)));
    assert_eq!(seen["roles"], json!([{"name": "moteur"}, {"name": "operateur"}]));
    assert_eq!(seen["manager"]["email"], "op-a");
    let mut browser = Browser::new(world);
    assert_eq!(browser.log_in("new@example.org", PASSWORD).await.location(), "/console");
    let added = &activity(world, "account_added").await[0];
    assert_eq!(
        (&added["resource_id"], &added["extra"]["user_id"]),
        (&json!(number), &json!(world.number("admin")))
    );
    // The key is shown no more, and its name is text.
    let page = admin.get(&format!("/console/users/{number}")).await;
    page.shows_html_as_text();
    assert!(!page.html.contains(key), "{page:?}");
}

async fn what_is_wrong_with_a_new_account_is_told_by_field(world: &mut World) {
    let admin = Browser::of(world, "admin").await;
    let add = async |fields: &[(&str, &str)]| admin.post(NEW, NEW, fields).await;
    let page =
        add(&[("email", "two words"), ("name", HOSTILE), ("role", "root"), ("password", "short")]).await;
    refuses(&page, "Identifiant : il faut de 1 à 255 caractères visibles");
    refuses(&page, "Rôles : ce rôle n’existe pas");
    refuses(&page, "Mot de passe : Le mot de passe doit avoir au moins 8 caractères");
    page.shows_html_as_text();
    assert!(!page.html.contains("short"), "a password is not sent back: {page:?}");
    refuses(&add(&[]).await, "Identifiant : ");
    refuses(&add(&[("email", "op-a")]).await, "Identifiant : un compte s’appelle déjà ainsi");
    refuses(&add(&[("email", "new"), ("manager", "nobody")]).await, "Gestionnaire : aucun compte");
    let page = add(&[("email", "new"), ("role", "admin"), ("role", "mairie"), ("manager", "op-a")]).await;
    refuses(&page, "Gestionnaire : seul un administrateur");
    // What was chosen stays.
    assert!(
        page.html.contains("value=\"mairie\" checked") && page.html.contains("value=\"op-a\""),
        "{page:?}"
    );
    assert_eq!(activity(world, "account_added").await.len(), 5, "those of the world alone");
}

async fn an_account_is_changed_as_by_the_api(world: &mut World) {
    let admin = Browser::of(world, "admin").await;
    let number = world.number("op-a");
    let name = [("name", HOSTILE), ("email_technical", "technique@example.org")];
    let page = change(&admin, number, &name).await;
    page.says("Le compte est enregistré").says("technique@example.org").shows_html_as_text();
    let api = format!("/users/{}", world.number("op-a"));
    let seen = world.client.get(world.key("op-a"), &api).await.element(200);
    assert_eq!((&seen["name"], &seen["email_technical"]), (&json!(HOSTILE), &json!("technique@example.org")));
    let changed = &activity(world, "account_changed").await[0];
    assert_eq!(changed["extra"]["user_id"], world.number("admin"), "{changed}");
    let wrong = [
        ("name", "Kept in the form"),
        ("hail_endpoint_production", "nowhere"),
        ("operator_header_name", "X: Y"),
        ("password", "short"),
    ];
    let page = change(&admin, number, &wrong).await;
    refuses(&page, "Adresse appelée pour chaque course : Cette adresse ne peut pas être appelée");
    refuses(&page, "En-tête qui authentifie le registre : Ce nom d’en-tête n’est pas valable");
    refuses(&page, "Mot de passe : Le mot de passe doit avoir au moins 8 caractères");
    refuses(&page, "value=\"Kept in the form\"");
    assert_eq!(world.client.get(world.key("op-a"), &api).await.element(200)["name"], HOSTILE);
    // Another's password is set, one's own is not: whoever has the browser need not know it.
    let password = [("password", "another horse")];
    change(&admin, number, &password).await.says("Le compte est enregistré");
    assert_eq!(Browser::new(world).log_in("op-a", "another horse").await.location(), "/console");
    let page = change(&admin, world.number("admin"), &password).await;
    assert!(!page.says("Le compte est enregistré").html.contains("name=\"password\""), "{page:?}");
    assert_eq!(Browser::new(world).log_in("admin", PASSWORD).await.location(), "/console");
}

async fn rights_hold_at_once_and_are_in_the_activity_log(world: &mut World) {
    let (admin, operator) = (Browser::of(world, "admin").await, Browser::of(world, "op-a").await);
    let number = world.number("op-a");
    assert_eq!(operator.get("/console/reports").await.status, 403);
    let rights = [("role", "analyste"), ("role", "operateur"), ("manager", "app")];
    set_rights(&admin, number, &rights).await.says("Les droits sont enregistrés").says("analyste");
    assert_eq!(operator.get("/console/reports").await.status, 200);
    let seen = world.client.get(world.key("op-a"), &format!("/users/{number}")).await.element(200);
    assert_eq!(seen["manager"]["email"], "app");
    let log = activity(world, "account_changed").await;
    assert_eq!(log[0]["extra"], json!({"fields": ["manager", "roles"], "user_id": world.number("admin")}));
    assert_eq!(log[0]["resource_id"], number.to_string());
    // What is as it was is no change.
    set_rights(&admin, number, &rights).await.says("Les droits sont enregistrés");
    assert_eq!(activity(world, "account_changed").await.len(), log.len());
    set_rights(&admin, number, &[]).await.says("Les droits sont enregistrés");
    assert_eq!(operator.get("/console/reports").await.status, 403);
    let seen = world.client.get(world.key("op-a"), &format!("/users/{number}")).await.element(200);
    assert_eq!((&seen["roles"], &seen["manager"]), (&json!([]), &Value::Null));
    refuses(
        &set_rights(&admin, number, &[("manager", "op-a")]).await,
        "Gestionnaire : un compte ne se gère pas",
    );
    refuses(&set_rights(&admin, number, &[("role", "root")]).await, "Rôles : ");
}

async fn rights_that_somebody_else_changed_meanwhile_are_not_overwritten(world: &mut World) {
    let admin = Browser::of(world, "admin").await;
    let path = format!("/console/users/{}", world.number("op-a"));
    let seen = version(&admin.get(&path).await);
    set_rights(&admin, world.number("op-a"), &[("role", "mairie")]).await.says("enregistrés");
    let late = [("version", seen.as_str()), ("role", "analyste")];
    let page = admin.post(&path, &format!("{path}/rights"), &late).await;
    page.says("a été modifié entre-temps").says("value=\"mairie\" checked");
    assert!(!page.html.contains("value=\"analyste\" checked"), "{page:?}");
}

async fn an_account_that_somebody_else_changed_meanwhile_is_not_overwritten(world: &mut World) {
    let (admin, number) = (Browser::of(world, "admin").await, world.number("op-a"));
    let path = format!("/console/users/{number}");
    let seen = version(&admin.get(&path).await);
    change(&admin, number, &[("email_technical", "new@example.org")]).await.says("enregistré");
    let late = [("version", seen.as_str()), ("name", "Late"), ("email_technical", "old@example.org")];
    let page = admin.post(&path, &path, &late).await;
    page.says("a été modifié entre-temps").says("value=\"new@example.org\"");
    let api = format!("/users/{number}");
    let stands = world.client.get(world.key("op-a"), &api).await.element(200);
    assert_eq!((&stands["name"], &stands["email_technical"]), (&json!("op-a"), &json!("new@example.org")));
}

/// An endpoint that could be called once, and cannot any more, is no reason to refuse another name.
async fn what_stands_already_is_not_judged_again(world: &mut World) {
    let (admin, number) = (Browser::of(world, "admin").await, world.number("op-a"));
    let changes =
        UserChanges { hail_endpoint_production: Some("nowhere".to_owned()), ..UserChanges::default() };
    let registry = &world.server().app.registry;
    let whose = (number, "op-a".to_owned());
    assert!(registry.change_user(Actor::COMMAND_LINE, whose, changes, None).await.unwrap());
    let both = [("hail_endpoint_production", "nowhere"), ("name", "Another")];
    change(&admin, number, &both).await.says("Le compte est enregistré").says("value=\"nowhere\"");
    refuses(
        &change(&admin, number, &[("hail_endpoint_production", "nobody")]).await,
        "ne peut pas être appelée",
    );
}

async fn one_administrator_is_left_however_many_give_up_the_role_at_once(world: &mut World) {
    for name in ["root", "second"] {
        world.add_account(name, &[Role::Admin]).await;
    }
    let store = world.server().app.registry.store();
    let demoted = UserChanges { roles: Some(vec![Role::Moteur]), ..UserChanges::default() };
    let demote =
        async |name| store.change_user(Actor::COMMAND_LINE, world.number(name), &demoted).await.unwrap();
    let (a, b, c) = tokio::join!(demote("admin"), demote("root"), demote("second"));
    assert_eq!([a, b, c].into_iter().filter(|done| *done).count(), 2, "{a} {b} {c}");
    let is_admin = |(_, roles): &&(_, Vec<Role>)| roles.contains(&Role::Admin);
    assert_eq!(store.users().await.unwrap().iter().filter(is_admin).count(), 1);
}

async fn what_is_lent_to_everybody_is_no_administrator(world: &mut World) {
    world.stop().await;
    world.start_as(|config| config.behaviour.integration_account = Some("op-b".to_owned())).await;
    let (admin, number) = (Browser::of(world, "admin").await, world.number("op-b"));
    refuses(&set_rights(&admin, number, &[("role", "admin")]).await, "Rôles : le compte d’intégration");
    let borrowed = async || {
        let request = world.client.http.get(format!("{}/taxis/all", world.client.base));
        let request = request.header("X-Api-Key", world.key("app")).header("X-Logas", "op-b");
        Answer::of(request).await.unwrap().status
    };
    assert_eq!(borrowed().await, 200);
    // Were it one all the same, nobody could borrow it.
    let changes = UserChanges { roles: Some(vec![Role::Admin]), ..UserChanges::default() };
    let whose = (number, "op-b".to_owned());
    let registry = &world.server().app.registry;
    assert!(registry.change_user(Actor::COMMAND_LINE, whose, changes, None).await.unwrap());
    assert_eq!(borrowed().await, 401);
}

async fn no_administrator_is_locked_out_by_itself(world: &mut World) {
    world.add_account("root", &[Role::Admin]).await;
    let admin = Browser::of(world, "admin").await;
    let (own, other) = (world.number("admin"), world.number("root"));
    refuses(&set_rights(&admin, own, &[("role", "moteur")]).await, "Rôles : vous ne pouvez pas");
    set_rights(&admin, own, &[("role", "admin"), ("role", "moteur")]).await.says("enregistrés");
    // Neither under another's name.
    let number = other.to_string();
    admin.post("/console/act-as", "/console/act-as", &[("account", &number)]).await;
    for number in [own, other] {
        refuses(&set_rights(&admin, number, &[("role", "moteur")]).await, "Rôles : vous ne pouvez pas");
    }
    admin.post("/console", "/console/act-as/end", &[]).await;
    set_rights(&admin, other, &[("role", "moteur")]).await.says("enregistrés");
    let root = Browser::of(world, "root").await;
    assert_eq!(root.get("/console/users").await.status, 403);
}

async fn a_manager_of_an_administrator_is_one(world: &mut World) {
    world.add_account("root", &[Role::Admin]).await;
    let admin = Browser::of(world, "admin").await;
    let number = world.number("op-a");
    let both = [("role", "admin"), ("manager", "op-b")];
    refuses(&set_rights(&admin, number, &both).await, "Gestionnaire : seul un administrateur");
    set_rights(&admin, number, &[("role", "admin"), ("manager", "root")]).await.says("enregistrés");
}

async fn accounts_are_changed_by_administrators_alone(world: &mut World) {
    let number = world.number("op-b");
    let path = format!("/console/users/{number}");
    world.program().done(&["user", "set-manager", "op-b", "op-a"]).await;
    world.server().app.registry.read_all().await.unwrap();
    for account in ["op-a", "app", "op-b"] {
        let browser = Browser::of(world, account).await;
        assert_eq!(browser.get(NEW).await.status, 403, "{account}");
        let rights = format!("{path}/rights");
        for (path, field) in [(NEW, ("email", "new")), (&path, ("name", "X")), (&rights, ("role", "admin"))] {
            assert_eq!(browser.post("/console", path, &[field]).await.status, 403, "{account} {path}");
        }
    }
    let seen = world.client.get(world.key("op-b"), &format!("/users/{number}")).await.element(200);
    assert_eq!((&seen["name"], &seen["roles"]), (&json!("op-b"), &json!([{"name": "operateur"}])));
    let admin = Browser::of(world, "admin").await;
    for path in ["/console/users/999", "/console/users/x"] {
        assert_eq!(admin.get(path).await.status, 404, "{path}");
    }
}
