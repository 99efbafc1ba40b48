//! What the registry is to do with hails, without any of it: a list of them, a few taxis, and the tables of
//! [`crate::contract`].

use std::collections::{BTreeMap, BTreeSet};

use ingest::position::LatLon;
use serde_json::{Map, Value, json};

use crate::calls::{Manner, Moment, SILENT, TAXIS, UNKNOWN, Which, Who};
use crate::contract::{
    self, ASKED, AVAILABILITY, BAN_MS, DEADLINES, FIELDS, FRESH_MS, Field, MOVES, NO_PHONE, REMEMBERED_MS,
    SESSION_MS, SHOWN_MS, Side,
};
use crate::expected::{Expected, element_error, invalid, no_permission, one, path_error, whole};

mod view;

use view::Eyes;
pub(crate) use view::color;

/// A hail and a taxi that there is not.
pub(crate) const NOWHERE: &str = "nowhere";

#[derive(Clone, Debug)]
pub(crate) struct Model {
    /// In milliseconds since 1970.
    pub(crate) now: i64,
    /// In the order of [`TAXIS`].
    pub(crate) taxis: Vec<String>,
    /// What the operator of each taxi says of its vehicle, in the same order.
    descriptions: Vec<Description>,
    /// Where each source was seen, and when.
    seen: BTreeMap<(usize, Who), (LatLon, i64)>,
    pub(crate) hails: Vec<Hail>,
    /// When the bans of customers of an app begin and end.
    bans: BTreeMap<(Who, String), (i64, i64)>,
    /// Requests of apps that have a name, and have been granted.
    remembered: BTreeMap<(Who, String), Granted>,
    /// What becomes of hails of operator A.
    pub(crate) manner: Manner,
    /// Hails whose calls wait for an answer.
    pub(crate) waiting: Vec<usize>,
    /// Hails that look otherwise than before the step.
    pub(crate) touched: BTreeSet<usize>,
    /// Whether taxis are said to be otherwise than before the step.
    pub(crate) described: bool,
    /// Sources that are elsewhere than before the step.
    pub(crate) located: BTreeSet<(usize, Who)>,
    /// Moves so far.
    pub(crate) moves: Vec<String>,
}

/// A request that was granted.
#[derive(Clone, Debug)]
struct Granted {
    at: i64,
    element: Map<String, Value>,
    answer: Value,
}

/// A vehicle as one operator describes it.
#[derive(Clone, Debug)]
struct Description {
    status: String,
    radius: Value,
    /// The hail that it follows.
    hail: Option<usize>,
}

#[derive(Clone, Debug)]
pub(crate) struct Hail {
    pub(crate) id: String,
    pub(crate) session: Value,
    pub(crate) app: Who,
    pub(crate) operator: Who,
    taxi: usize,
    description: usize,
    /// The id under which it was hailed.
    hailed_as: Value,
    customer: String,
    pub(crate) status: &'static str,
    status_at: i64,
    created_at: i64,
    transitions: Vec<Transition>,
    /// What may be changed of it, by name.
    fields: Map<String, Value>,
    /// The hail as its operator's server is sent it, if one is called.
    pub(crate) sent: Option<Value>,
}

#[derive(Clone, Debug)]
struct Transition {
    from: Option<&'static str>,
    to: &'static str,
    at: i64,
    reason: Option<String>,
}

/// Where a hail goes, if it does.
type Move = Option<&'static str>;
/// A field, and why it cannot be so.
type Refused = (&'static str, String);

/// What a caller asks for.
pub(crate) struct Asked<'a> {
    pub(crate) who: Who,
    /// The taxi, if the id in the element means one to the caller.
    pub(crate) taxi: Option<usize>,
    pub(crate) element: &'a Map<String, Value>,
    /// The name of the request.
    pub(crate) key: Option<&'a str>,
    /// What was answered: ids that the registry gave are taken from it.
    pub(crate) answer: &'a Value,
}

impl Asked<'_> {
    fn customer(&self) -> String {
        self.element["customer_id"].as_str().unwrap_or_default().to_owned()
    }
}

