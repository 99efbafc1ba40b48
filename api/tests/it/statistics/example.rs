//! The world of the contract's worked example: 2026-03-18T10:30:00.

use std::collections::BTreeMap;

use api::activity::Actor;
use api::form::instant::instant;
use api::hail::{Event, Status};
use api::registry::add_user;
use api::role::Role;
use api::secrets::SecretKey;
use api::statistics::outcome::Outcome;
use api::statistics::taxi_hash::TaxiHashes;
use api::store::Store;
use api::store::ads::Ads;
use api::store::daily::{Run, Stands};
use api::store::drivers::Driver;
use api::store::hails::NewHail;
use api::store::hails::change::{Held, Step};
use api::store::places::{ShapeRow, ZupcRow};
use api::store::statistics::copies::{HailCopy, TIMED};
use api::store::taxis::TaxiParts;
use api::store::users::UserChanges;
use api::store::vehicles::DescriptionChanges;
use engine::engine::Fix;
use engine::heard::HeardTaxi;
use ingest::clock::{Clock, Millis};
use ingest::position::{LatLon, OperatorKey, Order, SourceKey, TaxiKey};

use crate::database::Backend;
use crate::harness::places::rectangle;
use crate::world::{Accounts, World};

pub(super) const OP_A: i32 = 3;
pub(super) const OP_B: i32 = 4;
const APP_1: i32 = 5;
const APP_2: i32 = 6;

pub(super) const LYON: &str = "69123";
pub(super) const GRENOBLE: &str = "38185";

/// Accounts by number, from 1.
const ACCOUNTS: [(&str, &[Role]); 6] = [
    ("admin", &[Role::Admin]),
    ("boss", &[Role::Editeur]),
    ("opA", &[Role::Operateur, Role::Groupement]),
    ("opB", &[Role::Operateur, Role::Groupement]),
    ("app1", &[Role::Moteur]),
    ("app2", &[Role::Moteur]),
];

/// Taxis by number, from 1: operator, vehicle, town, when it was added.
const TAXIS: [(i32, u8, &str, &str); 6] = [
    (OP_A, 1, LYON, "2021-11-05T08:00:00"),
    (OP_A, 2, LYON, "2021-11-20T12:00:00"),
    (OP_A, 3, GRENOBLE, "2025-05-02T09:00:00"),
    (OP_B, 4, LYON, "2025-10-01T06:00:00"),
    (OP_B, 5, GRENOBLE, "2026-02-20T14:00:00"),
    (OP_B, 1, LYON, "2026-03-18T10:00:00"),
];

/// What operators say of the vehicles today: taxi, status, radius.
const DESCRIPTIONS: [(i32, u8, &str, Option<i32>); 6] = [
    (OP_A, 1, "free", Some(150)),
    (OP_B, 6, "off", None),
    (OP_A, 2, "occupied", None),
    (OP_A, 3, "free", Some(200)),
    (OP_B, 4, "free", None),
    (OP_B, 5, "oncoming", None),
];

/// Last positions: taxi, operator, time, place.
const POSITIONS: [(u32, i32, &str, (f64, f64)); 7] = [
    (1, OP_A, "10:29:50", (45.75, 4.85)),
    (1, OP_B, "10:29:58", (45.7501, 4.8501)),
    (2, OP_A, "10:29:20", (45.74, 4.84)),
    (3, OP_A, "10:29:40", (45.19, 5.72)),
    (4, OP_B, "10:29:00", (45.76, 4.82)),
    (5, OP_B, "09:40:00", (45.17, 5.70)),
    (6, OP_B, "10:29:30", (45.755, 4.86)),
];

/// When taxis were heard first, ever and since the decree.
const FIRST_HEARD: [(u32, &str); 8] = [
    (1, "2021-11-06"),
    (1, "2022-01-03"),
    (2, "2022-01-03"),
    (2, "2021-11-21"),
    (3, "2025-10-05"),
    (4, "2025-10-02"),
    (5, "2026-02-21"),
    (6, "2026-03-18T10:01:00"),
];

