//! What the database has to say in the end.

use std::collections::{BTreeMap, BTreeSet};

use api::hail::{Event, Status, next};
use ingest::clock::Clock;
use sqlx::{Connection as _, PgConnection, SqliteConnection};

use crate::Told;

/// A hail, with its transitions in order.
#[derive(Debug)]
pub(crate) struct Hail {
    id: String,
    customer: String,
    status: Status,
    transitions: usize,
    deadline_at: Option<i64>,
    steps: Vec<(i32, Option<Status>, Status)>,
}

/// All rows of a query, on whichever database it is.
macro_rules! rows {
    ($url:expr, $sql:literal) => {
        if $url.starts_with("sqlite:") {
            let mut connection = SqliteConnection::connect($url).await.unwrap();
            sqlx::query_as($sql).fetch_all(&mut connection).await.unwrap()
        } else {
            let mut connection = PgConnection::connect($url).await.unwrap();
            sqlx::query_as($sql).fetch_all(&mut connection).await.unwrap()
        }
    };
}

fn status(name: &str) -> Status {
    Status::try_from(name.to_owned()).unwrap()
}

/// Every hail.
pub(crate) async fn hails(url: &str) -> BTreeMap<String, Hail> {
    let rows: Vec<(String, String, String, i32, Option<i64>)> =
        rows!(url, "SELECT id, customer_id, status, transitions, deadline_at FROM hails");
    let mut hails: BTreeMap<_, _> = rows
        .into_iter()
        .map(|(id, customer, name, transitions, deadline_at)| {
            let transitions = usize::try_from(transitions).unwrap();
            let status = status(&name);
            (id.clone(), Hail { id, customer, status, transitions, deadline_at, steps: Vec::new() })
        })
        .collect();
    let rows: Vec<(String, i32, Option<String>, String)> = rows!(
        url,
        "SELECT hail_id, number, from_status, to_status FROM hail_transitions ORDER BY hail_id, number"
    );
    for (id, number, from, to) in rows {
        let step = (number, from.as_deref().map(status), status(&to));
        hails.get_mut(&id).unwrap().steps.push(step);
    }
    hails
}

/// Every hail went a way that it may go, step by step, and is where that leads; it is over, or has time; its operator
/// was called, or it failed; all that clients were told is so.
pub(crate) fn settle(hails: &BTreeMap<String, Hail>, told: &Told, called: &BTreeSet<String>) {
    let now = Clock::System.now().0;
    let mut customers = BTreeSet::new();
    for hail in hails.values() {
        assert!(customers.insert(&hail.customer), "asked for once, made twice: {hail:?}");
        assert_eq!(hail.steps.len(), hail.transitions, "{hail:?}");
        assert_eq!(hail.steps[0], (0, None, Status::Received), "{hail:?}");
        for (step, number) in hail.steps.windows(2).zip(1..) {
            let (before, after) = (step[0], step[1]);
            assert_eq!((after.0, after.1), (number, Some(before.2)), "{hail:?}");
            let leads = Event::ALL.into_iter().any(|event| next(before.2, event) == Some(after.2));
            assert!(leads, "{hail:?}");
        }
        assert_eq!(hail.steps.last().unwrap().2, hail.status, "{hail:?}");
        assert_eq!(hail.deadline_at.is_none(), hail.status.is_end(), "{hail:?}");
        let has_time = hail.deadline_at.is_none_or(|at| at + 2_000 > now);
        assert!(has_time, "overdue: {hail:?}");
        let was_taken = hail.steps.iter().any(|step| step.2 == Status::ReceivedByOperator);
        assert!(
            !was_taken || called.contains(&hail.id),
            "taken by an operator that was not called: {hail:?}"
        );
        let failed = hail.status == Status::Failure || hail.status == Status::DeclinedByCustomer;
        assert!(called.contains(&hail.id) || failed || !hail.status.is_end(), "never called: {hail:?}");
    }
    for id in called {
        assert!(hails.contains_key(id), "an operator was called for nothing: {id}");
    }
    for (customer, id) in &told.made {
        assert_eq!(hails.get(id).map(|hail| &hail.customer), Some(customer), "acknowledged and lost: {id}");
    }
    for (id, to) in &told.moved {
        let times = hails[id].steps.iter().filter(|step| step.2 == status(to)).count();
        assert_eq!(times, 1, "acknowledged: {to}: {:?}", hails[id]);
    }
}

/// No taxi answers or comes without a hail that is under way.
pub(crate) async fn assert_taxis_follow(url: &str, hails: &BTreeMap<String, Hail>) {
    let rows: Vec<(i32, String, Option<String>)> =
        rows!(url, "SELECT id, status, hail_id FROM vehicle_descriptions");
    for (id, taxi, hail) in rows {
        let hail = hail.and_then(|hail| hails.get(&hail));
        let is_held = hail.is_some_and(|hail| !hail.status.is_end());
        let is_bound = taxi == "answering" || taxi == "oncoming";
        assert!(is_held || !is_bound, "description {id} is {taxi}: {hail:?}");
        assert!(!is_held || is_bound || taxi == "occupied", "description {id} is {taxi}: {hail:?}");
    }
}