impl Model {
    pub(crate) fn new(now: i64, taxis: Vec<String>) -> Self {
        let free = Description { status: "free".to_owned(), radius: Value::Null, hail: None };
        Self {
            now,
            taxis,
            descriptions: vec![free; TAXIS.len()],
            seen: BTreeMap::new(),
            hails: Vec::new(),
            bans: BTreeMap::new(),
            remembered: BTreeMap::new(),
            manner: Manner::Takes,
            waiting: Vec::new(),
            touched: BTreeSet::new(),
            described: true,
            located: BTreeSet::new(),
            moves: Vec::new(),
        }
    }

    /// Every source that is ever heard: taxi, operator.
    pub(crate) fn sources() -> Vec<(usize, Who)> {
        let of_taxi = |taxi: usize| descriptions_of(taxi).map(move |at| (taxi, TAXIS[at].1));
        (0..TAXIS.len()).filter(|taxi| TAXIS[*taxi].0 != SILENT).flat_map(of_taxi).collect()
    }

    /// What the operators of a taxi's vehicle say of it.
    pub(crate) fn statuses(&self, taxi: usize) -> impl Iterator<Item = (Who, &str)> {
        descriptions_of(taxi).map(|at| (TAXIS[at].1, self.descriptions[at].status.as_str()))
    }

    /// Which hail: the n-th, counted back from the newest one and around.
    pub(crate) fn nth(&self, n: usize) -> Option<usize> {
        let count = self.hails.len();
        (n != UNKNOWN && count > 0).then(|| count - 1 - n % count)
    }

    /// The n-th hail that lasts.
    pub(crate) fn nth_lasting(&self, n: usize) -> Option<usize> {
        let lasting: Vec<_> = (0..self.hails.len()).rev().filter(|at| self.hails[*at].lasts()).collect();
        lasting.get(n % lasting.len().max(1)).copied()
    }

    /// Which taxi is asked for; None: none that there is.
    pub(crate) fn which(&self, which: Which) -> Option<usize> {
        let n = match which {
            Which::Taxi(n) => return (n != UNKNOWN).then_some(n),
            Which::ToBeHad(n) => n,
        };
        let to_be_had: Vec<_> = (0..TAXIS.len()).filter(|taxi| self.reach(*taxi).is_ok()).collect();
        to_be_had.get(n % to_be_had.len().max(1)).copied()
    }

    /// Its id, or one that none has.
    pub(crate) fn hail_id(&self, at: Option<usize>) -> &str {
        at.map_or(NOWHERE, |at| &self.hails[at].id)
    }

    /// The moves that may be made of a hail: to where, by whom.
    pub(crate) fn moves_of(&self, at: usize) -> Vec<(&'static str, Who)> {
        let hail = &self.hails[at];
        let legal = MOVES.iter().filter(|(from, ..)| *from == hail.status);
        legal.map(|(_, to, side)| (*to, hail.side(*side))).collect()
    }

    /// A customer asks for a taxi.
    pub(crate) fn hail(&mut self, asked: &Asked<'_>) -> Expected {
        let (taxi, description, sessions) = match self.grant(asked) {
            Ok(granted) => granted,
            Err(answered) => return answered,
        };
        let Asked { who, element, answer, key, .. } = *asked;
        let given = &answer["data"][0];
        let session = given["session_id"].clone();
        let is_fine = match &sessions {
            Some(some) => some.contains(&session),
            None => session.is_string() && self.hails.iter().all(|hail| hail.session != session),
        };
        let mut fields: Map<_, _> = FIELDS.iter().map(|field| (field.name.to_owned(), Value::Null)).collect();
        fields.remove("status");
        fields.insert("taxi_phone_number".to_owned(), json!(""));
        for name in ["customer_lon", "customer_lat", "customer_address", "customer_phone_number"] {
            fields.insert(name.to_owned(), element[name].clone());
        }
        let at = self.hails.len();
        self.hails.push(Hail {
            id: given["id"].as_str().unwrap_or(NOWHERE).to_owned(),
            session: if is_fine { session } else { json!(sessions) },
            app: who,
            operator: TAXIS[description].1,
            taxi,
            description,
            hailed_as: element["taxi_id"].clone(),
            customer: asked.customer(),
            status: "",
            status_at: self.now,
            created_at: self.now,
            transitions: Vec::new(),
            fields,
            sent: None,
        });
        self.descriptions[description].hail = Some(at);
        self.enter(at, "received", None);
        let eyes = if who == Who::Admin { Eyes::Admin } else { Eyes::App };
        let answer = one(&self.show(at, eyes, true));
        if let Some(key) = key {
            let granted = Granted { at: self.now, element: element.clone(), answer: answer.clone() };
            self.remembered.insert((who, key.to_owned()), granted);
        }
        self.bring(at);
        (201, answer)
    }

