//! What `--json` prints.

use serde::Serialize;

/// Prints a value as one line of JSON.
pub(super) fn print(value: &impl Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(value)?);
    Ok(())
}
