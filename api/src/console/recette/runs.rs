//! The runs that go on in this process: one of an account, few in all.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::Url;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::certify::as_operator::Stand;
use crate::certify::report::Report;
use crate::certify::run::{Pace, Party, Run, RunError, Server};
use crate::certify::{Rules, Side, as_app, as_operator, judge};
use crate::limits::{self, CERTIFICATION_LEASE, CERTIFICATION_LOOKS_EVERY, CERTIFICATIONS_AT_ONCE, DRAIN};
use crate::registry::accounts::Account;
use crate::router;
use crate::store::certifications::CertificationRow;

/// What reports call a server that has no public name.
const HERE: &str = "ce registre";

/// Those that go on, and the last one of each account.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    entries: Mutex<BTreeMap<i32, Entry>>,
    /// The process ends: so do all of them.
    ending: CancellationToken,
}

#[derive(Debug)]
struct Entry {
    seen: Seen,
    /// Which one of the account's it is.
    number: u64,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

/// Why no run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Busy {
    /// The account takes part in one that goes on, judged or not.
    Account,
    /// The other side does: a search would find the taxis of both.
    Counterpart,
    /// There are as many as there may be.
    Process,
}

/// A run, as its page shows it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Who is judged.
    pub(super) side: Side,
    /// What was told so far.
    pub(super) lines: Vec<String>,
    /// Whether it has ended.
    pub(super) is_over: bool,
}

/// What is to be run.
pub(super) struct Wish {
    pub(super) judged: Judged,
    /// The account that plays the other side, and how it asks.
    pub(super) counterpart: (i32, Party),
    pub(super) patience_s: u64,
}

/// What is judged.
pub(super) enum Judged {
    /// What an operator does with one of its taxis, after so many positions.
    Operator { taxi: String, positions: u64 },
    /// What a search app does with a taxi that waits there.
    Search(Stand),
}

impl Judged {
    fn side(&self) -> Side {
        match self {
            Self::Operator { .. } => Side::Operator,
            Self::Search(_) => Side::Search,
        }
    }
}

/// The accounts of a run that are in no other while it goes on, who is judged first, and its number.
struct Parties {
    run: String,
    accounts: Vec<i32>,
}

impl Parties {
    /// The integration account is everybody's other side: what one run does with it no other sees.
    async fn take(
        app: &App,
        account: i32,
        (counterpart, party): &(i32, Party),
    ) -> Result<Result<Self, Busy>, NoReport> {
        let run = crate::secrets::hex(&crate::secrets::random::<8>()?);
        let other = Some(*counterpart).filter(|_| party.log_as.is_none());
        let accounts: Vec<_> = [account].into_iter().chain(other).collect();
        let busy = app.registry.store().take_parties(&run, &accounts).await?;
        Ok(match busy[..] {
            [] => Ok(Self { run, accounts }),
            _ if busy.contains(&account) => Err(Busy::Account),
            _ => Err(Busy::Counterpart),
        })
    }

    /// Keeps them, for ever. While the database does not answer nobody else can take them, either. Who was away so long
    /// that another run has one of them stops.
    async fn keep(&self, app: &App, stop: &CancellationToken) -> Infallible {
        loop {
            sleep(CERTIFICATION_LEASE / 3).await;
            match app.registry.upkeep().take_parties(&self.run, &self.accounts).await {
                Ok(busy) if busy.is_empty() => {}
                Ok(_) => stop.cancel(),
                Err(error) => {
                    tracing::debug!(%error, "the accounts of an acceptance run are kept at the next attempt");
                }
            }
        }
    }

    async fn leave(&self, app: &App) {
        if let Err(error) = app.registry.upkeep().leave_parties(&self.run).await {
            tracing::debug!(%error, "the accounts of an acceptance run are free when their leases are over");
        }
    }
}