    /// The taxi that a customer gets, through which description, and the sessions that the hail may be part of (None: a
    /// new one); else what is answered.
    fn grant(&self, asked: &Asked<'_>) -> Result<(usize, usize, Option<Vec<Value>>), Expected> {
        let Asked { who, element, key, .. } = *asked;
        may(who, &[Who::Admin, Who::App, Who::OtherApp, Who::Both])?;
        let wrong = contract::wrong(ASKED, false, element);
        if !wrong.is_empty() {
            return Err(invalid(&wrong));
        }
        let before = key.and_then(|key| self.remembered.get(&(who, key.to_owned())));
        if let Some(before) = before.filter(|before| self.now - before.at <= REMEMBERED_MS) {
            return Err(if before.element == *element {
                (201, before.answer.clone())
            } else {
                whole(422, "Header Idempotency-Key was used for another request.")
            });
        }
        let refused = |status, field: &str, message: &str| element_error(status, &json!({field: [message]}));
        let unknown = || refused(404, "operateur", "Unable to find taxi for this operateur.");
        let taxi = asked.taxi.ok_or_else(unknown)?;
        let customer = asked.customer();
        if self.bans.get(&(who, customer.clone())).is_some_and(|(_, end)| *end >= self.now) {
            return Err(refused(403, "customer_id", "This customer is banned."));
        }
        let description = self.reach(taxi).map_err(|message| refused(400, "taxi_id", message))?;
        let sessions = self.sessions(who, &customer, element.get("session_id").unwrap_or(&Value::Null));
        let sessions = sessions.map_err(|message| refused(400, "session_id", message))?;
        if element["customer_address"] == "" {
            let message = "Customer can't be located, please provide an pickup address for the taxi.";
            return Err(refused(400, "customer_address", message));
        }
        Ok((taxi, description, sessions))
    }

