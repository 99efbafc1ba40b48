//! Plays a search app, to see what an operator does.

use std::collections::BTreeMap;

use engine::engine::FRESH_MS;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::observed::{Datagrams, Hail, Observed, Repeat, Sight, Tried};
use super::run::{Answer, Request, Result, Run, RunError, mark};
use super::{Side, Trial};
use crate::hail::Status;
use crate::visibility::Condition;

/// Watches a taxi of the operator and hails it, once for each trial. It is named: the first that is free has a driver
/// at work.
pub async fn observe(run: &Run<'_>, taxi: &str) -> Result<Observed> {
    let account = run.account().await?;
    let before = datagrams(run).await?;
    let is_ready = run.until(async || Ok(look(run, taxi).await?.1.then_some(()))).await?;
    is_ready.ok_or_else(|| RunError::NoTaxi(taxi.to_owned()))?;
    let mut observed = Observed { account, taxi: taxi.to_owned(), ..Observed::default() };
    (run.tell)(format!("Taxi {} : laissez-le libre, et ses positions venir.", observed.taxi));
    watch(run, &mut observed).await?;
    let name = format!("recette-{}-{}", mark(&observed.account), run.clock.now().seconds());
    for trial in Side::Operator.trials() {
        let tried = attempt(run, &observed.taxi, &name, *trial).await?;
        let is_over = tried.hail.is_none();
        observed.tried.push(tried);
        if is_over {
            break;
        }
    }
    observed.datagrams = datagrams(run).await?.zip(before).map(|(now, before)| since(&now, &before));
    Ok(observed)
}

/// What came of the operator's datagrams; None: the server takes none.
async fn datagrams(run: &Run<'_>) -> Result<Option<Datagrams>> {
    let path = "/operators/me/positions";
    let request = Request { method: Method::GET, path, element: None };
    let answer = run.ask(&run.partner, request).await?;
    if answer.status == 404 {
        return Ok(None);
    }
    let counts = answer.element(path)?;
    let by_name = |field: &str| {
        let counts = counts[field].as_object().into_iter().flatten();
        counts.map(|(name, count)| (name.clone(), count.as_u64().unwrap_or_default())).collect()
    };
    Ok(Some(Datagrams {
        accepted: counts["accepted"].as_u64().unwrap_or_default(),
        compact: counts["compact"].as_u64().unwrap_or_default(),
        refused: by_name("refused"),
        ages: by_name("ages"),
    }))
}

/// What is new. A server that was started in between counts from nothing.
fn since(now: &Datagrams, before: &Datagrams) -> Datagrams {
    let more = |now: &BTreeMap<String, u64>, before: &BTreeMap<String, u64>| {
        let new = |(name, count): (&String, &u64)| {
            let more = count.saturating_sub(before.get(name).copied().unwrap_or_default());
            (more > 0).then(|| (name.clone(), more))
        };
        now.iter().filter_map(new).collect()
    };
    Datagrams {
        accepted: now.accepted.saturating_sub(before.accepted),
        compact: now.compact.saturating_sub(before.compact),
        refused: more(&now.refused, &before.refused),
        ages: more(&now.ages, &before.ages),
    }
}

async fn look(run: &Run<'_>, taxi: &str) -> Result<(Value, bool)> {
    let shown = run.get(&run.partner, &format!("/taxis/{taxi}")).await?;
    let age_s = shown["last_update"].as_i64().map(|heard_s| run.clock.now().seconds() - heard_s);
    let is_ready = shown["status"] == "free" && age_s.is_some_and(|age_s| age_s < FRESH_MS / 1_000);
    Ok((shown, is_ready))
}

/// Whether a hail may ring another operator's driver: one who says, too, that the vehicle is free, and is heard. Which
/// one a hail goes to is decided by who was heard last, and cannot be asked for.
async fn has_rival(run: &Run<'_>, shown: &Value) -> Result<bool> {
    let (id, at) = (shown["id"].as_str().unwrap_or_default(), &shown["position"]);
    let path = format!("/taxis/{id}/visibility?lon={}&lat={}", at["lon"], at["lat"]);
    let told = run.get(&run.partner, &path).await?;
    let heard_last = |check: &&Value| check["name"] == Condition::HeardLast.name();
    let check = told["checks"].as_array().and_then(|checks| checks.iter().find(heard_last));
    Ok(check.is_some_and(|check| !check["needed"]["received_after"].is_null()))
}

/// Looks until there are enough positions to tell how often they come.
async fn watch(run: &Run<'_>, observed: &mut Observed) -> Result<()> {
    let deadline = Instant::now() + run.pace.watch;
    let (mut heard, mut last) = (0, None);
    while heard < run.pace.positions && Instant::now() < deadline {
        let asked_s = run.clock.now().seconds();
        let (shown, _) = look(run, &observed.taxi).await?;
        let heard_s = shown["last_update"].as_i64();
        heard += usize::from(heard_s != last);
        last = heard_s;
        let status = shown["status"].as_str().unwrap_or_default().to_owned();
        observed.sights.push(Sight { asked_s, at_s: run.clock.now().seconds(), heard_s, status });
        run.pause().await?;
    }
    Ok(())
}