/// Who was connected in which hours; each is saved once more than is needed.
const CONNECTED: [(&str, &[u32]); 5] = [
    ("2021-12-31T09:30:00", &[1, 2]),
    ("2026-03-17T09:00:00", &[1, 3, 4, 1]),
    ("2026-03-17T14:59:59.999", &[4]),
    ("2026-03-18T09:10:00", &[1, 2, 4]),
    ("2026-03-18T09:20:00", &[5, 4]),
];

fn heard((taxi, when): (u32, &str)) -> HeardTaxi {
    HeardTaxi { taxi: TaxiKey(taxi), received_at: at(when) }
}

/// A hail of the table.
struct Hailed {
    id: &'static str,
    added: &'static str,
    taxi: u32,
    operator: i32,
    app: i32,
    town: &'static str,
    end: Status,
    /// From when it was added to four transitions and the end.
    seconds: [Option<i64>; 5],
    metres: Option<f64>,
    /// Where the customer was, if it is kept.
    at: Option<(f64, f64)>,
}

const MIDDLE_OF_LYON: (f64, f64) = (45.76, 4.835);
const MIDDLE_OF_GRENOBLE: (f64, f64) = (45.185, 5.72);

#[rustfmt::skip]
fn hails() -> [Hailed; 10] {
    let hail = |id, added, (taxi, operator, app), town, end, seconds: [i64; 5], metres, at| Hailed {
        id, added, taxi, operator, app, town, end,
        seconds: seconds.map(|s| (s > 0).then_some(s)), metres, at,
    };
    [
        hail("H1", "2021-12-15T18:00:00", (1, OP_A, APP_1), LYON, Status::Finished,
             [4, 14, 20, 320, 1500], None, None),
        hail("H2", "2025-02-10T08:00:00", (2, OP_A, APP_1), LYON, Status::Finished,
             [5, 15, 25, 425, 2000], Some(200.4), None),
        hail("H3", "2025-03-25T09:00:00", (2, OP_A, APP_2), LYON, Status::DeclinedByTaxi,
             [3, 0, 0, 0, 10], Some(350.9), Some(MIDDLE_OF_LYON)),
        hail("H4", "2025-07-14T20:00:00", (1, OP_A, APP_1), LYON, Status::TimeoutTaxi,
             [6, 18, 24, 624, 7824], Some(120.0), Some(MIDDLE_OF_LYON)),
        hail("H5", "2025-12-22T07:30:00", (4, OP_B, APP_2), LYON, Status::TimeoutTaxi,
             [10, 0, 0, 0, 40], Some(480.5), Some(MIDDLE_OF_LYON)),
        hail("H6", "2026-01-05T12:00:00", (3, OP_A, APP_1), GRENOBLE, Status::TimeoutCustomer,
             [4, 12, 0, 0, 42], Some(90.3), Some(MIDDLE_OF_GRENOBLE)),
        hail("H7", "2026-02-02T10:00:00", (4, OP_B, APP_1), LYON, Status::Finished,
             [2, 10, 16, 376, 1576], Some(111.1), Some((45.75, 4.85))),
        hail("H9", "2026-02-04T21:00:00", (1, OP_A, APP_1), LYON, Status::DeclinedByCustomer,
             [3, 11, 0, 0, 20], Some(260.2), Some((45.77, 4.86))),
        hail("H8", "2026-02-04T23:30:00", (3, OP_A, APP_2), GRENOBLE, Status::IncidentTaxi,
             [5, 25, 30, 230, 530], None, Some((45.19, 5.73))),
        hail("H10", "2026-03-17T09:00:00", (5, OP_B, APP_1), GRENOBLE, Status::Finished,
             [3, 9, 15, 400, 1300], None, Some((45.18, 5.71))),
    ]
}

/// When the copies were made last.
const COPIED: &str = "2026-03-18T04:10:00";

pub(super) fn at(text: &str) -> Millis {
    instant(text).unwrap()
}