    /// The description through which a taxi can be had: of those whose operator was heard the free one, of several
    /// the one heard last.
    fn reach(&self, taxi: usize) -> Result<usize, &'static str> {
        let heard = descriptions_of(taxi).filter_map(|at| Some((at, self.seen.get(&(taxi, TAXIS[at].1))?.1)));
        let best = heard.max_by_key(|(at, heard_at)| (self.descriptions[*at].status == "free", *heard_at));
        let (best, heard_at) = best.ok_or("Taxi is not online.")?;
        if self.now - heard_at >= FRESH_MS {
            return Err("Taxi is no longer online.");
        }
        // Nobody has a vehicle that goes to somebody else, or has somebody else on board.
        let is_taken = |at: usize| {
            let Description { status, hail, .. } = &self.descriptions[at];
            let lasts = hail.is_some_and(|hail| self.hails[hail].lasts());
            lasts && ["answering", "oncoming", "occupied"].contains(&status.as_str())
        };
        if self.descriptions[best].status != "free" || descriptions_of(taxi).any(is_taken) {
            return Err("Taxi is not free.");
        }
        Ok(best)
    }

    /// The sessions that a hail may be part of; None: a new one.
    fn sessions(&self, app: Who, customer: &str, wanted: &Value) -> Result<Option<Vec<Value>>, &'static str> {
        let of_app = || self.hails.iter().filter(move |hail| hail.app == app);
        if !wanted.is_null() {
            return match of_app().find(|hail| hail.session == *wanted) {
                None => Err("This sesssion ID does not exist."),
                Some(hail) if hail.customer != customer => {
                    Err("The session ID exists, but it is linked to another customer.")
                }
                Some(_) => Ok(Some(vec![wanted.clone()])),
            };
        }
        let of_customer = || of_app().filter(|hail| hail.customer == customer);
        let last = of_customer().map(|hail| hail.status_at).max();
        let Some(last) = last.filter(|last| self.now - last < SESSION_MS) else { return Ok(None) };
        // Of several that moved last, any.
        let newest = of_customer().filter(|hail| hail.status_at == last);
        Ok(Some(newest.map(|hail| hail.session.clone()).collect()))
    }

    /// The operator's server is called, if there is one.
    fn bring(&mut self, at: usize) {
        let manner = if self.hails[at].operator == Who::OperatorA { self.manner } else { Manner::IsNone };
        if !matches!(manner, Manner::IsGone | Manner::IsNone) {
            let mut sent = self.show(at, Eyes::Operator, false);
            // Where its taxi is the operator knows better.
            sent["taxi"]["position"] = json!({"lon": null, "lat": null});
            sent["taxi"]["last_update"] = Value::Null;
            sent["taxi"]["crowfly_distance"] = Value::Null;
            self.hails[at].sent = Some(sent);
        }
        if manner == Manner::Waits {
            self.waiting.push(at);
        } else {
            self.called(at, manner);
        }
    }

    /// The operator's server did something with a call.
    pub(crate) fn called(&mut self, at: usize, manner: Manner) {
        if self.hails[at].status != "received" {
            return;
        }
        if manner == Manner::GivesItsNumber {
            self.hails[at].fields.insert("taxi_phone_number".to_owned(), json!("0699999999"));
        }
        let failed = |why: &str| ("failure", Some(why.to_owned()));
        let (to, reason) = match manner {
            Manner::Takes | Manner::GivesItsNumber => ("received_by_operator", None),
            Manner::IsNone => ("sent_to_operator", None),
            Manner::Fails => failed("the operator's server answered 500"),
            Manner::Babbles => failed("the operator's server answered what is no JSON"),
            Manner::IsGone => failed("no connection could be made"),
            Manner::Waits => return,
        };
        self.enter(at, to, reason);
    }

    /// When something happens to the n-th hail by itself.
    pub(crate) fn moment(&self, moment: Moment, n: usize) -> Option<i64> {
        let hail = || self.nth(n).map(|at| &self.hails[at]);
        match moment {
            Moment::Deadline => Some(self.hails[self.nth_lasting(n)?].deadline()?.0),
            Moment::SessionEnds => Some(hail()?.status_at + SESSION_MS),
            Moment::BanEnds => Some(self.bans.get(&(hail()?.app, hail()?.customer.clone()))?.1),
            Moment::Gone => Some(hail()?.created_at + SHOWN_MS),
            Moment::Forgotten => Some(hail()?.created_at + REMEMBERED_MS),
        }
    }

    /// The clock goes on, and deadlines pass.
    pub(crate) fn pass(&mut self, ms: i64) {
        let before = self.now;
        self.now += ms;
        for at in 0..self.hails.len() {
            if let Some((deadline, to)) = self.hails[at].deadline()
                && deadline <= self.now
            {
                self.enter(at, to, Some("deadline".to_owned()));
            }
            let gone_after = self.hails[at].created_at + SHOWN_MS;
            if before <= gone_after && gone_after <= self.now {
                self.touched.insert(at);
            }
        }
    }

    /// Somebody wishes a hail to be otherwise.
    pub(crate) fn change(&mut self, who: Who, at: Option<usize>, wish: &Map<String, Value>) -> Expected {
        let (at, eyes) = match self.look(who, at) {
            Ok(seen) => seen,
            Err(refused) => return refused,
        };
        let wrong = contract::wrong(FIELDS, false, wish);
        if !wrong.is_empty() {
            return invalid(&wrong);
        }
        let (fields, to) = match self.hails[at].decide(who, wish) {
            Ok(decided) => decided,
            Err((field, message)) => return element_error(400, &json!({field: [message]})),
        };
        let before = std::mem::replace(&mut self.hails[at].fields, fields);
        if let Some(to) = to {
            self.enter(at, to, None);
        }
        if before["reporting_customer"] != self.hails[at].fields["reporting_customer"] {
            self.report(at);
        }
        self.touched.insert(at);
        (200, one(&self.show(at, eyes, to.is_some())))
    }

    /// A customer is banned, or the ban ends.
    fn report(&mut self, at: usize) {
        let hail = &self.hails[at];
        let customer = (hail.app, hail.customer.clone());
        if hail.fields["reporting_customer"] != true {
            self.bans.remove(&customer);
            return;
        }
        let now = self.now;
        let lasting = self.bans.get(&customer).filter(|(_, end)| *end >= now);
        let ban = lasting.map_or((now, now + BAN_MS), |(begin, end)| (*begin, end + (end - begin)));
        self.bans.insert(customer, ban);
    }

    /// A hail enters a status, and its taxi follows.
    fn enter(&mut self, at: usize, to: &'static str, reason: Option<String>) {
        let hail = &mut self.hails[at];
        let from = Some(hail.status).filter(|status| !status.is_empty());
        self.moves.extend(from.map(|from| move_of(from, to, reason.as_deref() == Some("deadline"))));
        hail.transitions.push(Transition { from, to, at: self.now, reason });
        (hail.status, hail.status_at) = (to, self.now);
        let description = &mut self.descriptions[hail.description];
        if let Some((_, taxi)) = contract::TAXIS.iter().find(|(status, _)| *status == to)
            && description.hail == Some(at)
        {
            (*taxi).clone_into(&mut description.status);
            self.described = true;
        }
        self.touched.insert(at);
    }

    /// An operator says what its taxi does.
    pub(crate) fn set_taxi(&mut self, who: Who, taxi: Option<usize>, wish: &Map<String, Value>) -> Expected {
        if let Err(refused) = may(who, &[Who::Admin, Who::OperatorA, Who::OperatorB, Who::Both]) {
            return refused;
        }
        let mine = taxi.and_then(|taxi| descriptions_of(taxi).find(|at| TAXIS[*at].1 == who));
        let (Some(taxi), Some(mine)) = (taxi, mine) else {
            let id = taxi.map_or(NOWHERE, |taxi| &self.taxis[taxi]);
            return path_error(404, &format!("Unknown taxi {id}, or taxi exists but you are not the owner."));
        };
        let wrong = contract::wrong(AVAILABILITY, true, wish);
        if !wrong.is_empty() {
            return invalid(&wrong);
        }
        let description = &mut self.descriptions[mine];
        if let Some(status) = wish.get("status").and_then(Value::as_str) {
            status.clone_into(&mut description.status);
        }
        if let Some(radius) = wish.get("radius") {
            description.radius = radius.clone();
        }
        self.described = true;
        (200, self.show_taxi(taxi, who))
    }

    /// A source tells where it is.
    pub(crate) fn locate(&mut self, source: (usize, Who), at: LatLon) {
        self.seen.insert(source, (at, self.now));
        self.located.insert(source);
        let moved = |hail: &Hail| (hail.taxi, hail.operator) == source && hail.lasts();
        self.touched.extend((0..self.hails.len()).filter(|at| moved(&self.hails[*at])));
    }
}

