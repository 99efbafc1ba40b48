//! Writes that go to the database together: one way there and back, instead of one each while rows are locked and, on
//! `SQLite`, every other writer waits.

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, SqliteConnection};

use super::Result;
use super::changes::{CHANNEL, Change};

/// A parameter of a statement.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(Option<String>),
    Int(Option<i32>),
    Long(Option<i64>),
    Real(Option<f64>),
    Flag(Option<bool>),
    Bytes(Option<Vec<u8>>),
}

macro_rules! value {
    ($($from:ty => $variant:ident),*) => {$(
        impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Self::$variant(Some(value.into()))
            }
        }

        impl From<Option<$from>> for Value {
            fn from(value: Option<$from>) -> Self {
                Self::$variant(value.map(Into::into))
            }
        }
    )*};
}

value!(&str => Text, &String => Text, String => Text, i32 => Int, i64 => Long, f64 => Real, bool => Flag,
    Vec<u8> => Bytes);

/// Statements that write, in no order that matters. None sees what another one of the same batch writes, and no two
/// write the same row: `PostgreSQL` runs them as one statement. References between their rows are checked at its end.
#[derive(Debug, Default)]
pub(super) struct Batch {
    statements: Vec<String>,
    values: Vec<Value>,
    changes: Vec<Change>,
}

impl Batch {
    /// Adds a statement that returns no rows, with parameters of its own, from `$1` on.
    pub(super) fn add(&mut self, sql: &str, values: impl IntoIterator<Item = Value>) {
        self.statements.push(renumbered(sql, self.values.len()));
        self.values.extend(values);
    }

    /// Tells the other processes of a change when the transaction commits. `SQLite`'s tell by themselves.
    pub(super) fn announce(&mut self, change: Change) {
        self.changes.push(change);
    }
}

/// The statement with its parameters numbered from after the first `before`.
fn renumbered(sql: &str, before: usize) -> String {
    let mut parts = sql.split('$');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = part.split_at(digits);
        let number: usize = number.parse().unwrap_or(0);
        text + &format!("${}{rest}", before + number)
    })
}

/// Runs a batch in a transaction under way.
pub(super) trait Run {
    /// Runs all of it, or fails; the transaction is then to be given up.
    async fn run(&mut self, batch: Batch) -> Result<()>;
}

macro_rules! bound {
    ($sql:expr, $values:expr) => {
        $values.into_iter().fold(sqlx::query(AssertSqlSafe($sql)), |query, value| match value {
            Value::Text(text) => query.bind(text),
            Value::Int(number) => query.bind(number),
            Value::Long(number) => query.bind(number),
            Value::Real(number) => query.bind(number),
            Value::Flag(flag) => query.bind(flag),
            Value::Bytes(bytes) => query.bind(bytes),
        })
    };
}

impl Run for SqliteConnection {
    async fn run(&mut self, batch: Batch) -> Result<()> {
        if !batch.statements.is_empty() {
            bound!(batch.statements.join(";\n"), batch.values).execute(self).await?;
        }
        Ok(())
    }
}

impl Run for PgConnection {
    async fn run(&mut self, mut batch: Batch) -> Result<()> {
        if batch.statements.is_empty() && batch.changes.is_empty() {
            return Ok(());
        }
        let statements = batch.statements.iter().enumerate();
        let statements: Vec<_> =
            statements.map(|(number, statement)| format!("s{number} AS ({statement})")).collect();
        let with = if statements.is_empty() { "" } else { "WITH " };
        // One that only reads is run where its rows are asked for: at the end.
        let mut told = Vec::new();
        for change in &batch.changes {
            let next = batch.values.len() + 1;
            told.push(format!("pg_notify(${next}, ${})", next + 1));
            batch.values.extend([CHANNEL.into(), change.to_string().into()]);
        }
        let told = if told.is_empty() { "1".to_owned() } else { told.join(", ") };
        bound!(format!("{with}{}\nSELECT {told}", statements.join(",\n")), batch.values)
            .execute(self)
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_statement_keeps_its_parameters() {
        let mut batch = Batch::default();
        batch.add("UPDATE t SET a = $2 WHERE b = $1 OR c = $2", [1.into(), "x".into()]);
        batch.add("DELETE FROM t WHERE d = $1", [None::<i64>.into()]);
        assert_eq!(
            batch.statements,
            ["UPDATE t SET a = $2 WHERE b = $1 OR c = $2", "DELETE FROM t WHERE d = $3"]
        );
        assert_eq!(batch.values.len(), 3);
    }
}