/// The world of the example.
pub(crate) async fn example(backend: Backend) -> Option<World> {
    let world = World::begin_with(backend, at("2021-11-01"), seed).await?;
    let engine = &world.server().app.engine;
    for (taxi, operator, time, (lat, lon)) in POSITIONS {
        let order = Order { received_at: at(&format!("2026-03-18T{time}")), device_at: None };
        let operator = OperatorKey(operator.unsigned_abs());
        let source = SourceKey { taxi: TaxiKey(taxi), operator };
        engine.apply(&[Fix { source, at: LatLon::new(lat, lon).unwrap(), order }]);
    }
    engine.settle();
    Some(world)
}

/// All rows, each at its time.
async fn seed(store: &Store, secret: &SecretKey, clock: &Clock) -> Accounts {
    let mut accounts = BTreeMap::new();
    for (name, roles) in ACCOUNTS {
        let account = add_user(store, secret, (name, &name.to_uppercase()), "", roles).await.unwrap();
        accounts.insert(name.to_owned(), account);
    }
    let changes =
        UserChanges { manager_id: Some(Some(2)), fleet_size: Some(Some(8)), ..UserChanges::default() };
    assert!(store.change_user(Actor::COMMAND_LINE, OP_A, &changes).await.unwrap());
    places(store).await;

    // Whatever happened, in the order in which it did.
    let mut happened: Vec<(Millis, Happened)> = Vec::new();
    happened.extend((1..).zip(TAXIS).map(|(number, taxi)| (at(taxi.3), Happened::Taxi(number, taxi))));
    happened.extend(hails().into_iter().map(|hail| (at(hail.added), Happened::Hail(hail))));
    happened.sort_by_key(|(when, _)| *when);
    for (when, what) in happened {
        clock.advance(when.since(clock.now()));
        match what {
            Happened::Taxi(number, taxi) => register(store, number, taxi).await,
            Happened::Hail(hail) => make(store, &hail).await,
        }
    }
    clock.advance(at("2026-03-18T10:30:00").since(clock.now()));
    for (operator, taxi, status, radius) in DESCRIPTIONS {
        describe(store, operator, taxi, status, radius).await;
    }
    store.save_first_positions(&FIRST_HEARD.map(heard)).await.unwrap();
    for hour in CONNECTED {
        store
            .save_heard_hours(&hour.1.iter().map(|taxi| heard((*taxi, hour.0))).collect::<Vec<_>>())
            .await
            .unwrap();
    }
    store.count_hours(clock.now()).await.unwrap();
    let hashes = TaxiHashes::new(secret);
    let copies: Vec<_> = hails().iter().filter_map(|hail| copy(hail, &hashes)).collect();
    assert_eq!(copies.len(), 9);
    let run = Run { name: "copy_hails", due_at: at(COPIED), holder: "the example".to_owned() };
    assert_eq!(store.take_run(&run).await.unwrap(), Stands::Held);
    // Again, which does no harm.
    for copies in [&copies[..4], &copies[2..], &copies] {
        assert!(store.add_copies(&run, copies).await.unwrap());
    }
    assert!(store.end_run(&run).await.unwrap().is_some());
    accounts
}

enum Happened {
    Taxi(u8, (i32, u8, &'static str, &'static str)),
    Hail(Hailed),
}

async fn places(store: &Store) {
    let town = |insee: &str, west_east, south_north| ShapeRow {
        key: insee.to_owned(),
        name: format!("Town {insee}"),
        shape: rectangle(west_east, south_north).to_string(),
    };
    let towns = [town(LYON, (4.77, 4.90), (45.71, 45.81)), town(GRENOBLE, (5.68, 5.76), (45.15, 45.22))];
    store.import_towns(&towns, |_| {}).await.unwrap();
    let zupc = |id: &str, insee: &[&str]| ZupcRow {
        id: id.to_owned(),
        name: id.to_owned(),
        insee: insee.iter().map(|code| (*code).to_owned()).collect(),
        shape: None,
    };
    store.import_zupc(&[zupc("Z1", &[LYON]), zupc("Z2", &[GRENOBLE, LYON])], |_| {}).await.unwrap();
}

fn public_id(taxi: u8) -> String {
    format!("T{taxi}")
}