impl Hail {
    /// Whether it has not come to an end.
    pub(crate) fn lasts(&self) -> bool {
        self.deadline().is_some()
    }

    /// When it ends by itself, and how.
    pub(crate) fn deadline(&self) -> Option<(i64, &'static str)> {
        let (_, lasts_ms, to) = DEADLINES.iter().find(|(status, ..)| *status == self.status)?;
        Some((self.status_at + lasts_ms, to))
    }

    fn side(&self, side: Side) -> Who {
        match side {
            Side::Operator => self.operator,
            Side::App => self.app,
        }
    }

    /// What becomes of it where somebody wishes this: its fields and, if it moves, where to. Else the field for which
    /// the whole wish is refused, and why.
    fn decide(&self, who: Who, wish: &Map<String, Value>) -> Result<(Map<String, Value>, Move), Refused> {
        let is_theirs = |side: Side| who == Who::Admin || self.side(side) == who;
        let mut fields = self.fields.clone();
        let to = match wish.get("status").and_then(Value::as_str) {
            Some(to) if to != self.status => {
                if to == "accepted_by_taxi"
                    && let Some(number) = wish.get("taxi_phone_number")
                    && *number != ""
                    && *number != NO_PHONE
                {
                    fields.insert("taxi_phone_number".to_owned(), number.clone());
                }
                let to = self.decide_move(to, is_theirs, fields["taxi_phone_number"] != "");
                Some(to.map_err(|message| ("status", message))?)
            }
            _ => None,
        };
        for Field { name, side, .. } in FIELDS {
            let (Some(side), Some(value)) = (side, wish.get(*name)) else { continue };
            // Whoever sends back what it was shown wishes nothing.
            let is_shown = *name == "customer_phone_number" && (value == NO_PHONE || !is_theirs(*side));
            if *value == fields[*name] || is_shown {
                continue;
            }
            if !is_theirs(*side) {
                return Err((name, "You do not have the permissions to change this value".to_owned()));
            }
            if *name == "declined_by_taxi_reason" && to.unwrap_or(self.status) != "declined_by_taxi" {
                return Err((name, "Only a hail that the taxi declined has a ground of refusal".to_owned()));
            }
            fields.insert((*name).to_owned(), value.clone());
        }
        Ok((fields, to))
    }