impl Runs {
    fn entries(&self) -> MutexGuard<'_, BTreeMap<i32, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The account's run, or its last one.
    pub(super) fn seen(&self, account: i32) -> Option<Seen> {
        self.entries().get(&account).map(|entry| entry.seen.clone())
    }

    /// Begins one of an account, which asks as this party, or says why there is none.
    pub(super) async fn start(
        self: &Arc<Self>,
        app: &App,
        (account, partner): (&Account, Party),
        wish: Wish,
    ) -> Result<Result<(), Busy>, NoReport> {
        let parties = match Parties::take(app, account.id, &wish.counterpart).await? {
            Ok(parties) => Arc::new(parties),
            Err(busy) => return Ok(Err(busy)),
        };
        let begun = self.begin(app, (account, partner), wish, parties.clone());
        if begun.is_err() {
            parties.leave(app).await;
        }
        Ok(begun)
    }

    fn begin(
        self: &Arc<Self>,
        app: &App,
        (account, partner): (&Account, Party),
        wish: Wish,
        parties: Arc<Parties>,
    ) -> Result<(), Busy> {
        let mut entries = self.entries();
        has_room(&entries, account.id)?;
        let seen = Seen { side: wish.judged.side(), lines: Vec::new(), is_over: false };
        let number = entries.get(&account.id).map_or(0, |entry| entry.number + 1);
        let stop = self.ending.child_token();
        let teller = Teller { runs: self.clone(), account: account.id, number };
        let (app, email, token) = (app.clone(), account.email.clone(), stop.clone());
        // On a thread of its own: what a run waits for is no future that could change threads.
        let runtime = Handle::current();
        let task = tokio::task::spawn_blocking(move || {
            let going = async {
                let end = tokio::select! {
                    end = conduct(&teller, &app, token.clone(), (email, partner), wish) => end,
                    never = parties.keep(&app, &token) => match never {},
                };
                parties.leave(&app).await;
                end
            };
            match runtime.block_on(going) {
                Ok(end) => teller.tell(end.to_owned()),
                Err(NoReport::Run(RunError::Stopped)) => teller.tell("Arrêtée.".to_owned()),
                Err(error) => {
                    tracing::info!(account = teller.account, %error, "an acceptance run left no report");
                    teller.tell(format!("La recette s’est arrêtée : {}", in_french(&error)));
                }
            }
        });
        entries.insert(account.id, Entry { seen, number, stop, task: Some(task) });
        Ok(())
    }

    /// Ends all of them, and returns when what they began is tidied up, or takes too long. One that begins later ends
    /// at once.
    pub(crate) async fn end(&self) {
        self.ending.cancel();
        let tasks: Vec<_> = self.entries().values_mut().filter_map(|entry| entry.task.take()).collect();
        let ended = async {
            for task in tasks {
                if let Err(error) = task.await {
                    tracing::error!(%error, "an acceptance run broke off");
                }
            }
        };
        if tokio::time::timeout(DRAIN, ended).await.is_err() {
            tracing::warn!(after_s = DRAIN.as_secs(), "acceptance runs left their hails to their deadlines");
        }
    }

    /// Ends the account's run, in a moment.
    pub(super) fn stop(&self, account: i32) {
        if let Some(entry) = self.entries().get_mut(&account) {
            entry.stop.cancel();
        }
    }
}

fn has_room(entries: &BTreeMap<i32, Entry>, account: i32) -> Result<(), Busy> {
    let going_on = || entries.iter().filter(|(_, entry)| !entry.seen.is_over);
    match () {
        () if going_on().any(|(id, _)| *id == account) => Err(Busy::Account),
        () if going_on().count() >= CERTIFICATIONS_AT_ONCE => Err(Busy::Process),
        () => Ok(()),
    }
}

/// Writes down how one run goes, and nothing of a later one.
struct Teller {
    runs: Arc<Runs>,
    account: i32,
    number: u64,
}

impl Teller {
    fn write(&self, change: impl FnOnce(&mut Seen)) {
        let mut entries = self.runs.entries();
        let entry = entries.get_mut(&self.account).filter(|entry| entry.number == self.number);
        if let Some(entry) = entry {
            change(&mut entry.seen);
        }
    }

