//! What the registry is to do, without any of it: a few maps of rows, and who may see and change which.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::calls::{ACCOUNTS, Act, Call, UNKNOWN, Who};
use crate::expected::{Expected, element_error, invalid, no_permission, one, path_error, whole};
use crate::harness::client::Answer;
use crate::harness::places::{MIDDLE, WEST};

/// A taxi that there is not.
pub(crate) const NO_TAXI: &str = "nowhere";
/// A vehicle or an account that there is not.
pub(crate) const NO_NUMBER: i64 = 987_654;
const DEPARTEMENTS: [(&str, &str); 2] = [("75", "Paris"), ("33", "Gironde")];

/// The rows. An account is named by its place in [`ACCOUNTS`].
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) accounts: Vec<Account>,
    /// By operator, departement and licence: the first name.
    drivers: BTreeMap<(usize, &'static str, &'static str), &'static str>,
    /// Plates and numbers, in the order in which they were made.
    vehicles: Vec<(&'static str, i64)>,
    /// By operator and plate.
    descriptions: BTreeMap<(usize, &'static str), Description>,
    /// By operator, town and number.
    ads: BTreeMap<(usize, &'static str, &'static str), Ads>,
    taxis: Vec<Taxi>,
    /// Changes of status: taxi, before, after, for which account, with whose key.
    log: Vec<(String, String, String, usize, Option<usize>)>,
}

#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) id: i64,
    pub(crate) key: String,
    pub(crate) manager: Option<usize>,
    name: String,
    phone: String,
}

#[derive(Clone, Debug, Default)]
struct Description {
    color: String,
    nb_seats: Option<i32>,
    wifi: Option<bool>,
    status: String,
    radius: Option<i32>,
}

#[derive(Debug)]
struct Ads {
    vehicle: Option<i64>,
    owner_name: &'static str,
}

#[derive(Debug, PartialEq, Eq)]
struct Taxi {
    id: String,
    operator: usize,
    plate: &'static str,
    ads: (&'static str, &'static str),
    driver: (&'static str, &'static str),
}

/// Who a call is by, once the key and `X-Logas` were looked at.
#[derive(Clone, Copy)]
struct Caller {
    account: usize,
    key_of: Option<usize>,
    is_lent: bool,
}

impl Account {
    pub(crate) fn new(id: i64, key: &str, email: &str, manager: Option<usize>) -> Self {
        Self { id, key: key.to_owned(), manager, name: email.to_owned(), phone: String::new() }
    }
}

impl Model {
    /// The n-th vehicle's number.
    pub(crate) fn vehicle(&self, n: usize) -> i64 {
        nth(&self.vehicles, n).map_or(NO_NUMBER, |(_, number)| *number)
    }

    /// The n-th taxi's id.
    pub(crate) fn taxi(&self, n: usize) -> &str {
        nth(&self.taxis, n).map_or(NO_TAXI, |taxi| &taxi.id)
    }

    /// Does what the call asks for; times are left out of what is to be answered. Numbers and ids that the registry
    /// gives are taken from its answer.
    pub(crate) fn expect(&mut self, call: &Call, answer: &Answer) -> Expected {
        if let Act::LogIn { whom, key_of } = call.act {
            return self.log_in(whom, key_of);
        }
        let caller = match self.caller(call) {
            Ok(caller) => caller,
            Err(message) => return whole(401, message),
        };
        if !may(caller, &call.act) {
            return no_permission();
        }
        let me = caller.account;
        let wrong = wrong_fields(call);
        let given = &answer.body["data"][0]["id"];
        match &call.act {
            Act::AddDriver { .. } | Act::AddVehicle { .. } | Act::AddAds { .. } | Act::AddTaxi { .. }
                if !wrong.is_empty() =>
            {
                invalid(&wrong)
            }
            Act::AddDriver { licence, departement, first_name } => {
                self.add_driver(me, licence, departement, first_name)
            }
            Act::AddVehicle { plate, color, nb_seats, wifi } => {
                self.add_vehicle(me, plate, (*color, *nb_seats, *wifi), given.as_i64().unwrap_or(NO_NUMBER))
            }
            Act::AddAds { numero, insee, owner_name, vehicle } => {
                let vehicle = vehicle.map(|n| self.vehicle(n));
                self.add_ads(me, numero, insee, owner_name.unwrap_or_default(), vehicle)
            }
            Act::AddTaxi { ads, plate, driver } => {
                let id = given.as_str().unwrap_or_default().to_owned();
                self.add_taxi(Taxi { id, operator: me, plate, ads: *ads, driver: *driver })
            }
            Act::ReadTaxi(n) => self.read_taxi(me, *n),
            Act::ChangeTaxi { taxi, status, radius } => {
                self.change_taxi(caller, &wrong, *taxi, *status, *radius)
            }
            Act::ListTaxis { plate, page } => self.list_taxis(me, plate.unwrap_or_default(), *page),
            Act::ReadLog(n) => self.read_log(*n),
            Act::ReadAccount(whom) => {
                account(me, *whom).map_or_else(|no| no, |at| (200, one(&self.show(at))))
            }
            Act::ChangeAccount { whom, name, phone } => self.change_account(me, &wrong, *whom, *name, *phone),
            Act::ListAccounts { email, role } => self.list_accounts(me, email.unwrap_or_default(), *role),
            Act::LogIn { whom, key_of } => self.log_in(*whom, *key_of),
        }
    }

