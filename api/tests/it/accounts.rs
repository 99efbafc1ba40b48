//! Accounts: who sees which, who logs in, what the activity log tells, and what becomes of a removed one's number.

use api::passwords::{TRIES_MAX, TRIES_WINDOW};
use api::store::activity::{ACTIVITY_KEPT, ACTIVITY_LISTED_MAX};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use crate::harness::client::Answer;
use crate::harness::places::MIDDLE;
use crate::harness::wait::{SOON, within};
use crate::world::World;

on_each_database!(
    an_administrator_lists_all_and_a_manager_whom_it_manages,
    a_manager_acts_for_whom_it_manages_and_the_log_says_so,
    who_logs_in_is_in_the_log,
    passwords_are_tried_so_often_and_no_more,
    the_log_tells_of_each_change_of_a_taxis_status,
    the_log_tells_of_each_change_of_an_account,
    a_change_that_cannot_be_logged_does_not_happen,
    the_log_is_read_in_bounded_pages,
    the_log_forgets_after_a_year,
    a_removed_accounts_number_is_not_given_again,
);

async fn an_administrator_lists_all_and_a_manager_whom_it_manages(world: &mut World) {
    assert_eq!(listed(world, "admin", "").await, ["admin", "app", "other-app", "op-a", "op-b"]);
    assert_eq!(listed(world, "admin", "?email=OP-").await, ["op-a", "op-b"]);
    assert_eq!(listed(world, "admin", "?name=app&email=other").await, ["other-app"]);
    assert_eq!(listed(world, "admin", "?role=moteur&role=admin").await, ["admin", "app", "other-app"]);
    assert_eq!(listed(world, "admin", "?role=nonsense").await, Vec::<String>::new());
    assert_eq!(listed(world, "op-a", "").await, Vec::<String>::new());

    for managed in ["op-b", "app"] {
        world.program().done(&["user", "set-manager", managed, "op-a"]).await;
    }
    let both = async || (listed(world, "op-a", "").await == ["app", "op-b"]).then_some(());
    within(SOON, "the accounts that it manages", both).await;
    // What only administrators may ask is taken from others, too, and does nothing.
    assert_eq!(listed(world, "op-a", "?role=admin&manager=x").await, ["app", "op-b"]);
    assert_eq!(listed(world, "op-a", "/?email=op").await, ["op-b"]);
    assert_eq!(listed(world, "admin", "?manager=OP-A").await, ["app", "op-b"]);
    assert_eq!(listed(world, "app", "").await, Vec::<String>::new());

    for (arguments, errors) in [
        ("?foo=1&p=x", json!({"foo": ["Unknown field."], "p": {"0": ["Not a valid integer."]}})),
        (
            "?name=a&name=b&email=c&email=d",
            json!({"_schema": ["Argument `name` should not be specified more than once"]}),
        ),
        ("?email=a&email=b", json!({"_schema": ["Argument `email` should not be specified more than once"]})),
        ("?email=a&email=b&foo=1", json!({"foo": ["Unknown field."]})),
    ] {
        let answer = get(world, "op-a", &format!("/users{arguments}")).await;
        assert_eq!((answer.status, &answer.body), (400, &json!({"errors": errors})), "{arguments}");
    }

    world.add_accounts(30).await;
    assert_eq!(listed(world, "admin", "").await.len(), 30);
    let page = get(world, "admin", "/users?p=2").await.body;
    assert_eq!(page["data"].as_array().unwrap().len(), 5);
    assert_eq!(
        page["meta"],
        json!({"next_page": null, "prev_page": 1, "pages": 2, "per_page": 30, "total": 35})
    );
    assert_eq!(get(world, "admin", "/users?p=3").await.body["data"], json!([]));
    assert_eq!(world.client.get("nobody", "/users").await.status, 401);
}

