//! Acceptance runs, against partners who do what is asked of them and against others.

use std::sync::Mutex;
use std::time::Duration;

use api::activity::Actor;
use api::certify::as_operator::{self, Stand};
use api::certify::observed::Observed;
use api::certify::run::{Pace, Party, Run, RunError, Server};
use api::certify::{Finding, Item, Rules, Side, Trial, Verdict, as_app, judge};
use api::statistics::filter::Filter;
use api::store::Store;
use ingest::clock::Millis;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::hails::ask_once;
use crate::harness::client::{Answer, plate};
use crate::harness::places::MIDDLE;
use crate::harness::wait::{SOON, within};
use crate::metrics::scrape;
use crate::positions::Device;
use crate::webhooks::execute;
use crate::world::{World, wanted};

on_each_database!(
    an_operator_who_does_what_is_asked_is_certified,
    an_operator_who_is_late_and_careless_is_not,
    an_operator_whose_datagrams_come_twice_is_not,
    an_app_that_does_what_is_asked_is_certified,
    an_app_that_leaves_its_customers_alone_is_not,
    customers_of_other_apps_are_turned_away,
    a_run_that_is_stopped_leaves_nothing_behind,
    a_taxi_of_a_run_is_found_by_its_app_alone,
    hails_of_before_are_of_a_trial_where_their_taxis_are,
    the_taxis_of_a_run_are_the_integration_accounts,
    a_hail_that_may_ring_another_operator_is_not_made,
    every_hail_of_a_run_is_looked_at,
    who_asks_too_often_waits,
    the_command_writes_a_report_that_the_deployment_signed,
);

const POLL: Duration = Duration::from_millis(5);
/// Longer than a status lasts in which somebody has to answer, in milliseconds.
const TOO_LONG_MS: i64 = 31_000;
/// Where the taxi of the run waits.
const HERE: (f64, f64) = (48.8566, 2.3522);

/// How many positions an operator sends before the time is that of everybody: more than a run looks at.
const FAST: usize = 10;

/// How an operator works.
pub(crate) struct Manners {
    /// Between two positions, in seconds.
    pub(crate) every_s: i64,
    /// By how much the time goes on at each look for hails, at first, in milliseconds.
    pub(crate) step_ms: i64,
    /// How long a look takes in a test.
    pub(crate) pause: Duration,
    /// How old its positions are when they come, in seconds.
    pub(crate) behind_s: i64,
    /// Whether it knows why it refuses, and takes its taxis back into service.
    pub(crate) is_careful: bool,
    /// Whether each of its devices has its key.
    pub(crate) is_signed: bool,
    /// How often each compact datagram is sent; none: they are JSON.
    pub(crate) compact: Option<u8>,
}

fn party(world: &World, account: &str) -> Party {
    Party { key: world.key(account).to_owned(), log_as: None }
}

fn run<'a>(
    world: &World,
    side: Side,
    patience: Duration,
    tell: &'a (dyn Fn(String) + Send + Sync),
) -> Run<'a> {
    let (partner, counterpart) = match side {
        Side::Operator => ("op-a", "app"),
        Side::Search => ("app", "op-b"),
    };
    Run {
        side,
        server: Server::new(world.client.base.parse().unwrap()).unwrap(),
        partner: party(world, partner),
        counterpart: party(world, counterpart),
        pace: Pace { poll: POLL, patience, positions: 5, watch: patience },
        clock: world.clock.clone(),
        stop: CancellationToken::new(),
        tell,
    }
}

fn findings(side: Side, observed: &Observed) -> Vec<Finding> {
    let findings = judge(side, observed, Rules::default());
    assert_eq!(findings.len(), side.items().len());
    assert!(findings.iter().all(|finding| !finding.evidence.is_empty()), "{findings:#?}");
    findings
}

fn of(findings: &[Finding], item: Item) -> Verdict {
    findings.iter().find(|finding| finding.item == item).unwrap().verdict
}

/// Whether each item passed.
fn all_passed(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.verdict == Verdict::Passed)
}