/// One hail, as far as it goes. Whatever comes of it, the taxi is not left with a customer whom nobody drives, and no
/// customer is left banned.
async fn attempt(run: &Run<'_>, taxi: &str, name: &str, trial: Trial) -> Result<Tried> {
    run.announce(trial);
    let mut tried = Tried::new(trial);
    let made = run.until(async || {
        let (shown, is_ready) = look(run, taxi).await?;
        if !is_ready {
            return Ok(None);
        }
        if has_rival(run, &shown).await? {
            return Err(RunError::Shared(taxi.to_owned()));
        }
        let wish = wish(&shown, name, trial);
        let mut answer = ask(run, &wish, trial).await?;
        // Somebody else was first, or what was shown of the taxi is a moment older than what hails it, or younger.
        let is_not_free = || answer.body.pointer("/errors/data/0/taxi_id").is_some();
        match answer.status {
            201 => Ok(Some((answer.first()["id"].as_str().unwrap_or_default().to_owned(), wish))),
            _ if is_not_free() => Ok(None),
            status => Err(refused("/hails", status, &answer.body)),
        }
    });
    let Some((id, wish)) = made.await? else {
        tried.was_free = false;
        return Ok(tried);
    };
    let repeat = if trial == Trial::Again { Some(repeat(run, &wish).await) } else { None };
    let seen = see_through(run, (taxi, &id), trial).await;
    let tidied = tidy_up(run, &id).await;
    if trial == Trial::Report {
        let banned = if seen.is_ok() { Some(try_banned(run, &wish).await) } else { None };
        let reported = seen.as_ref().is_ok_and(|hail| hail.reporting_customer == Some(true));
        // Who was stopped, too, may have reported the customer by now; of a hail of another operator's there is none.
        let lifted = run.moves(&run.partner, &id, &json!({"reporting_customer": false})).await;
        if reported {
            lifted?;
        }
        tried.banned = banned.transpose()?;
    }
    tried.hail = Some(seen?);
    tried.repeat = repeat.transpose()?;
    tidied?;
    Ok(tried)
}

/// Asks for the taxi. What is to be repeated has a name, as the request of an app that may not hear its answer.
async fn ask(run: &Run<'_>, wish: &Value, trial: Trial) -> Result<Answer> {
    let name = wish["customer_id"].as_str().filter(|_| trial == Trial::Again);
    let request = Request { method: Method::POST, path: "/hails", element: Some(wish) };
    run.ask_under(&run.counterpart, name, request).await
}

/// Asks once more for what was asked for, as if no answer had come, and sees what the operator has of that.
async fn repeat(run: &Run<'_>, wish: &Value) -> Result<Repeat> {
    let answered = ask(run, wish, Trial::Again).await?.first()["id"].as_str().map(str::to_owned);
    let customer = wish["customer_id"].as_str().unwrap_or_default();
    let listed = run.list(&run.partner, &format!("/hails?customer_id={customer}")).await?;
    let shown = listed.iter().filter_map(|hail| hail["id"].as_str().map(str::to_owned)).collect();
    Ok(Repeat { answered, shown })
}

/// What becomes of a hail.
async fn see_through(run: &Run<'_>, (taxi, id): (&str, &str), trial: Trial) -> Result<Hail> {
    let path = format!("/hails/{id}");
    let look = Request { method: Method::GET, path: &path, element: None };
    if run.ask(&run.partner, look).await?.status == 403 {
        return Err(RunError::Shared(taxi.to_owned()));
    }
    follow(run, id, trial).await?;
    run.hail(&run.partner, id).await
}

fn refused(path: &str, status: u16, body: &Value) -> RunError {
    RunError::Refused { path: path.to_owned(), status, body: body.to_string() }
}

/// A request for the taxi where it stands. Its address and customer tell the operator's people, or their program, what
/// to do.
fn wish(shown: &Value, name: &str, trial: Trial) -> Value {
    let customer = match trial {
        Trial::Again => Trial::Cancel,
        other => other,
    };
    json!({
        "taxi_id": shown["id"], "customer_id": format!("{name}-{customer:?}").to_lowercase(),
        "customer_lon": shown["position"]["lon"], "customer_lat": shown["position"]["lat"],
        "customer_address": format!("RECETTE : {}", Side::Operator.asks(trial)),
        "customer_phone_number": "0600000001",
    })
}

/// Does the customer's part until the hail has come as far as it is to.
async fn follow(run: &Run<'_>, id: &str, trial: Trial) -> Result<()> {
    let arrived = run.until(async || {
        let hail = run.hail(&run.partner, id).await?;
        let wished = match (trial, hail.stands()) {
            (Trial::Ride | Trial::Incident, Some(Status::AcceptedByTaxi)) => Some(Status::AcceptedByCustomer),
            (Trial::Cancel | Trial::Again, Some(Status::ReceivedByTaxi)) => Some(Status::DeclinedByCustomer),
            _ => None,
        };
        if let Some(wished) = wished {
            run.moves(&run.counterpart, id, &json!({"status": wished.as_str()})).await?;
            return Ok(None);
        }
        let is_told = trial != Trial::Report || hail.reporting_customer == Some(true) || hail.ran_out();
        Ok((hail.is_over() && is_told).then_some(()))
    });
    arrived.await.map(drop)
}

/// Ends what is left of a hail, so that the taxi is free for the next one.
async fn tidy_up(run: &Run<'_>, id: &str) -> Result<()> {
    for end in [Status::DeclinedByCustomer, Status::IncidentCustomer] {
        if !run.hail(&run.counterpart, id).await?.is_over() {
            run.moves(&run.counterpart, id, &json!({"status": end.as_str()})).await?;
        }
    }
    Ok(())
}

/// What a hail of a customer is answered who should be banned by now.
async fn try_banned(run: &Run<'_>, wish: &Value) -> Result<u16> {
    let request = Request { method: Method::POST, path: "/hails", element: Some(wish) };
    let answer = run.ask(&run.counterpart, request).await?;
    if let Some(id) = answer.body["data"][0]["id"].as_str() {
        run.moves(&run.counterpart, id, &json!({"status": Status::DeclinedByCustomer.as_str()})).await?;
    }
    Ok(answer.status)
}