async fn a_manager_acts_for_whom_it_manages_and_the_log_says_so(world: &mut World) {
    let taxi = world.register("op-b", 1, MIDDLE).await;
    let path = format!("/taxis/{taxi}");
    let refused = logged_as(world, "op-a", "op-b", Method::GET, &path, None).await;
    assert_eq!(refused.status, 401, "{refused:?}");
    world.program().done(&["user", "set-manager", "op-b", "op-a"]).await;
    let seen = async || {
        let answer = logged_as(world, "op-a", "op-b", Method::GET, &path, None).await;
        (answer.status == 200).then_some(())
    };
    within(SOON, "the taxi of whom it manages", seen).await;
    let off = json!({"status": "off"});
    logged_as(world, "op-a", "op-b", Method::PUT, &path, Some(&off)).await.element(200);
    logged_as(world, "admin", "op-b", Method::PUT, &path, Some(&json!({"status": "free"})))
        .await
        .element(200);

    let (manager, admin) = (world.number("op-a"), world.number("admin"));
    let of_taxi = entries(world, &format!("resource=taxi&resource_id={taxi}")).await;
    let owners: Vec<_> = of_taxi.iter().map(|entry| entry["extra"]["apikey_belongs_to"].clone()).collect();
    assert_eq!(owners, [json!(admin.to_string()), json!(manager.to_string()), Value::Null]);
    let acted = entries(world, "action=auth_logas").await;
    assert_eq!(acted.len(), 2, "reading leaves no trace: {acted:?}");
    assert_eq!(acted[1]["resource_id"], world.number("op-b").to_string());
    assert_eq!(
        acted[1]["extra"],
        json!({"method": "PUT", "location": path, "user_id": world.number("op-b"),
               "apikey_belongs_to": manager.to_string()})
    );
    // Whoever is managed does not manage.
    assert_eq!(logged_as(world, "op-b", "op-a", Method::GET, "/taxis/all", None).await.status, 401);
    let account = format!("/users/{}", world.number("op-b"));
    let seen = logged_as(world, "op-a", "op-b", Method::GET, &account, None).await.element(200);
    assert_eq!(seen["manager"], json!({"id": manager, "email": "op-a", "name": "op-a"}));
    // Its own path stays closed without the header.
    assert_eq!(get(world, "op-a", &account).await.status, 403);
    assert_eq!(
        get(world, "op-b", "/users/me").await.element(200),
        get(world, "op-b", &account).await.element(200)
    );
    let own = logged_as(world, "op-a", "op-b", Method::GET, "/users/me", None).await.element(200);
    assert_eq!(own["email"], "op-b");
    assert_eq!(get(world, "op-b", "/users/you").await.status, 404);
}

async fn who_logs_in_is_in_the_log(world: &mut World) {
    set_password(world, "app", "correct horse").await;
    let number = world.number("app");
    let wrong = json!({"errors": {"data": {"0": {"": ["Invalid credentials."]}}}});
    for credentials in [
        json!({"email": "app", "password": "wrong horse"}),
        json!({"email": "ghost", "password": "correct horse"}),
        json!({"email": "op-a", "password": "correct horse"}),
        json!({"email": "app", "apikey": world.key("op-a")}),
        json!({"email": "ghost", "apikey": world.key("app")}),
        json!({"email": "APP", "apikey": world.key("app")}),
    ] {
        let answer = log_in(world, &credentials).await;
        assert_eq!((answer.status, &answer.body), (401, &wrong), "{credentials}");
    }
    assert_eq!(entries(world, &format!("resource_id={number}&action=login_password")).await.len(), 0);
    let by_password = log_in(world, &json!({"email": "app", "password": "correct horse"})).await.element(200);
    let key = json!({"email": "app", "apikey": world.key("app"), "referrer": "12"});
    let by_key = log_in(world, &key).await.element(200);
    assert_eq!(by_password, by_key);
    assert_eq!(by_password["apikey"], world.key("app"));
    let logged: Vec<_> = entries(world, &format!("resource=user&resource_id={number}")).await;
    assert_eq!(logged[0]["action"], "login_apikey");
    assert_eq!(logged[0]["extra"], json!({"referrer": 12, "user_id": number}));
    assert_eq!(logged[1]["action"], "login_password");
    assert_eq!(logged[1]["extra"], json!({"referrer": null, "user_id": number}));
}

async fn passwords_are_tried_so_often_and_no_more(world: &mut World) {
    set_password(world, "app", "correct horse").await;
    // An account that is not there is throttled like one that is.
    for email in ["app", "ghost"] {
        let wrong = json!({"email": email, "password": "wrong horse"});
        for _ in 0..TRIES_MAX {
            assert_eq!(log_in(world, &wrong).await.status, 401);
        }
        let right = json!({"email": email, "password": "correct horse"});
        let throttled = log_in(world, &right).await;
        assert_eq!(throttled.status, 429);
        assert_eq!(throttled.headers["retry-after"], "60");
        assert!(throttled.body["errors"][""][0].as_str().unwrap().contains("wait"), "{throttled:?}");
    }
    let key = json!({"email": "app", "apikey": world.key("app")});
    log_in(world, &key).await.element(200);
    world.clock.advance(ms(TRIES_WINDOW));
    let right = json!({"email": "app", "password": "correct horse"});
    for _ in 0..=TRIES_MAX {
        log_in(world, &right).await.element(200);
    }
}