    fn tell(&self, line: String) {
        self.write(|seen| seen.lines.push(line));
    }
}

impl Drop for Teller {
    /// However it ends.
    fn drop(&mut self) {
        self.write(|seen| seen.is_over = true);
    }
}

/// Why a run left no report, or did not begin.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoReport {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("the run or its report could not be kept: {0}")]
    Store(#[from] crate::store::StoreError),
    #[error("there is no number for it: {0}")]
    Number(#[from] crate::secrets::SecretError),
}

/// Runs it, signs the report and keeps it; gives what is said of that.
async fn conduct(
    teller: &Teller,
    app: &App,
    stop: CancellationToken,
    (email, partner): (String, Party),
    wish: Wish,
) -> Result<&'static str, NoReport> {
    let tell = |line| teller.tell(line);
    let patience = Duration::from_secs(wish.patience_s);
    let positions = match &wish.judged {
        Judged::Operator { positions, .. } => usize::try_from(*positions).unwrap_or(usize::MAX),
        Judged::Search(_) => 0,
    };
    let side = wish.judged.side();
    let run = Run {
        side,
        server: Server::within(router::http(app.clone(), limits::Http::default())),
        partner,
        counterpart: wish.counterpart.1,
        pace: Pace { poll: CERTIFICATION_LOOKS_EVERY, patience, positions, watch: patience },
        clock: app.clock.clone(),
        stop,
        tell: &tell,
    };
    let begun_at = app.clock.now().0;
    let observed = match &wish.judged {
        Judged::Operator { taxi, .. } => as_app::observe(&run, taxi).await?,
        Judged::Search(stand) => as_operator::observe(&run, stand).await?,
    };
    let server = app.behaviour.public_url.as_ref().map_or(HERE, Url::as_str);
    let report = Report {
        side,
        account: email,
        server: server.to_owned(),
        taxi: observed.taxi.clone(),
        begun_at,
        ended_at: app.clock.now().0,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        findings: judge(side, &observed, Rules::default()),
    };
    let text = report.text();
    let id = crate::secrets::hex(&crate::secrets::random::<8>()?);
    let signature = app.registry.signer().sign(&text);
    let row = CertificationRow { id, report: text, signature };
    app.registry.store().keep_certification(teller.account, report.ended_at, &row).await?;
    Ok("Terminée : le rapport est gardé.")
}

fn in_french(error: &NoReport) -> String {
    match error {
        NoReport::Run(RunError::NoTaxi(taxi)) => {
            format!("le taxi {taxi} n’est pas devenu libre avec une position de moins de deux minutes.")
        }
        NoReport::Run(RunError::Shared(taxi)) => {
            format!(
                "un autre opérateur dit libre le véhicule du taxi {taxi}, et pourrait être appelé à votre place."
            )
        }
        NoReport::Run(RunError::Refused { path, status, .. }) => format!("{path} a répondu {status}."),
        _ => "erreur du registre ; recommencez plus tard.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_one_run_and_a_process_few() {
        let entry = |is_over| {
            let seen = Seen { side: Side::Operator, lines: Vec::new(), is_over };
            Entry { seen, number: 0, stop: CancellationToken::new(), task: None }
        };
        let mut entries = BTreeMap::from([(1, entry(false)), (2, entry(true))]);
        assert_eq!([1, 2, 3].map(|id| has_room(&entries, id)), [Err(Busy::Account), Ok(()), Ok(())]);
        let many = 10 + i32::try_from(CERTIFICATIONS_AT_ONCE).unwrap();
        entries.extend((11..many).map(|account| (account, entry(false))));
        assert_eq!(has_room(&entries, 3), Err(Busy::Process));
        entries.get_mut(&11).unwrap().seen.is_over = true;
        assert_eq!(has_room(&entries, 3), Ok(()));
    }
}
