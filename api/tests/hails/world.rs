//! A registry in which hails are made, moved and ended, brought back to the same beginning before each sequence.

use std::collections::BTreeMap;
use std::time::Duration;

use api::retention::Retention;
use api::role::Role;
use ingest::position::{LatLon, TaxiKey};
use reqwest::Method;
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use crate::calls::{self, Ask, Begins, By, KnownAs, Manner, Pass, Session, Step, TAXIS, UNKNOWN, Who};
use crate::contract::PSEUDONYM_S;
use crate::database::Backend;
use crate::expected::Expected;
use crate::harness::client::{Answer, parts};
use crate::harness::operator::{Operator, Reply};
use crate::harness::places::MIDDLE;
use crate::harness::wait::{SOON, within};
use crate::model::{self, Asked, Model, NOWHERE, color};
use crate::sequences::{Difference, Met, Sequence, Stage};
use crate::served;

mod look;

use look::{changing, compare};

/// Where nobody listens.
const GONE: &str = "http://127.0.0.1:9/hail";
/// How long a call that waits is kept from other processes, in milliseconds: longer than a step takes.
const LEASE_MS: i64 = 3_000;
/// Longer than any hail lasts.
const REST_MS: i64 = 24 * 3_600_000;
const UNKNOWN_SESSION: &str = "19f43a74-bd60-4464-a3f4-75bb916783c0";
/// Kinds of calls, and the statuses of their answers.
const EVERY: [(&str, &[u16]); 6] = [
    ("hail", &[201, 400, 401, 403, 404, 422]),
    ("hail again", &[201, 422]),
    ("move on", &[200]),
    ("change", &[200, 400, 401, 403, 404]),
    ("read", &[200, 401, 403, 404]),
    ("set a taxi", &[200, 400, 401, 403, 404]),
];

/// Messages of their answers.
const MESSAGES: [&str; 12] = [
    "Customer can't be located, please provide an pickup address for the taxi.",
    "Field may not be null.",
    "Missing data for required field.",
    "Only a hail that the taxi declined has a ground of refusal",
    "Status changes to accepted_by_taxi but taxi_phone_number is not provided",
    "Taxi is no longer online.",
    "Taxi is not free.",
    "Taxi is not online.",
    "The session ID exists, but it is linked to another customer.",
    "This customer is banned.",
    "This sesssion ID does not exist.",
    "You do not have the permissions to change this value",
];

/// A server, an operator's server, and what is known of both.
pub(crate) struct World {
    served: served::World,
    operator: Operator,
    /// Where hails of operator A are sent.
    endpoint: String,
    /// In the order of [`TAXIS`].
    taxis: Vec<(String, TaxiKey)>,
    /// Sequences so far: each has customers of its own.
    plays: u32,
    play: Play,
}

/// A sequence that is played.
#[derive(Default)]
struct Play {
    /// Which ids taxis had for whom when it began.
    pseudonyms: BTreeMap<(usize, Who), String>,
    began_at_s: i64,
    /// Hails that the operator's server was sent, by their ids.
    sent: BTreeMap<String, Value>,
    /// The ends of its calls that wait, in the model's order.
    waiting: Vec<watch::Sender<Option<(u16, &'static str)>>>,
    /// Hails that may last.
    lasting: Vec<String>,
    /// What was asked for.
    requests: Vec<Request>,
    /// What was asked, and answered.
    told: Vec<String>,
}

/// A request for a taxi.
#[derive(Clone)]
struct Request {
    who: Who,
    element: Map<String, Value>,
    /// The taxi, if its id means one to them, and until when, in seconds since 1970.
    known: Option<(usize, i64)>,
    /// Its name.
    key: Option<String>,
}

impl Stage for World {
    type Given = Begins;
    type Step = Step;

    const NAME: &str = "hails";

    fn all() -> Vec<String> {
        let calls = EVERY.iter().flat_map(|(act, statuses)| statuses.iter().map(|status| met(act, *status)));
        let messages = MESSAGES.iter().map(|message| (*message).to_owned());
        calls.chain(messages).chain(model::all_moves()).collect()
    }

    fn random(seed: u64) -> Sequence<Begins, Step> {
        calls::random(seed)
    }