async fn the_log_tells_of_each_change_of_a_taxis_status(world: &mut World) {
    let taxi = world.register("op-a", 1, MIDDLE).await;
    let other = world.register("op-a", 2, MIDDLE).await;
    let path = format!("/taxis/{taxi}");
    for element in [
        json!({"status": "free"}),
        json!({"radius": 200}),
        json!({"status": "occupied", "radius": 200}),
        json!({"status": "nonsense"}),
        json!({"status": "off"}),
    ] {
        world.client.put(world.key("op-a"), &path, &element).await;
    }
    assert_eq!(world.client.put(world.key("op-b"), &path, &json!({"status": "free"})).await.status, 404);
    let told = entries(world, &format!("resource=taxi&resource_id={taxi}")).await;
    let changes: Vec<_> = told
        .iter()
        .map(|entry| {
            (entry["extra"]["old_status"].as_str().unwrap(), entry["extra"]["new_status"].as_str().unwrap())
        })
        .collect();
    assert_eq!(changes, [("occupied", "off"), ("free", "occupied"), ("off", "free")]);
    assert_eq!(
        told[0],
        json!({"id": told[0]["id"], "time": "2026-09-21T14:13:20", "resource": "taxi", "resource_id": taxi,
               "action": "taxi_status",
               "extra": {"old_status": "occupied", "new_status": "off", "user_id": world.number("op-a")}})
    );
    assert!(told[0]["id"].is_string());
    let all = entries(world, "action=taxi_status").await;
    assert!(all.len() == 4 && all.iter().any(|entry| entry["resource_id"] == *other), "{all:?}");
}

async fn the_log_tells_of_each_change_of_an_account(world: &mut World) {
    let (number, program) = (world.number("op-a"), world.program());
    let path = format!("/users/{number}");
    let change = json!({"name": "A", "phone_number_technical": "0123456789", "password": "correct horse"});
    world.client.put(world.key("op-a"), &path, &change).await.element(200);
    world.client.put(world.key("op-a"), &path, &json!({})).await.element(200);
    world.client.put(world.key("op-a"), &path, &json!({"name": 1})).await;
    world.client.put(world.key("admin"), &path, &json!({"email_customer": "a@b"})).await.element(200);
    program.done(&["user", "set-manager", "op-a", "op-b"]).await;
    program.done(&["user", "rotate-key", "op-a"]).await;
    let told = entries(world, &format!("resource=user&resource_id={number}")).await;
    let told: Vec<_> =
        told.iter().map(|entry| (entry["action"].as_str().unwrap(), &entry["extra"])).collect();
    let admin = world.number("admin");
    assert_eq!(
        told,
        [
            ("apikey_rotated", &json!({"user_id": null})),
            ("account_changed", &json!({"fields": ["manager"], "user_id": null})),
            ("account_changed", &json!({"fields": ["email_customer"], "user_id": admin})),
            (
                "account_changed",
                &json!({"fields": ["name", "phone_number_technical", "password"], "user_id": number})
            ),
            ("account_added", &json!({"email": "op-a", "user_id": null})),
        ]
    );
    program.done(&["user", "add", "brief"]).await;
    program.done(&["user", "remove", "brief"]).await;
    assert_eq!(entries(world, "action=account_removed").await.len(), 1);
}

async fn a_change_that_cannot_be_logged_does_not_happen(world: &mut World) {
    let taxi = world.register("op-a", 1, MIDDLE).await;
    let (path, account) = (format!("/taxis/{taxi}"), format!("/users/{}", world.number("op-a")));
    let before = world.look("op-a", &taxi).await;
    execute(world, "ALTER TABLE activity_log RENAME TO activity_log_away").await;
    let off = json!({"status": "off"});
    assert_eq!(world.client.put(world.key("op-a"), &path, &off).await.status, 503);
    assert_eq!(world.client.put(world.key("op-a"), &account, &json!({"name": "B"})).await.status, 503);
    let key = json!({"email": "op-a", "apikey": world.key("op-a")});
    assert_eq!(log_in(world, &key).await.status, 503);
    // What is not logged goes on.
    world.client.put(world.key("op-a"), &path, &json!({"status": "free"})).await.element(200);
    execute(world, "ALTER TABLE activity_log_away RENAME TO activity_log").await;
    assert_eq!(world.look("op-a", &taxi).await, before);
    assert_eq!(get(world, "op-a", &account).await.element(200)["name"], "op-a");
    world.client.put(world.key("op-a"), &path, &off).await.element(200);
    assert_eq!(entries(world, "action=taxi_status").await.len(), 2);
}