/// What an operator's program does, for ever.
pub(crate) async fn operate(world: &World, taxi: &str, manners: &Manners) {
    let key = world.key("op-a");
    let device = Device::new(world, "op-a");
    let stranger = Device { key: "another".to_owned(), ..Device::new(world, "op-a") };
    let (mut sent, mut sent_s, mut looked) = (0, 0, Instant::now());
    loop {
        let hails = world.client.get(key, &format!("/hails?taxi_id={taxi}")).await.body["data"].take();
        // Where the time leaps while a hail is made, the registry takes it for one that waited for long; where it
        // stands still, nothing is ever due again.
        let is_fast = sent < FAST && hails.as_array().unwrap().is_empty();
        let passed_ms = i64::try_from(looked.elapsed().as_millis()).unwrap();
        looked = Instant::now();
        world.clock.advance(if is_fast { manners.step_ms } else { passed_ms });
        let now_s = world.clock.now().seconds();
        if now_s - sent_s >= manners.every_s {
            if !manners.is_signed {
                stranger.send(now_s, taxi, HERE.0);
            }
            let at_s = now_s - manners.behind_s;
            match manners.compact {
                Some(times) => {
                    device.send_compact(
                        (sent.try_into().unwrap(), times),
                        Millis(at_s * 1_000),
                        taxi,
                        HERE.0,
                    );
                }
                None => device.send(at_s, taxi, HERE.0),
            }
            (sent, sent_s) = (sent + 1, now_s);
            world.heard(taxi, now_s).await;
        }
        for hail in hails.as_array().unwrap() {
            answer(world, hail, manners).await;
        }
        if manners.is_careful && world.look("op-a", taxi).await["status"] == "off" {
            world.free("op-a", taxi).await;
        }
        sleep(manners.pause).await;
    }
}

async fn answer(world: &World, hail: &Value, manners: &Manners) {
    let (id, status) = (hail["id"].as_str().unwrap(), hail["status"].as_str().unwrap());
    let trial = hail["customer_id"].as_str().unwrap().rsplit('-').next().unwrap().to_owned();
    let ground = manners.is_careful.then_some("prior_booking");
    let wish = match (trial.as_str(), status) {
        (_, "sent_to_operator") => json!({"status": "received_by_operator"}),
        (_, "received_by_operator") => json!({"status": "received_by_taxi"}),
        ("ride" | "incident", "received_by_taxi") => {
            json!({"status": "accepted_by_taxi", "taxi_phone_number": "0612345678"})
        }
        ("refuse" | "report", "received_by_taxi") => {
            json!({"status": "declined_by_taxi", "declined_by_taxi_reason": ground})
        }
        ("ignore", "received_by_taxi") => {
            world.clock.advance(TOO_LONG_MS);
            world.stands(id, "timeout_taxi").await;
            return;
        }
        ("ride", "accepted_by_customer") => json!({"status": "customer_on_board"}),
        ("incident", "accepted_by_customer") => {
            json!({"status": "incident_taxi", "incident_taxi_reason": "breakdown"})
        }
        ("ride", "customer_on_board") => json!({"status": "finished"}),
        ("report", "declined_by_taxi") => {
            // Once: the run takes the report back.
            let told = world.client.get(world.key("op-a"), &format!("/hails/{id}")).await.element(200);
            if !told["reporting_customer"].is_null() {
                return;
            }
            json!({"reporting_customer": true, "reporting_customer_reason": "no_show"})
        }
        _ => return,
    };
    // The customer may have been faster.
    world.client.put(world.key("op-a"), &format!("/hails/{id}"), &wish).await;
}

async fn judged_operator(world: &World, manners: &Manners, patience: Duration) -> Vec<Finding> {
    let taxi = world.register("op-a", 1, MIDDLE).await;
    let told = Mutex::new(Vec::new());
    let tell = |line| told.lock().unwrap().push(line);
    let run = run(world, Side::Operator, patience, &tell);
    let observed = tokio::select! {
        observed = as_app::observe(&run, &taxi) => observed.unwrap(),
        () = operate(world, &taxi, manners) => unreachable!(),
    };
    assert_eq!((observed.account.as_str(), &observed.taxi), ("op-a", &taxi));
    let told = told.into_inner().unwrap();
    assert!(told.iter().any(|line| line.starts_with("Essai 1 sur 7 : acceptez")), "{told:?}");
    if let Some(reported) = observed.trial(Trial::Report).and_then(|tried| tried.hail.as_ref()) {
        // A banned customer is told so, whether the taxi is free or not.
        let mut wish = wanted(&taxi);
        wish["customer_id"] = json!(reported.customer_id);
        let answer = world.client.post(world.key("app"), "/hails", &wish).await;
        assert_ne!(answer.status, 403, "no ban is left behind: {answer:?}");
    }
    findings(Side::Operator, &observed)
}