    async fn begin(backend: Backend) -> Option<Self> {
        let mut served = served::World::begin(backend).await?;
        served.stop().await;
        served
            .start_as(|config| {
                config.behaviour.private_endpoints = true;
                // A day goes by before each sequence; what they are about is not how long it is kept.
                let kept = Duration::from_hours(24 * 36_500);
                config.retention = Retention { exact: kept, hails: kept, taxis: kept };
            })
            .await;
        served.add_account("both", &[Role::Operateur, Role::Moteur]).await;
        served.add_account("nothing", &[]).await;
        let mut taxis = Vec::new();
        for (vehicle, operator) in TAXIS {
            let name = operator.account().unwrap();
            let id = served.register(name, vehicle, MIDDLE).await;
            let [_, (path, mut described), _] = parts(vehicle, MIDDLE);
            described["color"] = json!(color(operator));
            served.client.post(served.key(name), path, &described).await.element(200);
            taxis.push((id.clone(), served.taxi(name, &id)));
        }
        let operator = Operator::start(Reply::Never).await;
        Some(Self { served, operator, endpoint: String::new(), taxis, plays: 0, play: Play::default() })
    }

    async fn play(&mut self, sequence: &Sequence<Begins, Step>, all: &mut Met) -> Result<(), Difference> {
        let mut model = self.begin_again(&sequence.given).await;
        for (at, step) in sequence.steps.iter().enumerate() {
            let mut played = self.step(&mut model, step, all).await;
            self.play.lasting = model.hails.iter().map(|hail| hail.id.clone()).collect();
            if at + 1 == sequence.steps.len() && played.is_ok() {
                played = self.look_at_all(&mut model).await;
            }
            played.map_err(|difference| (at, format!("{}\n{difference}", self.play.told.join("\n"))))?;
        }
        for moved in model.moves {
            *all.entry(moved).or_default() += 1;
        }
        Ok(())
    }

    async fn stop(mut self) {
        self.served.stop().await;
    }
}

impl World {
    /// Lets everything come to its end and says that every taxi is free and has just been seen; the model of that.
    async fn begin_again(&mut self, given: &[Begins]) -> Model {
        self.served.clock.advance(REST_MS);
        for hail in std::mem::take(&mut self.play.lasting) {
            let ended = async || {
                let admin = self.served.key("admin");
                let hail = self.served.client.get(admin, &format!("/hails/{hail}")).await;
                let is_over = hail.status != 200 || hail.body["data"][0]["taxi"]["last_update"].is_null();
                is_over.then_some(())
            };
            within(SOON, "the end of a hail", ended).await;
        }
        self.plays += 1;
        let now = self.served.clock.now();
        self.play = Play { began_at_s: now.seconds(), ..Play::default() };
        while self.operator.look().is_some() {}
        let mut model = Model::new(now.0, self.taxis.iter().map(|taxi| taxi.0.clone()).collect());
        for (taxi, (_, operator)) in TAXIS.iter().enumerate() {
            let status =
                given.iter().find(|begins| begins.taxi == taxi).map_or("free", |begins| begins.status);
            let wish = map(&[("status", json!(status)), ("radius", Value::Null)]);
            let expected = model.set_taxi(*operator, Some(taxi), &wish);
            assert_eq!(self.set_taxi(*operator, taxi, wish).await.status, expected.0);
        }
        for taxi in 0..TAXIS.len() {
            for who in [Who::Admin, Who::App, Who::OtherApp, Who::Both] {
                self.play.pseudonyms.insert((taxi, who), self.pseudonym(taxi, who));
            }
        }
        self.serve(&mut model, Manner::Takes).await;
        self.locate(&mut model, None, 0).await;
        let begun = self.look(&model, true).await;
        assert_eq!(begun, Ok(()), "a sequence does not begin as it should");
        model
    }