    fn caller(&self, call: &Call) -> Result<Caller, &'static str> {
        if call.who == Who::Nobody {
            return Err("Header X-Api-Key required.");
        }
        let refused = match call.log_as {
            Some(_) => "Header X-Api-Key and/or X-Logas not valid.",
            None => "Header X-Api-Key not valid.",
        };
        let owner = call.who.index().ok_or(refused)?;
        let Some(other) = call.log_as.filter(|other| *other != call.who) else {
            return Ok(Caller { account: owner, key_of: None, is_lent: false });
        };
        let account = other.index().ok_or(refused)?;
        let governs = call.who == Who::Admin || self.accounts[account].manager == Some(owner);
        if governs || other == Who::Lent {
            Ok(Caller { account, key_of: Some(owner), is_lent: !governs })
        } else {
            Err(refused)
        }
    }

    fn log_in(&self, whom: Who, key_of: Who) -> Expected {
        if key_of == Who::Nobody {
            return element_error(400, &json!({"_schema": ["Specify apikey or password."]}));
        }
        match whom.index() {
            Some(at) if whom == key_of => (200, one(&self.show(at))),
            _ => element_error(401, &json!({"": ["Invalid credentials."]})),
        }
    }

    fn add_driver(
        &mut self,
        me: usize,
        licence: &'static str,
        departement: &'static str,
        first_name: &'static str,
    ) -> Expected {
        let Some((_, nom)) = DEPARTEMENTS.iter().find(|(numero, _)| *numero == departement) else {
            let message = ["Departement not found"];
            return element_error(404, &json!({"departement": {"nom": message, "numero": message}}));
        };
        let old = self.drivers.insert((me, departement, licence), first_name);
        let driver = json!({
            "first_name": first_name, "last_name": "Martin", "birth_date": null, "professional_licence": licence,
            "departement": {"numero": departement, "nom": nom},
        });
        (if old.is_some() { 200 } else { 201 }, one(&driver))
    }

    fn add_vehicle(
        &mut self,
        me: usize,
        plate: &'static str,
        (color, nb_seats, wifi): (Option<&str>, Option<i32>, Option<bool>),
        given: i64,
    ) -> Expected {
        let known = self.vehicles.iter().find(|(other, _)| *other == plate).map(|(_, number)| *number);
        let number = known.unwrap_or(given);
        if known.is_none() {
            self.vehicles.push((plate, number));
        }
        let new = !self.descriptions.contains_key(&(me, plate));
        let description = self.descriptions.entry((me, plate)).or_default();
        if new {
            "off".clone_into(&mut description.status);
        }
        if let Some(color) = color {
            color.clone_into(&mut description.color);
        }
        description.nb_seats = nb_seats.or(description.nb_seats);
        description.wifi = wifi.or(description.wifi);
        // As recorded: null in the answer that makes it, "" ever after.
        let unsaid = |text: &str, said: bool| if new && !said { Value::Null } else { json!(text) };
        let vehicle = json!({
            "id": number, "licence_plate": plate, "model": null, "constructor": null, "engine": unsaid("", false),
            "color": unsaid(&description.color, color.is_some()), "nb_seats": description.nb_seats, "relais": null,
            "bank_check_accepted": null, "baby_seat": null, "bike_accepted": null, "pet_accepted": null,
            "amex_accepted": null, "wifi": description.wifi, "vasp_handicap": null,
        });
        (if new { 201 } else { 200 }, one(&vehicle))
    }

    fn add_ads(
        &mut self,
        me: usize,
        numero: &'static str,
        insee: &'static str,
        owner_name: &'static str,
        vehicle: Option<i64>,
    ) -> Expected {
        if let Some(number) = vehicle {
            let plate = self.vehicles.iter().find(|(_, other)| *other == number).map(|(plate, _)| *plate);
            if !plate.is_some_and(|plate| self.descriptions.contains_key(&(me, plate))) {
                let message = format!("Unable to find vehicle {number}.");
                return element_error(404, &json!({"vehicle_id": [message]}));
            }
        }
        if ![MIDDLE, WEST].contains(&insee) {
            let message = format!("Unable to find town for INSEE code {insee}.");
            return element_error(404, &json!({"insee": [message]}));
        }
        let old = self.ads.insert((me, insee, numero), Ads { vehicle, owner_name });
        let ads = json!({
            "numero": numero, "insee": insee, "vehicle_id": vehicle, "owner_type": null, "owner_name": owner_name,
            "doublage": null, "category": "",
        });
        (if old.is_some() { 200 } else { 201 }, one(&ads))
    }

    fn add_taxi(&mut self, taxi: Taxi) -> Expected {
        let me = taxi.operator;
        let mut missing = Map::new();
        if !self.ads.contains_key(&(me, taxi.ads.1, taxi.ads.0)) {
            let message = ["ADS not found with this INSEE/numero"];
            missing.insert("ads".to_owned(), json!({"insee": message, "numero": message}));
        }
        let is_known = self.vehicles.iter().any(|(plate, _)| *plate == taxi.plate);
        if !self.descriptions.contains_key(&(me, taxi.plate)) {
            let message = if is_known {
                "Vehicle exists but has not been created by the user making the request"
            } else {
                "Invalid licence plate"
            };
            missing.insert("vehicle".to_owned(), json!({"licence_plate": [message]}));
        }
        if !self.drivers.contains_key(&(me, taxi.driver.1, taxi.driver.0)) {
            let message = "Driver not found with this professional_licence. Is it the correct departement?";
            let mut wrong = json!({"professional_licence": [message]});
            if !DEPARTEMENTS.iter().any(|(numero, _)| *numero == taxi.driver.1) {
                wrong["departement"] = json!(["Departement not found"]);
            }
            missing.insert("driver".to_owned(), wrong);
        }
        if !missing.is_empty() {
            return element_error(404, &Value::Object(missing));
        }
        let parts = |taxi: &Taxi| (taxi.operator, taxi.plate, taxi.ads, taxi.driver);
        if let Some(old) = self.taxis.iter().find(|old| parts(old) == parts(&taxi)) {
            return (200, one(&self.show_taxi(old, me)));
        }
        self.taxis.push(taxi);
        (201, one(&self.show_taxi(&self.taxis[self.taxis.len() - 1], me)))
    }

    /// A taxi is seen and changed by every operator that describes its vehicle.
    fn read_taxi(&self, me: usize, n: usize) -> Expected {
        let id = self.taxi(n);
        let mine = |taxi: &&Taxi| taxi.id == id && self.descriptions.contains_key(&(me, taxi.plate));
        match self.taxis.iter().find(mine) {
            Some(taxi) => (200, one(&self.show_taxi(taxi, me))),
            None => path_error(404, &format!("Unknown taxi {id}, or taxi exists but you are not the owner.")),
        }
    }

    fn change_taxi(
        &mut self,
        caller: Caller,
        wrong: &Map<String, Value>,
        n: usize,
        status: Option<&str>,
        radius: Option<Option<i32>>,
    ) -> Expected {
        let me = caller.account;
        let seen = self.read_taxi(me, n);
        if seen.0 != 200 || !wrong.is_empty() {
            return if seen.0 == 200 { invalid(wrong) } else { seen };
        }
        if let Some(taxi) = nth(&self.taxis, n)
            && let Some(description) = self.descriptions.get_mut(&(me, taxi.plate))
        {
            if let Some(status) = status.filter(|status| *status != description.status) {
                let before = std::mem::replace(&mut description.status, status.to_owned());
                self.log.push((taxi.id.clone(), before, status.to_owned(), me, caller.key_of));
            }
            description.radius = radius.unwrap_or(description.radius);
        }
        self.read_taxi(me, n)
    }

    /// Its own taxis, the newest first.
    fn list_taxis(&self, me: usize, plate: &str, number: usize) -> Expected {
        let begins = |taxi: &Taxi| taxi.plate.to_lowercase().starts_with(&plate.to_lowercase());
        let mine = self.taxis.iter().rev().filter(|taxi| taxi.operator == me && begins(taxi));
        page(mine.map(|taxi| self.show_taxi(taxi, me)).collect(), number)
    }

    fn read_log(&self, n: usize) -> Expected {
        let id = self.taxi(n);
        let entries = self.log.iter().rev().filter(|(taxi, ..)| taxi == id);
        page(
            entries
                .map(|(taxi, before, after, account, key_of)| {
                    let account = self.accounts[*account].id;
                    let mut extra = json!({"old_status": before, "new_status": after, "user_id": account});
                    if let Some(owner) = key_of {
                        extra["apikey_belongs_to"] = json!(self.accounts[*owner].id.to_string());
                    }
                    json!({"resource": "taxi", "resource_id": taxi, "action": "taxi_status", "extra": extra})
                })
                .collect(),
            1,
        )
    }

    fn change_account(
        &mut self,
        me: usize,
        wrong: &Map<String, Value>,
        whom: Who,
        name: Option<Option<&str>>,
        phone: Option<&str>,
    ) -> Expected {
        let at = match account(me, whom) {
            Ok(_) if !wrong.is_empty() => return invalid(wrong),
            Ok(at) => at,
            Err(no) => return no,
        };
        let account = &mut self.accounts[at];
        if let Some(name) = name {
            name.unwrap_or_default().clone_into(&mut account.name);
        }
        if let Some(phone) = phone {
            phone.clone_into(&mut account.phone);
        }
        (200, one(&self.show(at)))
    }

    /// All for an administrator, who alone may ask for a role; else those it manages.
    fn list_accounts(&self, me: usize, email: &str, role: Option<&str>) -> Expected {
        let is_admin = has(me, &["admin"]);
        let listed = (0..ACCOUNTS.len()).filter(|at| {
            let sees = is_admin || self.accounts[*at].manager == Some(me);
            let is_named = ACCOUNTS[*at].1.contains(&email.to_lowercase());
            sees && is_named && (!is_admin || role.is_none_or(|role| ACCOUNTS[*at].2.contains(&role)))
        });
        page(listed.map(|at| self.show(at)).collect(), 1)
    }

    fn show(&self, at: usize) -> Value {
        let account = &self.accounts[at];
        let named = |at: usize| {
            let account = &self.accounts[at];
            json!({"id": account.id, "email": ACCOUNTS[at].1, "name": account.name})
        };
        let managed: Vec<_> = (0..ACCOUNTS.len())
            .filter(|other| self.accounts[*other].manager == Some(at))
            .map(named)
            .collect();
        let roles: Vec<_> = ACCOUNTS[at].2.iter().map(|role| json!({"name": role})).collect();
        json!({
            "id": account.id, "email": ACCOUNTS[at].1, "name": account.name, "apikey": account.key, "roles": roles,
            "email_customer": "", "email_technical": "", "phone_number_customer": account.phone,
            "phone_number_technical": "", "hail_endpoint_production": "", "operator_header_name": "",
            "operator_api_key": "", "manager": account.manager.map(named), "managed": managed,
        })
    }

    fn show_taxi(&self, taxi: &Taxi, me: usize) -> Value {
        let description = &self.descriptions[&(me, taxi.plate)];
        let ads = &self.ads[&(taxi.operator, taxi.ads.1, taxi.ads.0)];
        let first_name = self.drivers[&(taxi.operator, taxi.driver.1, taxi.driver.0)];
        let offers: &[&str] = if description.wifi == Some(true) { &["wifi"] } else { &[] };
        json!({
            "id": taxi.id, "operator": ACCOUNTS[me].1, "status": description.status, "radius": description.radius,
            "rating": null, "crowfly_distance": null, "last_update": null, "position": {"lon": null, "lat": null},
            "vehicle": {
                "licence_plate": taxi.plate, "model": null, "constructor": null, "color": description.color,
                "engine": "", "nb_seats": description.nb_seats, "characteristics": offers, "type": null,
                "cpam_conventionne": null,
            },
            "ads": {
                "numero": taxi.ads.0, "insee": taxi.ads.1, "vehicle_id": ads.vehicle, "owner_type": null,
                "owner_name": ads.owner_name, "doublage": null, "category": "",
                "town": {"name": format!("Town {}", taxi.ads.1)},
            },
            "driver": {
                "professional_licence": taxi.driver.0, "departement": taxi.driver.1, "first_name": first_name,
                "last_name": "Martin",
            },
        })
    }
}