async fn an_operator_who_does_what_is_asked_is_certified(world: &mut World) {
    let findings = judged_operator(world, &careful(1), Duration::from_secs(40)).await;
    assert!(all_passed(&findings), "{findings:#?}");
}

/// Who does what is asked, and sends each compact datagram so often.
fn careful(times: u8) -> Manners {
    Manners {
        every_s: 2,
        step_ms: 1_000,
        pause: POLL,
        behind_s: 1,
        is_careful: true,
        is_signed: true,
        compact: Some(times),
    }
}

async fn an_operator_whose_datagrams_come_twice_is_not(world: &mut World) {
    let findings = judged_operator(world, &careful(2), Duration::from_secs(6)).await;
    assert_eq!(of(&findings, Item::Duplicates), Verdict::Failed, "{findings:#?}");
    assert_eq!(of(&findings, Item::Signatures), Verdict::Passed, "{findings:#?}");
}

async fn an_operator_who_is_late_and_careless_is_not(world: &mut World) {
    let manners = Manners {
        every_s: 40,
        step_ms: 4_000,
        pause: POLL,
        behind_s: 30,
        is_careful: false,
        is_signed: false,
        compact: None,
    };
    let findings = judged_operator(world, &manners, Duration::from_secs(6)).await;
    for item in [Item::Cadence, Item::Age, Item::Signatures, Item::Refused, Item::Statuses] {
        assert_eq!(of(&findings, item), Verdict::Failed, "{item:?} in {findings:#?}");
    }
    for item in [Item::Ignored, Item::Ban] {
        assert_eq!(of(&findings, item), Verdict::NotSeen, "{item:?} in {findings:#?}");
    }
    assert_eq!(of(&findings, Item::Duplicates), Verdict::NotApplicable, "JSON does not tell");
}

/// Makes a hail of the one taxi that a search finds, once there is one.
async fn hail(world: &World, customer: &str) -> String {
    hail_as(world, "app", customer, 1).await
}

/// The same as this app, which asks so often under one name.
async fn hail_as(world: &World, app: &str, customer: &str, times: usize) -> String {
    loop {
        let found = world.search(app, HERE).await;
        if let Some(taxi) = found.first() {
            let mut wish = wanted(taxi["id"].as_str().unwrap());
            wish["customer_id"] = json!(customer);
            let ask =
                async || ask_once(&world.client, world.key(app), &wish["taxi_id"].to_string(), &wish).await;
            let answer = ask().await;
            if answer.status == 201 {
                let id = answer.element(201)["id"].clone();
                for _ in 1..times {
                    assert_eq!(ask().await.element(201)["id"], id);
                }
                return id.as_str().unwrap().to_owned();
            }
        }
        sleep(POLL).await;
    }
}

/// What an app does with a hail at each status, until it is over. Where it does nothing, time passes.
async fn see_through(world: &World, id: &str, does: &[(&str, Value)], waits: bool) {
    loop {
        let hail = world.client.get(world.key("app"), &format!("/hails/{id}")).await.element(200);
        let status = hail["status"].as_str().unwrap();
        let path = format!("/hails/{id}");
        if let Some((_, wish)) = does.iter().find(|(at, _)| *at == status) {
            world.client.put(world.key("app"), &path, wish).await;
        } else if waits && ["received_by_taxi", "accepted_by_taxi"].contains(&status) {
            world.clock.advance(TOO_LONG_MS);
        }
        let is_over = api::hail::Status::try_from(status.to_owned()).unwrap().is_end();
        if is_over {
            return;
        }
        sleep(POLL).await;
    }
}

async fn judged_app(world: &World, app: impl AsyncFnOnce(), patience: Duration) -> Vec<Finding> {
    let tell = |_| {};
    let run = run(world, Side::Search, patience, &tell);
    let here = stand();
    let (observed, ()) = tokio::join!(as_operator::observe(&run, &here), app());
    let observed = observed.unwrap();
    assert_eq!(observed.account, "app");
    findings(Side::Search, &observed)
}

