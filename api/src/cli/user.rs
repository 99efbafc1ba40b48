//! `maraude user`: accounts, by whoever runs the machine.

use std::io::Read as _;
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use clap::Subcommand;
use ingest::clock::Clock;
use serde_json::{Value, json};

use super::json;
use crate::activity::Actor;
use crate::config::Config;
use crate::registry::accounts::{Account, Accounts, Unmanageable};
use crate::registry::{Registry, add_user, rotate_key};
use crate::role::Role;
use crate::routes::users::PASSWORD_MIN;
use crate::secrets::{SecretKey, hash_password};
use crate::serve::open_store;
use crate::store::users::UserChanges;
use crate::store::{Store, StoreError};

/// What is done with accounts.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Add an account; prints its API key.
    Add {
        /// Its fixed name: what datagrams and X-Logas call it.
        email: String,
        /// What it may do: admin, moteur (search app), operateur, groupement, editeur, departement, mairie,
        /// prefecture, analyste. May be repeated.
        #[arg(long = "role")]
        roles: Vec<Role>,
        /// Its password; without one, it cannot log in by password.
        #[arg(long)]
        password: Option<String>,
        /// Its commercial name; at first its email.
        #[arg(long)]
        name: Option<String>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// List accounts.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show an account.
    Show {
        /// Which one.
        email: String,
        /// With its API key.
        #[arg(long)]
        with_key: bool,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Give an account another password, from --password or the standard input.
    SetPassword {
        /// Which one.
        email: String,
        /// The password; without it, one line is read from the standard input.
        #[arg(long)]
        password: Option<String>,
    },
    /// Give an account a fresh API key; a running server refuses the old one within 2 s.
    RotateKey {
        /// Which one.
        email: String,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Say who manages an account.
    SetManager {
        /// Which one.
        email: String,
        /// Its manager; without one, nobody.
        manager: Option<String>,
    },
    /// Say how many taxis a group has, of which the statistics tell how many are registered.
    SetFleetSize {
        /// Which one.
        email: String,
        /// How many; without it, nobody knows.
        #[arg(value_parser = clap::value_parser!(i32).range(0..))]
        taxis: Option<i32>,
    },
    /// Remove an account that nothing was registered by.
    Remove {
        /// Which one.
        email: String,
    },
}

/// Does what is asked.
pub(super) async fn run(command: &Command, config: &Config, clock: Clock) -> anyhow::Result<()> {
    let (store, secret) = open_store(config, clock).await?;
    let outcome = dispatch(command, &store, &secret).await;
    store.close().await;
    outcome
}

async fn dispatch(command: &Command, store: &Store, secret: &SecretKey) -> anyhow::Result<()> {
    match command {
        Command::Add { email, roles, password, name, json } => {
            ensure!(!email.trim().is_empty(), "an account needs an email");
            let hash = password.as_deref().map(checked_hash).transpose()?.unwrap_or_default();
            let name = name.as_deref().unwrap_or(email);
            let added = add_user(store, secret, (email, name), &hash, roles).await;
            let (id, key) = match added {
                Err(StoreError::Conflict(_)) => bail!("there is an account {email} already"),
                other => other?,
            };
            print_key(*json, id, email, &key)
        }
        Command::List { json } => {
            let accounts = accounts(store, secret).await?;
            list(*json, &accounts)
        }
        Command::Show { email, with_key, json } => {
            let accounts = accounts(store, secret).await?;
            show(*json, *with_key, &accounts, find(&accounts, email)?)
        }
        Command::SetPassword { email, password } => {
            let id = find(&accounts(store, secret).await?, email)?.id;
            let password_hash = Some(match password {
                Some(password) => checked_hash(password)?,
                None => checked_hash(&read_password()?)?,
            });
            store
                .change_user(
                    Actor::COMMAND_LINE,
                    id,
                    &UserChanges { password_hash, ..UserChanges::default() },
                )
                .await?;
            println!("{email} has another password");
            Ok(())
        }
        Command::RotateKey { email, json } => {
            let id = find(&accounts(store, secret).await?, email)?.id;
            let key = rotate_key(store, secret, (id, email)).await?;
            print_key(*json, id, email, &key)
        }
        Command::SetManager { email, manager } => {
            let accounts = accounts(store, secret).await?;
            let by = manager.as_deref().map(|manager| find(&accounts, manager)).transpose()?;
            let account = find(&accounts, email)?;
            let (id, manager_id) = (account.id, by.map(|by| by.id));
            match by.map_or(Ok(()), |by| by.may_manage(Some(id), &account.roles)) {
                Ok(()) => {}
                Err(Unmanageable::ByItself) => bail!("{email} cannot manage itself"),
                Err(Unmanageable::ByNoAdministrator) => {
                    bail!("{email} is an administrator: only another one can manage it")
                }
            }
            store
                .change_user(
                    Actor::COMMAND_LINE,
                    id,
                    &UserChanges { manager_id: Some(manager_id), ..UserChanges::default() },
                )
                .await?;
            println!("{email} is managed by {}", manager.as_deref().unwrap_or("nobody"));
            Ok(())
        }
        Command::SetFleetSize { email, taxis } => {
            let id = find(&accounts(store, secret).await?, email)?.id;
            let changes = UserChanges { fleet_size: Some(*taxis), ..UserChanges::default() };
            store.change_user(Actor::COMMAND_LINE, id, &changes).await?;
            match taxis {
                Some(taxis) => println!("{email} says that it has {taxis} taxis"),
                None => println!("{email} does not say how many taxis it has"),
            }
            Ok(())
        }
        Command::Remove { email } => {
            let id = find(&accounts(store, secret).await?, email)?.id;
            match store.remove_user(id).await {
                Err(StoreError::Conflict(_)) => {
                    bail!("{email} stays: drivers, vehicles, ADS, taxis or other accounts refer to it")
                }
                other => other?,
            };
            println!("{email} is removed");
            Ok(())
        }
    }
}

/// The accounts as a server would read them.
async fn accounts(store: &Store, secret: &SecretKey) -> anyhow::Result<Accounts> {
    Ok(Registry::accounts_of(store, secret).await?)
}

fn find<'a>(accounts: &'a Accounts, email: &str) -> anyhow::Result<&'a Arc<Account>> {
    accounts.email(email).with_context(|| format!("there is no account {email}; see maraude user list"))
}

