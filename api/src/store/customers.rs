//! Customers of search apps: when they are banned, and when they are spared.

use sqlx::FromRow;

use super::{Result, Store, write};

/// A customer as stored, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, FromRow)]
pub struct CustomerRow {
    /// When the ban begins.
    pub ban_begin: Option<i64>,
    /// When it ends.
    pub ban_end: Option<i64>,
    /// From when on the customer is spared.
    pub reprieve_begin: Option<i64>,
    /// Until when.
    pub reprieve_end: Option<i64>,
}

/// Changes to a customer: what is absent stays; an inner None clears it.
#[derive(Clone, Copy, Debug, Default)]
pub struct CustomerChanges {
    /// When the ban begins.
    pub ban_begin: Option<Option<i64>>,
    /// When it ends.
    pub ban_end: Option<Option<i64>>,
    /// From when on the customer is spared.
    pub reprieve_begin: Option<Option<i64>>,
    /// Until when.
    pub reprieve_end: Option<Option<i64>>,
}

impl Store {
    /// Changes a customer of an app, and gives what they are then. None: the app has no such customer.
    pub async fn change_customer(
        &self,
        app: i32,
        customer: &str,
        changes: CustomerChanges,
    ) -> Result<Option<CustomerRow>> {
        let now = self.now_ms();
        let CustomerChanges { ban_begin, ban_end, reprieve_begin, reprieve_end } = changes;
        write!(self, tx => {
            let query = sqlx::query_as(
                "UPDATE customers SET updated_at = $3, ban_begin = CASE WHEN $4 THEN $5 ELSE ban_begin END,
                 ban_end = CASE WHEN $6 THEN $7 ELSE ban_end END,
                 reprieve_begin = CASE WHEN $8 THEN $9 ELSE reprieve_begin END,
                 reprieve_end = CASE WHEN $10 THEN $11 ELSE reprieve_end END
                 WHERE app_id = $1 AND id = $2 RETURNING ban_begin, ban_end, reprieve_begin, reprieve_end",
            );
            let changes = [ban_begin, ban_end, reprieve_begin, reprieve_end];
            let query = query.bind(app).bind(customer).bind(now);
            let query = changes.into_iter().fold(query, |query, change| {
                query.bind(change.is_some()).bind(change.flatten())
            });
            query.fetch_optional(&mut **tx).await?
        })
    }
}
