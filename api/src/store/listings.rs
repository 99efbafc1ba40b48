//! Pages of what operators registered beside taxis: drivers, vehicles and ADS, the newest first.

use sqlx::postgres::PgRow;
use sqlx::query::QueryAs;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, FromRow};

use super::{Pool, Result, Store, read};

/// What is asked of such a list.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The account that registered it; None: any.
    pub of: Option<i32>,
    /// Columns, and what each begins like: one of several texts, of none anything. The case of letters does not matter.
    pub beginnings: Vec<(&'static str, Vec<String>)>,
}

/// A driver in a list.
#[derive(Clone, Debug, FromRow)]
#[expect(missing_docs, reason = "the columns, named as in the table")]
pub struct ListedDriver {
    pub departement: String,
    pub professional_licence: String,
    pub first_name: String,
    pub last_name: String,
    pub birth_date: Option<String>,
    pub created_at: i64,
    pub operator_id: i32,
    pub operator_email: String,
}

/// What one operator says of a vehicle, in a list.
#[derive(Clone, Debug, FromRow)]
#[expect(missing_docs, reason = "the columns, named as in the tables")]
pub struct ListedVehicle {
    pub licence_plate: String,
    pub constructor: String,
    pub model: String,
    pub color: String,
    pub body_type: Option<String>,
    pub nb_seats: Option<i32>,
    pub status: String,
    pub radius: Option<i32>,
    pub created_at: i64,
    pub operator_email: String,
}

/// An ADS in a list.
#[derive(Clone, Debug, FromRow)]
#[expect(missing_docs, reason = "the columns, named as in the tables")]
pub struct ListedAds {
    pub insee: String,
    pub town: String,
    pub numero: String,
    pub owner_type: Option<String>,
    pub owner_name: String,
    pub licence_plate: Option<String>,
    pub created_at: i64,
    pub operator_email: String,
}

/// A table of what is listed, `r`, and what is shown of it.
struct Source {
    table: &'static str,
    columns: &'static str,
    joined: &'static str,
}

const DRIVERS: Source = Source {
    table: "drivers",
    columns: "r.departement, r.professional_licence, r.first_name, r.last_name, r.birth_date, r.created_at,
        r.operator_id",
    joined: "",
};

const VEHICLES: Source = Source {
    table: "vehicle_descriptions",
    columns: "v.licence_plate, r.constructor, r.model, r.color, r.body_type, r.nb_seats, r.status, r.radius,
        r.created_at",
    joined: "JOIN vehicles v ON v.id = r.vehicle_id",
};

const ADS: Source = Source {
    table: "ads",
    columns: "r.insee, t.name AS town, r.numero, r.owner_type, r.owner_name, v.licence_plate, r.created_at",
    joined: "JOIN towns t ON t.insee = r.insee LEFT JOIN vehicles v ON v.id = r.vehicle_id",
};

impl Store {
    /// A page of drivers, and how many there are in all.
    pub async fn drivers(&self, asked: &Listing, page: (i64, i64)) -> Result<(Vec<ListedDriver>, i64)> {
        self.listed(&DRIVERS, asked, page).await
    }

    /// A page of vehicles as operators describe them, and how many descriptions there are in all.
    pub async fn vehicles(&self, asked: &Listing, page: (i64, i64)) -> Result<(Vec<ListedVehicle>, i64)> {
        self.listed(&VEHICLES, asked, page).await
    }

    /// A page of ADS, and how many there are in all.
    pub async fn ads(&self, asked: &Listing, page: (i64, i64)) -> Result<(Vec<ListedAds>, i64)> {
        self.listed(&ADS, asked, page).await
    }

    async fn listed<R>(
        &self,
        Source { table, columns, joined }: &Source,
        asked: &Listing,
        (limit, offset): (i64, i64),
    ) -> Result<(Vec<R>, i64)>
    where
        R: Send + Unpin + for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow>,
    {
        let (condition, texts) = self.condition(asked);
        let count = format!("SELECT count(*) FROM {table} r WHERE {condition}");
        let (total,): (i64,) = read!(self, db => {
            let query = sqlx::query_as(AssertSqlSafe(count)).persistent(false);
            texts.iter().fold(query, QueryAs::bind).fetch_one(db)
        })?;
        // Numbers rise with time, and nothing is joined to be passed over.
        let page = format!(
            "SELECT {columns}, u.email AS operator_email FROM {table} r {joined} JOIN users u ON u.id = r.operator_id
             WHERE r.id IN
             (SELECT r.id FROM {table} r WHERE {condition} ORDER BY r.id DESC LIMIT {limit} OFFSET {offset})
             ORDER BY r.id DESC"
        );
        let rows = read!(self, db => {
            let query = sqlx::query_as(AssertSqlSafe(page)).persistent(false);
            texts.iter().fold(query, QueryAs::bind).fetch_all(db)
        })?;
        Ok((rows, total))
    }

    /// Which rows are asked for, and the texts that are bound to that.
    fn condition(&self, asked: &Listing) -> (String, Vec<String>) {
        let mut texts = Vec::new();
        // By a text rows are looked through in their order, until a page is full: by an index `SQLite` would look each
        // of an account's up, and sort them.
        let is_by_text = asked.beginnings.iter().any(|(_, wanted)| !wanted.is_empty());
        let column = match self.pool {
            Pool::Sqlite { .. } if is_by_text => "+r.operator_id",
            _ => "r.operator_id",
        };
        let mut conditions: Vec<_> =
            asked.of.map(|account| format!("{column} = {account}")).into_iter().collect();
        for (column, wanted) in asked.beginnings.iter().filter(|(_, wanted)| !wanted.is_empty()) {
            let of_vehicle = *column == "licence_plate";
            let column = if of_vehicle { format!("v.{column}") } else { format!("r.{column}") };
            let either = wanted.iter().flat_map(|text| in_each_case(text)).map(|text| {
                texts.push(text);
                format!("({})", self.begins(&column, texts.len()))
            });
            let either = either.collect::<Vec<_>>().join(" OR ");
            conditions.push(if of_vehicle {
                format!("r.vehicle_id IN (SELECT v.id FROM vehicles v WHERE {either})")
            } else {
                format!("({either})")
            });
        }
        (if conditions.is_empty() { "1 = 1".to_owned() } else { conditions.join(" AND ") }, texts)
    }
}

/// A text as it may be written. `lower` of SQLite knows ASCII alone: of other letters names are found that have them as
/// they are asked for, all small, all large, or the first one large.
fn in_each_case(text: &str) -> Vec<String> {
    let (small, large) = (text.to_lowercase(), text.to_uppercase());
    let mut letters = small.chars();
    let title = letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default();
    let mut cases = [text.to_owned(), small, large, title].map(|case| case.to_ascii_lowercase()).to_vec();
    cases.sort_unstable();
    cases.dedup();
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_beyond_ascii_are_asked_for_in_each_case() {
        assert_eq!(in_each_case("Durand"), ["durand"]);
        assert_eq!(in_each_case("élodé"), ["ÉlodÉ", "Élodé", "élodé"]);
        assert_eq!(in_each_case(""), [""]);
    }
}