/// Who may ask for what, of rows that are theirs.
fn may(caller: Caller, act: &Act) -> bool {
    let me = caller.account;
    match act {
        Act::AddDriver { .. }
        | Act::AddVehicle { .. }
        | Act::AddAds { .. }
        | Act::AddTaxi { .. }
        | Act::ReadTaxi(_)
        | Act::ChangeTaxi { .. } => has(me, &["admin", "operateur"]),
        Act::ListTaxis { .. } => has(me, &["operateur"]),
        Act::ReadLog(_) => has(me, &["admin"]),
        // Whoever only borrows an account sees no keys with it.
        Act::ReadAccount(_) | Act::ChangeAccount { .. } | Act::ListAccounts { .. } => !caller.is_lent,
        Act::LogIn { .. } => true,
    }
}

/// An account is seen and changed by itself and by administrators.
fn account(me: usize, whom: Who) -> Result<usize, Expected> {
    let at = whom.index().ok_or_else(|| path_error(404, &format!("User {NO_NUMBER} not found.")))?;
    if at == me || has(me, &["admin"]) {
        Ok(at)
    } else {
        Err(path_error(403, "You do not have the permissions to access this user."))
    }
}

fn has(account: usize, roles: &[&str]) -> bool {
    ACCOUNTS[account].2.iter().any(|role| roles.contains(role))
}

