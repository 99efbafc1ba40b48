//! The columns of archived rows, as they stand in Parquet. Those of positions are in [`crate::positions`].
//!
//! | searches     | type                      | meaning                                                          |
//! |--------------|---------------------------|------------------------------------------------------------------|
//! | `at`         | timestamp(ms, UTC)        | when                                                             |
//! | `caller`     | i32                       | number of the account that searched                              |
//! | `lat_e7`     | i32, null                 | where the customer stood, WGS 84, in 1e-7 degrees; null once     |
//! | `lon_e7`     |                           | blurred                                                          |
//! | `town`       | dictionary of utf8, null  | INSEE code of that town                                          |
//! | `found`      | u16                       | taxis within 1,000 m that pass every rule but their own radius   |
//! | `seen`       | u16                       | those of them that were in the answer                            |
//! | `closest_m`  | f64, null                 | metres to the nearest of them                                    |
//! | `cell`, `partition`, `offset`, `row` | | as of positions                                                  |
//!
//! | hails        | type                      | meaning                                                          |
//! |--------------|---------------------------|------------------------------------------------------------------|
//! | `id`         | utf8                      | the hail's id                                                    |
//! | `added_at`   | timestamp(ms, UTC)        | when the customer hailed                                         |
//! | `status`     | dictionary of utf8        | how it ended                                                     |
//! | `operator`   | i32                       | number of the account whose taxi was hailed                      |
//! | `app`        | i32                       | number of the account through which                              |
//! | `taxi`       | u32, null                 | the registry's number of the taxi; null: the hail was deleted    |
//! |              |                           | before it was archived                                           |
//! | `town`       | dictionary of utf8, null  | INSEE code of the customer's town                                |
//! | `distance_m` | f64, null                 | metres between customer and taxi when it was hailed              |
//! | [`STEPS`]    | timestamp(ms, UTC), null  | when the hail came into each status; null: it did not            |

use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::layout::Stream;
use crate::positions;

/// The statuses of hails whose times are archived, each in a column of that name and `_at`.
pub const STEPS: [&str; 15] = [
    "received",
    "sent_to_operator",
    "received_by_operator",
    "received_by_taxi",
    "accepted_by_taxi",
    "accepted_by_customer",
    "customer_on_board",
    "finished",
    "failure",
    "declined_by_taxi",
    "incident_taxi",
    "timeout_taxi",
    "declined_by_customer",
    "incident_customer",
    "timeout_customer",
];

/// The columns of a stream's files.
pub fn of(stream: Stream) -> SchemaRef {
    match stream {
        Stream::Positions => positions::schema(),
        Stream::Searches => SEARCHES.clone(),
        Stream::Hails => HAILS.clone(),
    }
}

/// The column by whose time a stream's rows fall into a day.
pub fn time_of(stream: Stream) -> &'static str {
    match stream {
        Stream::Positions => "received_at",
        Stream::Searches => "at",
        Stream::Hails => "added_at",
    }
}

/// The type of moments.
pub fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

/// The type of texts of which a file has few.
pub fn word() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

static SEARCHES: LazyLock<SchemaRef> = LazyLock::new(|| {
    let fields = [
        Field::new("at", instant(), false),
        Field::new("caller", DataType::Int32, false),
        Field::new("lat_e7", DataType::Int32, true),
        Field::new("lon_e7", DataType::Int32, true),
        Field::new("town", word(), true),
        Field::new("found", DataType::UInt16, false),
        Field::new("seen", DataType::UInt16, false),
        Field::new("closest_m", DataType::Float64, true),
    ];
    Arc::new(Schema::new(fields.into_iter().chain(place()).collect::<Vec<_>>()))
});

static HAILS: LazyLock<SchemaRef> = LazyLock::new(|| {
    let fields = [
        Field::new("id", DataType::Utf8, false),
        Field::new("added_at", instant(), false),
        Field::new("status", word(), false),
        Field::new("operator", DataType::Int32, false),
        Field::new("app", DataType::Int32, false),
        Field::new("taxi", DataType::UInt32, true),
        Field::new("town", word(), true),
        Field::new("distance_m", DataType::Float64, true),
    ];
    let steps = STEPS.map(|status| Field::new(format!("{status}_at"), instant(), true));
    Arc::new(Schema::new(fields.into_iter().chain(steps).collect::<Vec<_>>()))
});

/// Where a row lies: on the map, coarsely, and in the log.
fn place() -> [Field; 4] {
    [
        Field::new("cell", DataType::UInt64, true),
        Field::new("partition", DataType::UInt16, false),
        Field::new("offset", DataType::UInt64, false),
        Field::new("row", DataType::UInt32, false),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stream_has_a_time() {
        for stream in Stream::ALL {
            let schema = of(stream);
            let field = schema.field_with_name(time_of(stream)).unwrap();
            assert_eq!((field.data_type(), field.is_nullable()), (&instant(), false), "{stream}");
        }
    }
}