    fn decide_move(
        &self,
        to: &str,
        is_theirs: impl Fn(Side) -> bool,
        has_number: bool,
    ) -> Result<&'static str, String> {
        let from = self.status;
        if !self.lasts() {
            return Err(format!("Hail status is {from} and cannot be changed to {to}"));
        }
        if to == "accepted_by_taxi" && !has_number {
            return Err(format!("Status changes to {to} but taxi_phone_number is not provided"));
        }
        let legal = MOVES.iter().find(|(a, b, _)| (*a, *b) == (from, to));
        let (_, to, side) = legal.ok_or_else(|| format!("Impossible to set status from {from} to {to}"))?;
        if !is_theirs(*side) {
            let role = if *side == Side::App { "moteur" } else { "operateur" };
            return Err(format!("Permission {role} is required to change status from {from} to {to}"));
        }
        Ok(to)
    }
}

/// Every move that there is.
pub(crate) fn all_moves() -> impl Iterator<Item = String> {
    let calls = contract::CALLS.iter().map(|to| move_of("received", to, false));
    let moves = MOVES.iter().map(|(from, to, _)| move_of(from, to, false));
    let deadlines = DEADLINES.iter().map(|(from, _, to)| move_of(from, to, true));
    calls.chain(moves).chain(deadlines)
}

fn move_of(from: &str, to: &str, is_deadline: bool) -> String {
    let how = if is_deadline { " by itself" } else { "" };
    format!("{from} becomes {to}{how}")
}

/// What is said of a taxi's vehicle, by each of its operators.
fn descriptions_of(taxi: usize) -> impl Iterator<Item = usize> {
    (0..TAXIS.len()).filter(move |at| TAXIS[*at].0 == TAXIS[taxi].0)
}

/// Who has a key, and one of these accounts.
fn may(who: Who, these: &[Who]) -> Result<(), Expected> {
    match who {
        Who::Nobody => Err(whole(401, "Header X-Api-Key required.")),
        Who::Stranger => Err(whole(401, "Header X-Api-Key not valid.")),
        who if these.contains(&who) => Ok(()),
        _ => Err(no_permission()),
    }
}