fn checked_hash(password: &str) -> anyhow::Result<String> {
    ensure!(password.chars().count() >= PASSWORD_MIN, "a password has {PASSWORD_MIN} characters at least");
    Ok(hash_password(password)?)
}

fn read_password() -> anyhow::Result<String> {
    let mut text = String::new();
    std::io::stdin()
        .take(4096)
        .read_to_string(&mut text)
        .context("reading the password from the standard input")?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn print_key(as_json: bool, id: i32, email: &str, key: &str) -> anyhow::Result<()> {
    if as_json {
        json::print(&json!({"id": id, "email": email, "apikey": key}))
    } else {
        println!("{email} has number {id} and the API key {key}");
        Ok(())
    }
}

fn list(as_json: bool, accounts: &Accounts) -> anyhow::Result<()> {
    if as_json {
        let rows: Vec<_> = accounts.all().into_iter().map(|account| described(accounts, account)).collect();
        return json::print(&rows);
    }
    for account in accounts.all() {
        let roles: Vec<_> = account.roles.iter().map(|role| role.as_str()).collect();
        println!("{:>6}  {:<32} {:<28} {}", account.id, account.email, roles.join(", "), account.name);
    }
    Ok(())
}

fn show(as_json: bool, with_key: bool, accounts: &Accounts, account: &Account) -> anyhow::Result<()> {
    let mut described = described(accounts, account);
    if with_key {
        described["apikey"] = json!(account.api_key());
    }
    if as_json {
        return json::print(&described);
    }
    for (field, value) in described.as_object().into_iter().flatten() {
        println!("{field:<28} {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    Ok(())
}

fn described(accounts: &Accounts, account: &Account) -> Value {
    let roles: Vec<_> = account.roles.iter().map(|role| role.as_str()).collect();
    let manager = account.manager_id.and_then(|id| accounts.id(id)).map(|manager| manager.email.as_str());
    json!({
        "id": account.id, "email": account.email, "name": account.name, "roles": roles, "manager": manager,
        "fleet_size": account.fleet_size,
        "email_customer": account.email_customer, "email_technical": account.email_technical,
        "phone_number_customer": account.phone_number_customer,
        "phone_number_technical": account.phone_number_technical,
        "hail_endpoint_production": account.hail_endpoint_production,
    })
}