    async fn step(&mut self, model: &mut Model, step: &Step, all: &mut Met) -> Result<(), String> {
        model.touched.clear();
        model.located.clear();
        model.described = false;
        let (asked, is_later) = match step {
            Step::Hail(ask) => (Some(self.hail(model, ask).await), true),
            Step::HailAgain { request, is_same } => {
                let requests = &self.play.requests;
                let again = requests.iter().rev().nth(request % requests.len().max(1));
                let Some(mut again) = again.cloned() else { return Ok(()) };
                if !is_same {
                    again.element.insert("customer_lon".to_owned(), json!(2.36));
                }
                (Some(self.request(model, &again).await), true)
            }
            Step::MoveOn { hail, which, has_number, also } => {
                let Some(at) = model.nth_lasting(*hail) else { return Ok(()) };
                let moves = model.moves_of(at);
                let (to, who) = moves[which % moves.len()];
                let mut wish = map(also.as_slice());
                wish.insert("status".to_owned(), json!(to));
                if to == "accepted_by_taxi" && *has_number {
                    wish.insert("taxi_phone_number".to_owned(), json!("0612345678"));
                }
                (Some(self.change(model, who, Some(at), Some(wish)).await), false)
            }
            Step::Change { by, hail, wish } => {
                let at = model.nth(*hail);
                let wish = wish.as_ref().map(|wish| map(wish));
                (Some(self.change(model, by.who(model, at), at, wish).await), false)
            }
            Step::Read { who, hail } => {
                let at = model.nth(*hail);
                let path = format!("/hails/{}", model.hail_id(at));
                (Some((self.ask(*who, Method::GET, &path, None).await, model.read(*who, at))), false)
            }
            Step::Serve(manner) => {
                self.serve(model, *manner).await;
                (None, false)
            }
            Step::Answer { call, manner } => {
                self.answer(model, *call, *manner);
                (None, true)
            }
            Step::Wait(pass) => {
                self.pass(model, *pass).await;
                (None, true)
            }
            Step::SetTaxi { who, taxi, status, radius } => {
                let wish = [
                    ("status", status.map(|status| json!(status))),
                    ("radius", radius.map(|radius| json!(radius))),
                ];
                let wish: Vec<_> =
                    wish.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
                let mut answer = self.set_taxi(*who, *taxi, map(&wish)).await;
                let expected = model.set_taxi(*who, (*taxi != UNKNOWN).then_some(*taxi), &map(&wish));
                if answer.status == 200 {
                    answer.body = changing(&answer.body);
                }
                (Some((answer, expected)), false)
            }
            Step::Locate { source, place } => {
                self.locate(model, *source, *place).await;
                (None, true)
            }
        };
        if let Some((answer, expected)) = asked {
            *all.entry(met(step.name(), answer.status)).or_default() += 1;
            for message in messages(&answer.body["errors"]) {
                *all.entry(message.to_owned()).or_default() += 1;
            }
            compare("the answer", &expected, (answer.status, &answer.body))?;
        }
        self.look(model, is_later).await
    }

    /// A customer asks for a taxi.
    async fn hail(&mut self, model: &mut Model, ask: &Ask) -> (Answer, Expected) {
        let Ask { who, customer, address, .. } = *ask;
        let taxi = model.which(ask.taxi);
        let (id, mut known) = self.known_as(who, taxi, ask.known_as);
        let mut element = map(&[
            ("customer_id", json!(customer)),
            ("customer_lon", json!(2.3505)),
            ("customer_lat", json!(48.855)),
            ("customer_address", json!(address)),
            ("customer_phone_number", json!("0678901234")),
            ("taxi_id", json!(id)),
        ]);
        match ask.session {
            Session::Whichever => {}
            Session::Of(hail) => {
                let session = model.nth(hail).map_or(Value::Null, |at| model.hails[at].session.clone());
                element.insert("session_id".to_owned(), session);
            }
            Session::Unknown => drop(element.insert("session_id".to_owned(), json!(UNKNOWN_SESSION))),
        }
        for (name, value) in &ask.spoilt {
            match value {
                Some(value) => drop(element.insert((*name).to_owned(), value.clone())),
                None => drop(element.remove(*name)),
            }
        }
        if let Some(Value::String(customer)) = element.get_mut("customer_id") {
            *customer = format!("{} {customer}", self.plays);
        }
        if element.get("taxi_id") != Some(&json!(id)) {
            known = None;
        }
        let key = ask.key.map(|key| format!("{key} {}", self.plays));
        let request = Request { who, element, known, key };
        self.play.requests.push(request.clone());
        self.request(model, &request).await
    }

    /// Makes a request for a taxi.
    async fn request(&mut self, model: &mut Model, request: &Request) -> (Answer, Expected) {
        let Request { who, element, known, key } = request;
        let (says, reply) = watch::channel(None);
        if model.manner == Manner::Waits {
            self.operator.reply(Reply::When(reply));
        }
        let now_s = self.served.clock.now().seconds();
        let taxi = known.filter(|(_, until_s)| now_s < *until_s).map(|(taxi, _)| taxi);
        let body = json!({"data": [element]});
        let answer = self.told(*who, Method::POST, "/hails", Some(&body), key.as_deref()).await;
        let asked = Asked { who: *who, taxi, element, key: key.as_deref(), answer: &answer.body };
        let calls = model.waiting.len();
        let expected = model.hail(&asked);
        if model.waiting.len() > calls {
            self.play.waiting.push(says);
        }
        (answer, expected)
    }