async fn an_app_that_does_what_is_asked_is_certified(world: &mut World) {
    let confirms = || ("accepted_by_taxi", json!({"status": "accepted_by_customer"}));
    let cancels = ("received_by_taxi", json!({"status": "declined_by_customer"}));
    let breaks_off = (
        "accepted_by_customer",
        json!({"status": "incident_customer", "incident_customer_reason": "earthquake"}),
    );
    let app = async || {
        let ride = hail(world, "ann").await;
        see_through(world, &ride, &[confirms()], false).await;
        world.moves("app", &ride, &json!({"rating_ride": 4})).await;
        for (does, waits) in [
            (vec![], false),
            (vec![], true),
            (vec![cancels], false),
            (vec![confirms(), breaks_off], false),
            (vec![], false),
        ] {
            let hail = hail(world, "ann").await;
            see_through(world, &hail, &does, waits).await;
        }
        let hail = hail_as(world, "app", "bert", 2).await;
        see_through(world, &hail, &[], false).await;
    };
    let findings = judged_app(world, app, Duration::from_secs(40)).await;
    assert!(all_passed(&findings), "{findings:#?}");
}

async fn an_app_that_leaves_its_customers_alone_is_not(world: &mut World) {
    let app = async || {
        let ride = hail(world, "ann").await;
        see_through(world, &ride, &[], true).await;
        let refused = hail(world, "ann").await;
        see_through(world, &refused, &[], false).await;
    };
    let findings = judged_app(world, app, Duration::from_secs(6)).await;
    for item in [Item::Answered, Item::Feedback, Item::Refused] {
        assert_eq!(of(&findings, item), Verdict::Failed, "{item:?} in {findings:#?}");
    }
    for item in [Item::Ignored, Item::Cancelled, Item::Ban] {
        assert_eq!(of(&findings, item), Verdict::NotSeen, "{item:?} in {findings:#?}");
    }
    assert_eq!(of(&findings, Item::Places), Verdict::Passed, "{findings:#?}");
}

async fn customers_of_other_apps_are_turned_away(world: &mut World) {
    let app = async || {
        let strange = hail_as(world, "other-app", "stranger", 1).await;
        let ended = world.stands(&strange, "incident_taxi").await;
        let went: Vec<_> =
            ended["transitions"].as_array().unwrap().iter().map(|step| &step["to_status"]).collect();
        assert!(!went.contains(&&json!("accepted_by_taxi")), "{went:?}");
        assert_eq!(ended["reporting_customer"], json!(null));
        let ride = hail(world, "ann").await;
        see_through(world, &ride, &[("accepted_by_taxi", json!({"status": "accepted_by_customer"}))], false)
            .await;
    };
    let findings = judged_app(world, app, Duration::from_secs(6)).await;
    assert_eq!(of(&findings, Item::Answered), Verdict::Passed, "{findings:#?}");
}

async fn a_run_that_is_stopped_leaves_nothing_behind(world: &mut World) {
    let tell = |_| {};
    let run = run(world, Side::Search, Duration::from_mins(1), &tell);
    let app = async {
        let hail = hail(world, "ann").await;
        run.stop.cancel();
        hail
    };
    let here = stand();
    let (observed, hail) = tokio::join!(as_operator::observe(&run, &here), app);
    assert!(matches!(observed, Err(RunError::Stopped)), "{observed:?}");
    world.stands(&hail, "incident_taxi").await;
    assert!(world.search("app", HERE).await.is_empty(), "the taxi is out of service");
}

/// A run of the app in which the integration account plays the other side, begun anew with op-b as that.
async fn lend(world: &mut World) {
    world.stop().await;
    world.start_as(|config| config.behaviour.integration_account = Some("op-b".to_owned())).await;
}

fn lent<'a>(world: &World, patience: Duration, tell: &'a (dyn Fn(String) + Send + Sync)) -> Run<'a> {
    let counterpart = Party { log_as: Some("op-b".to_owned()), ..party(world, "app") };
    Run { counterpart, ..run(world, Side::Search, patience, tell) }
}

fn stand() -> Stand {
    Stand { lat: HERE.0, lon: HERE.1, insee: MIDDLE.to_owned() }
}

/// The ids of all taxis of op-b.
async fn taxis(world: &World) -> Vec<String> {
    let all = world.client.get(world.key("op-b"), "/taxis/all").await.body["data"].take();
    all.as_array().unwrap().iter().map(|taxi| taxi["id"].as_str().unwrap().to_owned()).collect()
}