async fn the_log_is_read_in_bounded_pages(world: &mut World) {
    let many = ACTIVITY_LISTED_MAX + 45;
    // Under both databases, rows out of nothing.
    let rows = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ";
    let sql = format!(
        "INSERT INTO activity_log (at, user_id, resource, resource_id, action, detail)
         {rows}{many}) SELECT 5, 1, 'taxi', 'many', 'taxi_status', '{{}}' FROM n"
    );
    execute(world, &sql).await;
    let pages = ACTIVITY_LISTED_MAX.div_euclid(30) + 1;
    let page =
        async |number: i64| get(world, "admin", &format!("/activity_logs?resource_id=many&p={number}")).await;
    let first = page(1).await;
    assert_eq!(
        first.body["meta"],
        json!({"next_page": 2, "prev_page": null, "pages": pages, "per_page": 30, "total": ACTIVITY_LISTED_MAX})
    );
    assert_eq!(first.body["data"].as_array().unwrap().len(), 30);
    let last = page(pages).await.body["data"].as_array().unwrap().len();
    assert_eq!(i64::try_from(last).unwrap(), ACTIVITY_LISTED_MAX.rem_euclid(30), "none past the limit");
    for beyond in [pages + 1, i64::from(i32::MAX)] {
        assert_eq!(page(beyond).await.body["data"], json!([]));
    }

    for (arguments, errors) in [
        ("resource=foo", json!({"resource": {"0": ["Must be one of: user, taxi, customer."]}})),
        ("p=1&p=2", json!({"p": ["Argument `p` is specified more than once"]})),
        ("foo=1", json!({"foo": ["Unknown field."]})),
    ] {
        let answer = get(world, "admin", &format!("/activity_logs?{arguments}")).await;
        assert_eq!((answer.status, &answer.body), (400, &json!({"errors": errors})), "{arguments}");
    }
    let wrong = get(world, "admin", "/activity_logs?action=foo&resource=user&resource=").await.body;
    let told: Vec<_> = wrong["errors"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(told, ["action", "resource"]);
    assert!(wrong["errors"]["resource"]["1"].is_array(), "{wrong}");
    for account in ["op-a", "app"] {
        assert_eq!(get(world, account, "/activity_logs").await.status, 403);
    }
    assert_eq!(world.client.get("nobody", "/activity_logs").await.status, 401);
}

async fn the_log_forgets_after_a_year(world: &mut World) {
    let store = world.server().app.registry.store();
    let added = entries(world, "action=account_added").await.len();
    assert!(added >= 5);
    world.clock.advance(ms(ACTIVITY_KEPT));
    assert_eq!(store.prune_activity().await.unwrap(), 0, "just a year old");
    set_password(world, "app", "correct horse").await;
    world.clock.advance(1);
    assert_eq!(store.prune_activity().await.unwrap(), u64::try_from(added).unwrap());
    assert_eq!(entries(world, "resource=user").await.len(), 1, "what is younger stays");
}

async fn a_removed_accounts_number_is_not_given_again(world: &mut World) {
    let program = world.program();
    let add = async |email: &str| {
        let added = program.done(&["user", "add", email, "--json"]).await;
        serde_json::from_str::<Value>(&added).unwrap()["id"].as_i64().unwrap()
    };
    let first = add("brief").await;
    program.done(&["user", "remove", "brief"]).await;
    let second = add("brief").await;
    assert!(second > first, "{second} after {first}");
}

/// The emails on a page of accounts.
async fn listed(world: &World, who: &str, arguments: &str) -> Vec<String> {
    let answer = get(world, who, &format!("/users{arguments}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let email = |account: &Value| account["email"].as_str().unwrap().to_owned();
    answer.body["data"].as_array().unwrap().iter().map(email).collect()
}

/// The first page of the activity log.
async fn entries(world: &World, arguments: &str) -> Vec<Value> {
    let answer = get(world, "admin", &format!("/activity_logs?{arguments}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["data"].as_array().unwrap().clone()
}

async fn get(world: &World, who: &str, path: &str) -> Answer {
    world.client.get(world.key(who), path).await
}

async fn log_in(world: &World, credentials: &Value) -> Answer {
    world.client.post("", "/internal/auth", credentials).await
}

async fn set_password(world: &World, account: &str, password: &str) {
    let path = format!("/users/{}", world.number(account));
    world.client.put(world.key(account), &path, &json!({"password": password})).await.element(200);
}

async fn logged_as(
    world: &World,
    who: &str,
    other: &str,
    method: Method,
    path: &str,
    element: Option<&Value>,
) -> Answer {
    let request = world.client.http.request(method, format!("{}{path}", world.client.base));
    let request = request.header("X-Api-Key", world.key(who)).header("X-Logas", other);
    let request = match element {
        Some(element) => request.json(&json!({"data": [element]})),
        None => request,
    };
    Answer::of(request).await.unwrap()
}

fn ms(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap()
}

/// Runs SQL beside the server.
pub(crate) async fn execute(world: &World, sql: &str) {
    let (url, sql) = (&world.database.url, AssertSqlSafe(sql.to_owned()));
    if url.starts_with("sqlite:") {
        sqlx::SqliteConnection::connect(url).await.unwrap().execute(sql).await.unwrap();
    } else {
        sqlx::PgConnection::connect(url).await.unwrap().execute(sql).await.unwrap();
    }
}