    /// The id under which somebody asks for a taxi, and which one it is to them, until when in seconds since 1970.
    fn known_as(&self, who: Who, taxi: Option<usize>, known_as: KnownAs) -> (String, Option<(usize, i64)>) {
        let Some(taxi) = taxi else { return (NOWHERE.to_owned(), None) };
        let until = |since_s: i64| Some((taxi, since_s + PSEUDONYM_S));
        match (known_as, self.play.pseudonyms.get(&(taxi, who))) {
            (KnownAs::Pseudonym, Some(_)) => {
                (self.pseudonym(taxi, who), until(self.served.clock.now().seconds()))
            }
            (KnownAs::OldPseudonym, Some(old)) => (old.clone(), until(self.play.began_at_s)),
            (KnownAs::ForeignPseudonym, Some(_)) => {
                let other = if who == Who::App { Who::OtherApp } else { Who::App };
                (self.pseudonym(taxi, other), None)
            }
            _ => (self.taxis[taxi].0.clone(), Some((taxi, i64::MAX))),
        }
    }

    fn pseudonym(&self, taxi: usize, who: Who) -> String {
        let app = self.served.number(who.account().unwrap());
        self.served.server().app.pseudonyms.issue(self.taxis[taxi].1, app, self.served.clock.now()).unwrap()
    }

    async fn change(
        &mut self,
        model: &mut Model,
        who: Who,
        at: Option<usize>,
        wish: Option<Map<String, Value>>,
    ) -> (Answer, Expected) {
        let path = format!("/hails/{}", model.hail_id(at));
        let answer = match &wish {
            Some(wish) => self.ask(who, Method::PUT, &path, Some(wish)).await,
            None => self.told(who, Method::PUT, &path, Some(&json!({})), None).await,
        };
        (answer, model.change(who, at, &wish.unwrap_or_default()))
    }

    /// What operator A does with hails from now on.
    async fn serve(&mut self, model: &mut Model, manner: Manner) {
        model.manner = manner;
        if let Some((status, body)) = says(manner) {
            self.operator.reply(Reply::With(status, body));
        }
        let endpoint = match manner {
            Manner::IsGone => GONE,
            Manner::IsNone => "",
            _ => &self.operator.url,
        };
        if endpoint != self.endpoint {
            endpoint.clone_into(&mut self.endpoint);
            let path = format!("/users/{}", self.served.number("op-a"));
            let endpoint = map(&[("hail_endpoint_production", json!(endpoint))]);
            self.ask(Who::OperatorA, Method::PUT, &path, Some(&endpoint)).await.element(200);
        }
    }

    /// The operator's server answers a call that waits, if one does.
    fn answer(&mut self, model: &mut Model, call: usize, manner: Manner) {
        let waiting = model.waiting.len();
        if waiting == 0 {
            return;
        }
        let at = model.waiting.remove(call % waiting);
        // The call may have been given up.
        let _ = self.play.waiting.remove(call % waiting).send(says(manner));
        self.play.told.push(format!("  the call of {} is answered: {manner:?}", model.hails[at].id));
        model.called(at, manner);
    }

    async fn pass(&mut self, model: &mut Model, pass: Pass) {
        let ms = match pass {
            Pass::Ms(ms) => ms,
            Pass::Until(moment, hail, beside) => {
                model.moment(moment, hail).map_or(1, |moment| moment - model.now + beside)
            }
        };
        let ms = ms.max(1);
        // A process renews its calls while time goes by, not while it jumps.
        for at in &model.waiting {
            let upkeep = self.served.server().app.registry.upkeep();
            upkeep.renew_calls(std::slice::from_ref(&model.hails[*at].id), ms + LEASE_MS).await.unwrap();
        }
        self.served.clock.advance(ms);
        model.pass(ms);
        self.play.told.push(format!("  {ms} ms pass"));
    }

    async fn set_taxi(&mut self, who: Who, taxi: usize, wish: Map<String, Value>) -> Answer {
        let id = self.taxis.get(taxi).map_or(NOWHERE, |taxi| &taxi.0);
        let path = format!("/taxis/{id}");
        self.ask(who, Method::PUT, &path, Some(&wish)).await
    }