/// That nobody but the app finds a taxi which waits, or can have it.
async fn is_of_the_app_alone(world: &World, taxi: &str) {
    let is_found = async || (world.search("app", HERE).await.len() == 1).then_some(());
    within(SOON, "the app finds the taxi", is_found).await;
    for other in ["other-app", "admin", "op-b"] {
        assert!(world.search(other, HERE).await.is_empty(), "{other} finds the taxi");
    }
    let strange = world.client.post(world.key("other-app"), "/hails", &wanted(taxi)).await;
    assert_eq!(strange.status, 404, "{strange:?}");
    let path = format!("/taxis/{taxi}/visibility?lat={}&lon={}", HERE.0, HERE.1);
    let told = world.client.get(world.key("op-b"), &path).await.element(200);
    let failed: Vec<_> =
        told["checks"].as_array().unwrap().iter().filter(|check| check["passed"] == false).collect();
    assert_eq!((&told["visible"], failed.len(), &failed[0]["name"]), (&json!(false), 1, &json!("public")));
    let (registry, now) = (world.server().app.registry.clone(), world.clock.now());
    let connected = tokio::task::spawn_blocking(move || registry.connected(now).everywhere()).await.unwrap();
    assert_eq!(connected, 0, "it is no taxi of the public's");
    let warm = world.client.get(world.key("admin"), "/stats/heatmap_taxis").await.element(200);
    assert_eq!(warm["points"], json!([]), "nor is it where free ones are");
    let log = world.client.get(world.key("admin"), "/activity_logs?action=taxi_trial").await.body;
    assert_eq!(log["data"][0]["extra"]["trial_for"], world.number("app"), "{log}");
    let registered = world.server().app.registry.store().taxis_by_town(&Filter::default()).await.unwrap();
    assert!(registered.is_empty(), "nor of statistics: {registered:?}");
}

async fn a_taxi_of_a_run_is_found_by_its_app_alone(world: &mut World) {
    lend(world).await;
    let told = Mutex::new(Vec::new());
    let tell = |line| told.lock().unwrap().push(line);
    let long = lent(world, Duration::from_secs(40), &tell);
    let app = async {
        let taxi = within(SOON, "a taxi", async || taxis(world).await.pop()).await;
        is_of_the_app_alone(world, &taxi).await;
        let hail = hail(world, "ann").await;
        long.stop.cancel();
        (taxi, hail)
    };
    let here = stand();
    let (observed, (taxi, hail)) = tokio::join!(as_operator::observe(&long, &here), app);
    assert!(matches!(observed, Err(RunError::Stopped)), "{observed:?}");
    world.stands(&hail, "incident_taxi").await;
    let store = world.server().app.registry.store().clone();
    is_in_no_figure(&store).await;
    assert!(told.lock().unwrap()[0].starts_with("Seule votre application"), "{told:?}");
    assert_eq!(world.look("op-b", &taxi).await["status"], "off");
    // Whatever its operator does afterwards.
    world.clock.advance(1_000);
    world.free("op-b", &taxi).await;
    world.place("op-b", &taxi, HERE).await;
    is_of_the_app_alone(world, &taxi).await;
    // With another key the account has the same taxi, until its trial is ended.
    let registry = world.server().app.registry.clone();
    let (account, by) = (world.number("app"), Actor::COMMAND_LINE);
    let version = registry.accounts().id(account).unwrap().version;
    let key = registry.rotate_key(by, (account, "app".to_owned()), version).await.unwrap().unwrap();
    let own = Party { key: key.clone(), log_as: None };
    let short = Run {
        counterpart: Party { log_as: Some("op-b".to_owned()), ..own.clone() },
        partner: own,
        ..run(world, Side::Search, POLL, &tell)
    };
    assert_eq!(as_operator::observe(&short, &stand()).await.unwrap().taxi, taxi);
    assert_eq!(taxis(world).await, [taxi.as_str()]);
    let path = format!("/taxis/{taxi}");
    let open = json!({"status": "free", "trial_for": null});
    world.client.put(world.key("op-b"), &path, &open).await.element(200);
    world.clock.advance(1_000);
    world.place("op-b", &taxi, HERE).await;
    let is_found = async || (world.search("other-app", HERE).await.len() == 1).then_some(());
    within(SOON, "everybody finds the taxi", is_found).await;
    is_in_no_figure(&store).await;
    let real = world.hail("other-app", &taxi, "op-b").await;
    assert_eq!(hails_to_copy(&store).await, [real], "the next one is none of a trial");
    assert_eq!(store.customers_at().await.unwrap().len(), 1);
    assert_eq!(store.customers_exactly_at().await.unwrap().len(), 1);
    assert_eq!(store.hails_since(Millis(0)).await.unwrap(), 1);
}