/// What is wrong with the fields of a body: its flaw, and values out of their range.
fn wrong_fields(call: &Call) -> Map<String, Value> {
    let mut wrong = Map::new();
    let too_short = json!(["Length must be between 7 and 10."]);
    match &call.act {
        Act::AddVehicle { plate, .. } if plate.len() < 7 => {
            wrong.insert("licence_plate".to_owned(), too_short);
        }
        Act::AddTaxi { plate, .. } if plate.len() < 7 => {
            wrong.insert("vehicle".to_owned(), json!({"licence_plate": too_short}));
        }
        Act::ChangeTaxi { status, radius, .. } => {
            if status.is_some_and(|status| !["free", "occupied", "off"].contains(&status)) {
                wrong.insert("status".to_owned(), json!(["Must be one of: free, occupied, off."]));
            }
            if radius.flatten().is_some_and(|radius| !(150..=500).contains(&radius)) {
                let message = "Must be greater than or equal to 150 and less than or equal to 500.";
                wrong.insert("radius".to_owned(), json!([message]));
            }
        }
        _ => {}
    }
    if let Some((name, _, message)) = call.wrong_field() {
        wrong.insert(name.to_owned(), message);
    }
    wrong
}

/// The n-th, around and around; [`UNKNOWN`] is none.
fn nth<T>(rows: &[T], n: usize) -> Option<&T> {
    if n == UNKNOWN { None } else { rows.get(n % rows.len().max(1)) }
}

/// A page of thirty.
fn page(all: Vec<Value>, number: usize) -> Expected {
    let (total, pages) = (all.len(), all.len().div_ceil(30));
    let next = (number < pages).then_some(number + 1);
    let before = (number > 1).then_some(number - 1);
    let data: Vec<_> = all.into_iter().skip(30 * (number - 1)).take(30).collect();
    let meta =
        json!({"next_page": next, "prev_page": before, "pages": pages, "per_page": 30, "total": total});
    (200, json!({"data": data, "meta": meta}))
}