    /// A source, or each, tells where it is.
    async fn locate(&mut self, model: &mut Model, source: Option<usize>, place: usize) {
        let mut sources = Model::sources();
        if let Some(source) = source {
            sources = vec![sources[source % sources.len()]];
        }
        for operator in [Who::OperatorA, Who::OperatorB, Who::Both] {
            let mut positions = Vec::new();
            for source in sources.iter().filter(|source| source.1 == operator) {
                let at = place_of(*source, place);
                positions.push(json!({"taxi_id": self.taxis[source.0].0, "lat": at.lat(), "lon": at.lon()}));
                model.locate(*source, at);
            }
            if !positions.is_empty() {
                let positions = map(&[("positions", json!(positions))]);
                let answer = self.ask(operator, Method::POST, "/geotaxi/", Some(&positions)).await;
                assert_eq!(answer.status, 200, "{answer:?}");
            }
        }
    }

    async fn ask(
        &mut self,
        who: Who,
        method: Method,
        path: &str,
        element: Option<&Map<String, Value>>,
    ) -> Answer {
        let body = element.map(|element| json!({"data": [element]}));
        self.told(who, method, path, body.as_ref(), None).await
    }

    /// Asks, and remembers it for whoever has to understand a difference.
    async fn told(
        &mut self,
        who: Who,
        method: Method,
        path: &str,
        body: Option<&Value>,
        key: Option<&str>,
    ) -> Answer {
        let given = body.map(Value::to_string).unwrap_or_default();
        let named = key.map(|key| format!(" as {key:?}")).unwrap_or_default();
        let told = format!("  {who:?}: {method} {path} {given}{named}");
        let answer = self.send(who, method, path, body, key).await;
        self.play.told.push(format!("{told} -> {}", answer.status));
        answer
    }

    async fn send(
        &self,
        who: Who,
        method: Method,
        path: &str,
        body: Option<&Value>,
        key: Option<&str>,
    ) -> Answer {
        let client = &self.served.client;
        let mut request = client.http.request(method, format!("{}{path}", client.base));
        request = match (who, who.account()) {
            (Who::Nobody, _) => request,
            (_, Some(account)) => request.header("X-Api-Key", self.served.key(account)),
            (_, None) => request.header("X-Api-Key", "no-such-key"),
        };
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        Answer::of(request).await.unwrap()
    }
}

impl By {
    fn who(self, model: &Model, hail: Option<usize>) -> Who {
        match (self, hail) {
            (Self::Somebody(who), _) => who,
            (Self::ItsOperator, Some(at)) => model.hails[at].operator,
            (Self::ItsApp, Some(at)) => model.hails[at].app,
            (Self::ItsOperator, None) => Who::OperatorA,
            (Self::ItsApp, None) => Who::App,
        }
    }
}

/// One of the places of a source: no two have the same.
fn place_of((taxi, operator): (usize, Who), place: usize) -> LatLon {
    let east = if operator == Who::OperatorB { 0.002 } else { 0.0 };
    let metres = |n: usize| f64::from(u32::try_from(n).unwrap()) / 1e5;
    LatLon::new(48.85 + 100.0 * metres(taxi), 2.35 + east + 10.0 * metres(place)).unwrap()
}

/// What an operator's server says; None: nothing.
fn says(manner: Manner) -> Option<(u16, &'static str)> {
    match manner {
        Manner::Takes => Some((200, r#"{"data": [{}]}"#)),
        Manner::GivesItsNumber => Some((201, r#"{"data": [{"taxi_phone_number": "0699999999"}]}"#)),
        Manner::Fails => Some((500, "{}")),
        Manner::Babbles => Some((200, "hello")),
        Manner::Waits | Manner::IsGone | Manner::IsNone => None,
    }
}

fn met(act: &str, status: u16) -> String {
    format!("{act}: {status}")
}

/// The messages of errors.
fn messages(errors: &Value) -> Vec<&str> {
    match errors {
        Value::String(message) => vec![message],
        Value::Array(all) => all.iter().flat_map(messages).collect(),
        Value::Object(fields) => fields.values().flat_map(messages).collect(),
        _ => Vec::new(),
    }
}

fn map(fields: &[(&str, Value)]) -> Map<String, Value> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}
