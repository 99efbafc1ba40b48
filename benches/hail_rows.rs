//! Hails of a year that were brought to an end, written straight to the database: by themselves they would take a year.

use api::store::DatabaseUrl;
use api::store::hails::tracks::SLOT_MS;

use crate::rows::{Connection, Row};

/// Hails of one statement.
const BATCH: usize = 200;
const DAY_MS: i64 = 86_400_000;
/// Each status of a hail that ended well, and how many seconds after its beginning it came.
const STEPS: [(&str, i64); 7] = [
    ("received", 0),
    ("sent_to_operator", 1),
    ("received_by_operator", 1),
    ("received_by_taxi", 2),
    ("accepted_by_taxi", 9),
    ("accepted_by_customer", 17),
    ("customer_on_board", 300),
];
/// What it ends with.
const END: (&str, i64) = ("finished", 1_200);
/// Positions of a track, spread over its hail, and how far north of each the next one is, in 1e-7 degrees.
const TRACK: (i64, i64) = (60, 2_000);

/// Writes so many hails of each of the last 365 days, by one app, of taxis in turn: their sessions, transitions and one
/// call each, and where the taxi of the last one was meanwhile. Taxis are those of [`crate::rows::write`].
pub async fn write(
    database: &DatabaseUrl,
    (operator, app): (i32, i32),
    rows: &[Row],
    (a_day, now_ms): (usize, i64),
) -> anyhow::Result<usize> {
    let mut connection = Connection::open(database).await?;
    let customer = format!("({app}, 'ann', 1, 1)");
    let into = "customers (app_id, id, created_at, updated_at)";
    connection.execute(format!("INSERT INTO {into} VALUES {customer}")).await?;
    let (all, apart_ms) = (365 * a_day, DAY_MS / i64::try_from(a_day.max(1))?);
    // The last one ended an hour ago.
    let begin_ms = now_ms - i64::try_from(all)? * apart_ms - 3_600_000;
    let numbers: Vec<usize> = (0..all).collect();
    for batch in numbers.chunks(BATCH) {
        let mut insert = async |into: &str, row: &dyn Fn(usize, i64) -> String| {
            let values = batch
                .iter()
                .map(|&number| row(number, begin_ms + i64::try_from(number).unwrap_or(i64::MAX) * apart_ms));
            let values: Vec<_> = values.collect();
            connection.execute(format!("INSERT INTO {into} VALUES {}", values.join(", "))).await
        };
        insert("hail_sessions (id, app_id, customer_id, created_at)", &|number, at| {
            format!("('s{number:07}', {app}, 'ann', {at})")
        })
        .await?;
        let into =
            "hails (id, session_id, app_id, operator_id, taxi_id, description_id, shown_taxi_id, taxi_lat_e7,
                    taxi_lon_e7, customer_id, customer_lat_e7, customer_lon_e7, customer_address,
                    customer_phone_number, status, status_at, transitions, created_at, updated_at)";
        insert(into, &|number, at| {
            let (taxi, end) = (number % rows.len(), at + END.1 * 1_000);
            let (lat_e7, lon_e7) = (rows[taxi].place.lat * 1e7, rows[taxi].place.lon * 1e7);
            format!(
                "('h{number:07}', 's{number:07}', {app}, {operator}, {row}, {row}, '{id}', {lat_e7:.0}, {lon_e7:.0},
                  'ann', {lat_e7:.0}, {lon_e7:.0}, '1 rue', '06', '{status}', {end}, {transitions}, {at}, {end})",
                row = taxi + 1,
                id = rows[taxi].id,
                status = END.0,
                transitions = STEPS.len() + 1,
            )
        })
        .await?;
        let into =
            "hail_transitions (hail_id, number, at, from_status, to_status, user_id, app_id, operator_id,
                    event_id)";
        insert(into, &|number, at| {
            let all = STEPS.iter().chain([&END]).enumerate();
            let each = all.map(|(step, (status, after_s))| {
                let from = step.checked_sub(1).map_or("NULL".to_owned(), |before| format!("'{}'", STEPS[before].0));
                let (at, event) = (at + after_s * 1_000, number * (STEPS.len() + 1) + step + 1);
                format!(
                    "('h{number:07}', {step}, {at}, {from}, '{status}', {operator}, {app}, {operator}, {event})"
                )
            });
            each.collect::<Vec<_>>().join(", ")
        })
        .await?;
        insert("hail_calls (hail_id, at, took_ms, outcome)", &|number, at| {
            format!("('h{number:07}', {at}, 120, 'called')")
        })
        .await?;
    }
    if let Some(number) = all.checked_sub(1) {
        let at = begin_ms + i64::try_from(number)? * apart_ms;
        connection.execute(track(number, at, &rows[number % rows.len()])).await?;
    }
    let last = all * (STEPS.len() + 1);
    connection.execute(format!("UPDATE event_numbers SET last = {last}")).await?;
    connection.end().await?;
    Ok(all)
}

/// The statement that adds the track of a hail that began then.
fn track(number: usize, began_ms: i64, taxi: &Row) -> String {
    let (positions, north_e7) = TRACK;
    let (lat_e7, lon_e7) = (taxi.place.lat * 1e7, taxi.place.lon * 1e7);
    let sights = (0..positions).map(|i| {
        let at = began_ms + i * END.1 * 1_000 / positions;
        let slot = at.div_euclid(SLOT_MS);
        format!("('h{number:07}', {slot}, {at}, {lat_e7:.0} + {}, {lon_e7:.0})", i * north_e7)
    });
    let sights: Vec<_> = sights.collect();
    format!("INSERT INTO hail_positions (hail_id, slot, at, lat_e7, lon_e7) VALUES {}", sights.join(", "))
}