async fn hails_of_before_are_of_a_trial_where_their_taxis_are(world: &mut World) {
    lend(world).await;
    let taxi = world.register("op-b", 1, MIDDLE).await;
    world.place("op-b", &taxi, HERE).await;
    world.hail("app", &taxi, "op-b").await;
    world.stop().await;
    for sql in [
        "DROP INDEX hails_of_trials",
        "DROP INDEX hails_customer_at",
        "ALTER TABLE hails DROP COLUMN is_trial",
        "CREATE INDEX hails_customer_at ON hails (customer_lat_e7, customer_lon_e7)",
        "UPDATE taxis SET trial_for = (SELECT id FROM users WHERE email = 'app')",
        "DELETE FROM _sqlx_migrations WHERE version = 29",
    ] {
        execute(world, sql.to_owned()).await;
    }
    world.start().await;
    is_in_no_figure(world.server().app.registry.store()).await;
}

async fn hails_to_copy(store: &Store) -> Vec<String> {
    let (rows, _) = store.hails_to_copy(Millis(i64::MAX)).await.unwrap();
    rows.into_iter().map(|row| row.id).collect()
}

/// What there was of hails so far, figures and maps leave out.
async fn is_in_no_figure(store: &Store) {
    assert!(hails_to_copy(store).await.is_empty());
    assert!(store.customers_at().await.unwrap().is_empty());
    assert!(store.customers_exactly_at().await.unwrap().is_empty());
    assert_eq!(store.hails_since(Millis(0)).await.unwrap(), 0);
}

async fn the_taxis_of_a_run_are_the_integration_accounts(world: &mut World) {
    lend(world).await;
    let (theirs, lent) = (world.register("op-a", 1, MIDDLE).await, world.register("op-b", 2, MIDDLE).await);
    // The vehicle, and so the taxi, is described by the integration account, too.
    world.client.post(world.key("op-b"), "/vehicles", &json!({"licence_plate": plate(1)})).await.element(201);
    let put = async |key: &str, log_as: &str, taxi: &str, email: &str| {
        let request = world.client.http.put(format!("{}/taxis/{taxi}", world.client.base));
        let request = request.header("X-Api-Key", world.key(key)).header("X-Logas", log_as);
        Answer::of(request.json(&json!({"data": [{"trial_for": email}]}))).await.unwrap()
    };
    for (key, log_as, taxi, email, why) in [
        ("op-a", "op-a", &theirs, "app", "Every search app finds every taxi"),
        ("op-b", "op-b", &theirs, "app", "has not registered this taxi"),
        ("op-b", "op-b", &lent, "op-a", "No search app has this email"),
        ("op-b", "op-b", &lent, "nobody", "No search app has this email"),
        ("other-app", "op-b", &lent, "app", "not that whose key the account is used with"),
    ] {
        let answer = put(key, log_as, taxi, email).await;
        let told =
            answer.body.pointer("/errors/data/0/trial_for/0").and_then(Value::as_str).unwrap_or_default();
        assert!(answer.status == 400 && told.contains(why), "{email} by {key}: {answer:?}");
    }
    assert_eq!(put("app", "op-b", &lent, "app").await.status, 200);
    assert_eq!(put("op-b", "op-b", &lent, "other-app").await.status, 200);
    world.place("op-b", &lent, HERE).await;
    let is_found = async || (world.search("other-app", HERE).await.len() == 1).then_some(());
    within(SOON, "the other app finds the taxi", is_found).await;
    assert!(world.search("app", HERE).await.is_empty());
}