async fn register(store: &Store, number: u8, (operator, vehicle, insee, _): (i32, u8, &str, &str)) {
    let plate = format!("V{vehicle}-PLATE");
    let driver = Driver {
        departement: insee[..2].to_owned(),
        professional_licence: format!("licence {number}"),
        first_name: "Ada".to_owned(),
        last_name: format!("Nr {number}"),
        birth_date: None,
    };
    store.put_driver(operator, &driver).await.unwrap();
    store.put_vehicle(operator, &plate, &DescriptionChanges::default()).await.unwrap();
    let ads = Ads {
        insee: insee.to_owned(),
        numero: number.to_string(),
        vehicle_id: None,
        owner_type: None,
        owner_name: String::new(),
        doublage: None,
        category: String::new(),
    };
    store.put_ads(operator, &ads).await.unwrap();
    let parts = TaxiParts {
        ads_numero: ads.numero,
        ads_insee: ads.insee,
        licence_plate: plate,
        driver_licence: driver.professional_licence,
        driver_departement: driver.departement,
    };
    let found = store.find_parts(operator, &parts).await.unwrap();
    let parts = (found.vehicle.unwrap(), found.ads.unwrap(), found.driver.unwrap());
    let (id, ..) = store.put_taxi(operator, parts, &public_id(number)).await.unwrap();
    assert_eq!(id, i32::from(number));
}

async fn describe(store: &Store, operator: i32, taxi: u8, status: &str, radius: Option<i32>) {
    let availability = (Some(status), Some(radius));
    store.set_availability(Actor::COMMAND_LINE, operator, &public_id(taxi), availability).await.unwrap();
}

/// Makes a hail that is still kept; how it went is in its copy.
async fn make(store: &Store, hail: &Hailed) {
    let Some((lat, lon)) = hail.at else { return };
    let here = LatLon::new(lat, lon).unwrap();
    let taxi = u8::try_from(hail.taxi).unwrap();
    describe(store, hail.operator, taxi, "free", None).await;
    let new = NewHail {
        app: hail.app,
        taxi: i32::from(taxi),
        operator: hail.operator,
        shown_taxi_id: public_id(taxi),
        taxi_at: here,
        customer: format!("customer of {}", hail.id),
        customer_at: here,
        address: Some("1 rue X".to_owned()),
        phone_number: "0611111111".to_owned(),
        session: None,
        once: None,
    };
    store.create_hail(Actor::COMMAND_LINE, hail.id, &new, 0).await.unwrap().unwrap();
    let end = |_: &_| Ok::<_, ()>(Step { event: Some(Event::DeclinedByCustomer), ..Step::default() });
    let ended = store.change_hail(Actor::COMMAND_LINE, hail.id, Held::Wait, end).await.unwrap().unwrap();
    assert_eq!(ended.row.status, Status::DeclinedByCustomer);
}

/// What is kept of a hail; None: it is not a day old.
fn copy(hail: &Hailed, hashes: &TaxiHashes) -> Option<HailCopy> {
    let added_at = at(hail.added);
    if added_at >= at(COPIED).plus(-24 * 3_600_000) {
        return None;
    }
    let after = |seconds: Option<i64>| Some(added_at.plus(seconds? * 1_000).0);
    let [taken, accepted, confirmed, on_board, end] = hail.seconds.map(after);
    let times = TIMED.map(|status| match status {
        Status::Received => Some(added_at.0),
        Status::ReceivedByTaxi => taken,
        Status::AcceptedByTaxi => accepted,
        Status::AcceptedByCustomer => confirmed,
        Status::CustomerOnBoard => on_board,
        status => end.filter(|_| status == hail.end),
    });
    let timeout_at = end.filter(|_| hail.end == Status::TimeoutTaxi);
    Some(HailCopy {
        id: hail.id.to_owned(),
        added_at: added_at.0,
        last_update_at: end.unwrap(),
        status: hail.end,
        outcome: Outcome::of(hail.end, Some(added_at.0), timeout_at),
        app_id: hail.app,
        operator_id: hail.operator,
        session_id: String::new(),
        taxi_hash: hashes.hash(TaxiKey(hail.taxi)),
        insee: Some(hail.town.to_owned()),
        distance_m: hail.metres,
        incident_taxi_reason: None,
        incident_customer_reason: None,
        reporting_customer: None,
        reporting_customer_reason: None,
        times,
    })
}
