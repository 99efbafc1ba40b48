//! What is seen of the database: its connections, and what failed.

use ingest::counter::Counter;

use super::{Pool, Store, StoreError};

/// Connections of one pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolUse {
    /// Which pool.
    pub name: &'static str,
    /// Connections that are lent.
    pub used: u32,
    /// Connections that wait to be.
    pub idle: u32,
    /// How many there may be.
    pub limit: u32,
}

/// Statements and transactions that failed since the database was opened, by kind.
#[derive(Debug, Default)]
pub(super) struct Failures {
    conflicts: Counter,
    unavailable: Counter,
    damaged: Counter,
}

impl Failures {
    /// Counts one.
    pub(super) fn count(&self, error: &StoreError) {
        match error {
            StoreError::Conflict(_) => self.conflicts.add(1),
            StoreError::Unavailable(_) => self.unavailable.add(1),
            StoreError::Migration(_) | StoreError::Damaged { .. } => self.damaged.add(1),
        }
    }
}

impl Store {
    /// The connections of each pool, now.
    pub fn pools(&self) -> Vec<PoolUse> {
        match &self.pool {
            Pool::Sqlite { writer, readers, .. } => {
                let used = u32::from(writer.is_held());
                let writer = PoolUse { name: "writer", used, idle: 1 - used, limit: 1 };
                vec![writer, pool_use("readers", readers)]
            }
            Pool::Postgres(pool) => vec![pool_use("postgres", pool)],
        }
    }

    /// Statements and transactions that failed so far, by kind.
    pub fn failures(&self) -> [(&'static str, u64); 3] {
        let Failures { conflicts, unavailable, damaged } = &*self.failures;
        [("conflict", conflicts.get()), ("unavailable", unavailable.get()), ("damaged", damaged.get())]
    }
}

fn pool_use<DB: sqlx::Database>(name: &'static str, pool: &sqlx::Pool<DB>) -> PoolUse {
    let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
    // Two looks at a pool in use need not agree.
    let used = pool.size().saturating_sub(idle);
    PoolUse { name, used, idle, limit: pool.options().get_max_connections() }
}