async fn a_hail_that_may_ring_another_operator_is_not_made(world: &mut World) {
    let taxi = world.register("op-a", 1, MIDDLE).await;
    world.client.post(world.key("op-b"), "/vehicles", &json!({"licence_plate": plate(1)})).await.element(201);
    world.free("op-b", &taxi).await;
    world.place("op-b", &taxi, HERE).await;
    world.clock.advance(1_000);
    // Heard last, and yet the other one may be the next moment.
    world.place("op-a", &taxi, HERE).await;
    let tell = |_| {};
    let mut run = run(world, Side::Operator, Duration::from_secs(20), &tell);
    run.pace.positions = 1;
    let observed = as_app::observe(&run, &taxi).await;
    assert!(matches!(&observed, Err(RunError::Shared(shared)) if *shared == taxi), "{observed:?}");
    for account in ["app", "op-a", "op-b"] {
        let hails = world.client.get(world.key(account), "/hails").await.body["data"].take();
        assert_eq!(hails, json!([]), "nobody was rung");
    }
}

async fn every_hail_of_a_run_is_looked_at(world: &mut World) {
    let before = world.register("op-a", 1, MIDDLE).await;
    world.place("op-a", &before, HERE).await;
    let give_up = json!({"status": "declined_by_customer"});
    let old = world.hail("app", &before, "op-a").await;
    world.moves("app", &old, &give_up).await;
    let has_begun = Notify::new();
    let app = async || {
        has_begun.notified().await;
        // More than are on a page, of a taxi beside that of the run.
        for _ in 0..35 {
            world.clock.advance(10);
            let hail = world.hail("app", &before, "op-a").await;
            world.moves("app", &hail, &give_up).await;
        }
    };
    let tell = |_| has_begun.notify_one();
    let run = run(world, Side::Search, Duration::from_secs(8), &tell);
    let here = stand();
    let (observed, ()) = tokio::join!(as_operator::observe(&run, &here), app());
    let observed = observed.unwrap();
    assert_eq!((observed.made.len(), observed.repeated.len()), (35, 0));
    assert!(observed.made.iter().all(|hail| hail.id != old));
}

async fn who_asks_too_often_waits(world: &mut World) {
    let taxi = world.register("op-a", 1, MIDDLE).await;
    world.stop().await;
    world.start_as(|config| config.rate_limits = "operateur=1/s:1".parse().unwrap()).await;
    let tell = |_| {};
    let run = run(world, Side::Operator, POLL, &tell);
    let passes = async {
        loop {
            world.clock.advance(100);
            sleep(Duration::from_millis(100)).await;
        }
    };
    let observed = tokio::select! {
        observed = as_app::observe(&run, &taxi) => observed,
        () = passes => unreachable!(),
    };
    assert!(matches!(&observed, Err(RunError::NoTaxi(named)) if *named == taxi), "{observed:?}");
    let throttled = scrape(world).await.value("maraude_http_throttled_total", &[("role", "operateur")]);
    assert!(throttled >= 1.0, "{throttled}");
}

async fn the_command_writes_a_report_that_the_deployment_signed(world: &mut World) {
    lend(world).await;
    let output = world.folder().join("report.html");
    let file = output.to_str().unwrap();
    let arguments = [
        ["certify", "search"],
        ["--server", &world.client.base],
        ["--key", world.key("app")],
        ["--log-as", "op-b"],
        ["--patience-s", "1"],
        ["--poll-ms", "50"],
        ["--account", "<i>app</i>"],
        ["--output", file],
    ];
    let arguments = [arguments.concat(), vec!["--sign"]].concat();
    let (status, out, complaints) = world.program().run(&arguments).await;
    assert!(!status.success() && complaints.contains("not certified"), "{out} {complaints}");
    assert!(out.contains("Essai 1 sur 7 : demandez le taxi"), "{out}");
    let page = std::fs::read_to_string(&output).unwrap();
    assert!(page.contains("Recette incomplète") && page.contains("&lt;i&gt;app&lt;/i&gt;"), "{page}");
    let told = world.program().done(&["certify", "verify", file]).await;
    assert!(told.contains("Recette, application de recherche : <i>app</i>"), "{told}");
    assert!(told.contains("the signature is right"), "{told}");
    // What is signed was changed, or is not there.
    for (changed, says) in [
        (page.replace("not_seen", "passed"), "the signature is not of this report"),
        (page.replace("<code id=\"signature\">", "<code>"), "no signed report"),
    ] {
        std::fs::write(&output, changed).unwrap();
        let (status, out, complaints) = world.program().run(&["certify", "verify", file]).await;
        assert!(!status.success() && complaints.contains(says), "{out} {complaints}");
    }
}
