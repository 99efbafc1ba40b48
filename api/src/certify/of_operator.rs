//! What is asked of an operator.

use std::collections::BTreeSet;

use ingest::gate::{Age, Refusal};

use super::observed::{Datagrams, Judged, Observed, all_of};
use super::{Item, Rules, Trial, Verdict};
use crate::hail::Status;

/// One datagram in so many may be signed wrongly, by whomever, or come twice.
const BAD_SHARE: u64 = 10;

/// One item.
pub(super) fn judge(item: Item, observed: &Observed, rules: Rules) -> Judged {
    let judged = match item {
        Item::Cadence => Ok(cadence(observed, rules)),
        Item::Age => Ok(age(observed, rules)),
        Item::Statuses => Ok(statuses(observed)),
        Item::Signatures => Ok(signatures(observed)),
        Item::Duplicates => Ok(duplicates(observed)),
        Item::Answered => answered(observed),
        Item::Refused => refused(observed),
        Item::Ignored => ignored(observed),
        Item::Cancelled => cancelled(observed),
        Item::Repeats => repeats(observed),
        Item::Incident => incident(observed),
        Item::Ban => ban(observed),
        Item::Places | Item::Feedback => Ok((Verdict::NotSeen, Vec::new())),
    };
    judged.unwrap_or_else(|nothing| nothing)
}

fn not_seen(why: &str) -> Judged {
    (Verdict::NotSeen, vec![why.to_owned()])
}

/// For how long the taxi was seen without a new position: what was not looked at meanwhile counts for nobody, and only
/// differences do, whose clock is of no account.
fn cadence(observed: &Observed, rules: Rules) -> Judged {
    let (Some(first), Some(last)) = (observed.sights.first(), observed.sights.last()) else {
        return not_seen("aucun taxi n’a été regardé");
    };
    let stays = observed.sights.chunk_by(|sight, next| sight.heard_s == next.heard_s);
    let waits = stays.clone().filter_map(|same| Some(same.last()?.asked_s - same.first()?.at_s));
    let positions = stays.clone().filter(|same| same.iter().any(|sight| sight.heard_s.is_some())).count();
    let longest = waits.max().unwrap_or_default().max(0);
    let evidence = format!(
        "taxi {} : {positions} positions en {} s, vu {longest} s au plus sans position nouvelle ({} s au plus sont \
         attendues)",
        observed.taxi,
        last.at_s - first.at_s,
        rules.cadence_s
    );
    all_of(
        vec![evidence],
        &[
            (positions >= 2, "moins de deux positions ont été reçues"),
            (longest <= rules.cadence_s, "les positions sont trop espacées"),
        ],
    )
}

fn statuses(observed: &Observed) -> Judged {
    let (tried, free) = (observed.tried.len(), observed.tried.iter().filter(|tried| tried.was_free).count());
    let seen: BTreeSet<_> = observed.sights.iter().map(|sight| sight.status.as_str()).collect();
    if tried == 0 {
        return not_seen("aucune course n’a été essayée");
    }
    let seen = seen.into_iter().collect::<Vec<_>>().join(", ");
    let evidence = format!("libre à temps avant {free} courses sur {tried} ; statuts vus avant : {seen}");
    all_of(vec![evidence], &[(free == tried, "le taxi n’a pas été remis libre (`free`) après une course")])
}

/// By the devices' own time. What was not sent with one cannot be judged.
fn age(observed: &Observed, rules: Rules) -> Judged {
    let Some(datagrams) = &observed.datagrams else {
        return not_seen("le serveur ne compte pas les positions");
    };
    let of = |age: Age| datagrams.ages.get(age.name()).copied().unwrap_or_default();
    let [fresh, late, old, older] = [Age::UpTo5s, Age::UpTo15s, Age::UpTo60s, Age::Older].map(of);
    let (all, too_old) = (fresh + late + old + older, late + old + older);
    if all == 0 {
        return untold(observed, "aucune position n’est venue avec l’heure de son appareil");
    }
    let evidence = format!(
        "{all} positions datées par leur appareil, à l’écart de leur réception : {fresh} à 5 s au plus, {late} à 15 s, \
         {old} à 60 s, {older} au-delà ({} % au plus à plus de 5 s sont attendus)",
        rules.old_percent
    );
    let is_right = too_old * 100 <= all * rules.old_percent;
    all_of(
        vec![evidence],
        &[(is_right, "les positions arrivent trop tard, ou l’heure des appareils est fausse")],
    )
}

/// Nothing to judge: of nobody who sends its positions otherwise it is asked.
fn untold(observed: &Observed, why: &str) -> Judged {
    let is_heard = observed.sights.iter().any(|sight| sight.heard_s.is_some());
    (if is_heard { Verdict::NotApplicable } else { Verdict::NotSeen }, vec![why.to_owned()])
}

fn signatures(observed: &Observed) -> Judged {
    let why = "des datagrammes sont mal signés (`bad_hash`)";
    datagrams(observed, Refusal::BadHash, why)
}

/// Of datagrams in JSON nobody knows whether they came before: they have no number.
fn duplicates(observed: &Observed) -> Judged {
    let is_told = |datagrams: &Datagrams| {
        datagrams.compact > 0 || datagrams.refused.contains_key(Refusal::Replayed.name())
    };
    if observed.datagrams.as_ref().is_some_and(|datagrams| datagrams.accepted > 0 && !is_told(datagrams)) {
        let why = "les datagrammes en JSON ne disent pas s’ils sont déjà venus ; les compacts, si";
        return (Verdict::NotApplicable, vec![why.to_owned()]);
    }
    let why = "des datagrammes sont venus deux fois (`replayed`)";
    datagrams(observed, Refusal::Replayed, why)
}

/// Whether few datagrams were refused for a reason.
fn datagrams(observed: &Observed, refusal: Refusal, why: &str) -> Judged {
    let Some(datagrams) = &observed.datagrams else {
        return not_seen("le serveur ne reçoit pas de datagrammes");
    };
    let bad = datagrams.refused.get(refusal.name()).copied().unwrap_or_default();
    if datagrams.accepted == 0 && bad == 0 {
        return untold(observed, "aucun datagramme n’est venu");
    }
    let refused = datagrams.refused.iter().map(|(reason, count)| format!("{reason} {count}"));
    let refused = refused.collect::<Vec<_>>().join(", ");
    let told = if refused.is_empty() { "aucun refusé".to_owned() } else { format!("refusés : {refused}") };
    let evidence = format!("{} datagrammes acceptés, {told}", datagrams.accepted);
    // Anybody may send a few in another's name.
    all_of(vec![evidence], &[(bad * BAD_SHARE <= datagrams.accepted, why)])
}

fn answered(observed: &Observed) -> Result<Judged, Judged> {
    let hail = observed.hail(Trial::Ride)?;
    let came = |status| hail.came(status).is_some();
    Ok(all_of(
        vec![hail.line()],
        &[
            (came(Status::ReceivedByOperator), "l’opérateur ne l’a pas prise à temps"),
            (came(Status::ReceivedByTaxi), "le taxi ne l’a pas reçue à temps"),
            (came(Status::AcceptedByTaxi), "le taxi ne l’a pas acceptée à temps"),
            (came(Status::CustomerOnBoard), "le client n’a pas été pris à bord"),
            (hail.stands() == Some(Status::Finished), "la course n’est pas terminée"),
        ],
    ))
}

fn refused(observed: &Observed) -> Result<Judged, Judged> {
    let hail = observed.hail(Trial::Refuse)?;
    let evidence = vec![hail.line(), format!("motif : {}", hail.last_reason().unwrap_or("aucun"))];
    Ok(all_of(
        evidence,
        &[
            (hail.stands() == Some(Status::DeclinedByTaxi), "le taxi ne l’a pas refusée"),
            (
                hail.last_reason().is_some(),
                "le refus est sans motif (article R3121-23 du code des transports)",
            ),
        ],
    ))
}

fn ignored(observed: &Observed) -> Result<Judged, Judged> {
    let hail = observed.hail(Trial::Ignore)?;
    Ok(all_of(
        vec![hail.line()],
        &[
            (hail.came(Status::ReceivedByTaxi).is_some(), "elle n’a pas été affichée au chauffeur"),
            (hail.stands() == Some(Status::TimeoutTaxi), "elle n’a pas pris fin faute de réponse du taxi"),
        ],
    ))
}

fn cancelled(observed: &Observed) -> Result<Judged, Judged> {
    let hail = observed.hail(Trial::Cancel)?;
    Ok(all_of(
        vec![hail.line()],
        &[
            (hail.came(Status::ReceivedByTaxi).is_some(), "elle n’a pas été affichée au chauffeur"),
            (hail.stands() == Some(Status::DeclinedByCustomer), "le client n’a pas pu l’annuler"),
        ],
    ))
}

fn repeats(observed: &Observed) -> Result<Judged, Judged> {
    let (hail, before) = (observed.hail(Trial::Again)?, observed.hail(Trial::Cancel)?);
    let mut evidence =
        vec![hail.line(), format!("après la course {}, annulée par le même client", before.id)];
    let is_shown = hail.came(Status::ReceivedByTaxi).is_some();
    let (mut is_same, mut is_single) = (true, true);
    if let Some(repeat) = observed.trial(Trial::Again).and_then(|tried| tried.repeat.as_ref()) {
        is_same = repeat.answered.as_ref() == Some(&hail.id);
        is_single = repeat.shown == BTreeSet::from([before.id.clone(), hail.id.clone()]);
        evidence.push(format!(
            "demande répétée sous la même clé (Idempotency-Key) : course {}, et l’opérateur en a {} de ce client",
            repeat.answered.as_deref().unwrap_or("aucune"),
            repeat.shown.len()
        ));
    }
    Ok(all_of(
        evidence,
        &[
            (is_shown, "la nouvelle course n’a pas été affichée au chauffeur"),
            (is_same, "la demande répétée n’a pas eu la même course"),
            (is_single, "l’opérateur n’a pas les deux courses, une fois chacune"),
        ],
    ))
}

fn incident(observed: &Observed) -> Result<Judged, Judged> {
    let hail = observed.hail(Trial::Incident)?;
    let reason = hail.incident_taxi_reason.as_deref();
    let evidence = vec![hail.line(), format!("motif : {}", reason.unwrap_or("aucun"))];
    Ok(all_of(
        evidence,
        &[
            (hail.came(Status::AcceptedByTaxi).is_some(), "le taxi ne l’a pas acceptée d’abord"),
            (hail.stands() == Some(Status::IncidentTaxi), "aucun incident du taxi n’a été déclaré"),
            (reason.is_some(), "l’incident est sans motif"),
        ],
    ))
}

fn ban(observed: &Observed) -> Result<Judged, Judged> {
    let hail = observed.hail(Trial::Report)?;
    let banned = observed.trial(Trial::Report).and_then(|tried| tried.banned);
    let mut evidence = vec![hail.line()];
    evidence.extend(banned.map(|status| format!("la demande suivante du client a reçu la réponse {status}")));
    Ok(all_of(
        evidence,
        &[
            (hail.reporting_customer == Some(true), "le client n’a pas été signalé"),
            (banned == Some(403), "le client n’a pas été exclu"),
        ],
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;
    use crate::certify::observed::{Datagrams, Hail, Repeat, Sight, Tried};

    fn hail(fields: &Value, went: &[&str]) -> Hail {
        let steps = went
            .iter()
            .map(|to| json!({"to_status": to, "timestamp": "2026-09-21T14:13:20", "reason": null}));
        let mut hail = json!({
            "id": "h", "session_id": "s", "status": went.last(), "customer_id": "c", "customer_address": "1 rue X",
            "transitions": steps.collect::<Vec<_>>(), "taxi": {"crowfly_distance": 0.0},
        });
        for (name, value) in fields.as_object().into_iter().flatten() {
            hail[name] = value.clone();
        }
        Hail::read(&hail).unwrap()
    }

    fn seen(asked_s: i64, at_s: i64, heard_s: Option<i64>) -> Sight {
        Sight { asked_s, at_s, heard_s, status: "free".to_owned() }
    }

    fn verdict(item: Item, observed: &Observed) -> Verdict {
        judge(item, observed, Rules::default()).0
    }

    #[test]
    fn an_incident_is_one_of_a_taxi_that_had_accepted() {
        let of = |went: &[&str]| {
            let hail = Some(hail(&json!({"incident_taxi_reason": "traffic"}), went));
            Observed { tried: vec![Tried { hail, ..Tried::new(Trial::Incident) }], ..Observed::default() }
        };
        let accepted = of(&["received_by_taxi", "accepted_by_taxi", "incident_taxi"]);
        assert_eq!(verdict(Item::Incident, &accepted), Verdict::Passed);
        assert_eq!(verdict(Item::Incident, &of(&["received_by_taxi", "incident_taxi"])), Verdict::Failed);
        assert_eq!(verdict(Item::Incident, &Observed::default()), Verdict::NotSeen);
    }

    #[test]
    fn positions_are_late_only_where_somebody_looked() {
        let of = |sights: &[(i64, i64, i64)]| {
            let sights = sights.iter().map(|(asked_s, at_s, heard_s)| seen(*asked_s, *at_s, Some(*heard_s)));
            verdict(Item::Cadence, &Observed { sights: sights.collect(), ..Observed::default() })
        };
        assert_eq!(of(&[(100, 100, 100), (105, 105, 105), (110, 110, 110)]), Verdict::Passed);
        assert_eq!(
            of(&[(100, 100, 100), (109, 109, 100), (111, 111, 100), (112, 112, 112)]),
            Verdict::Failed
        );
        assert_eq!(
            of(&[(100, 100, 100), (130, 130, 129), (131, 131, 129)]),
            Verdict::Passed,
            "a slow runner"
        );
        assert_eq!(
            of(&[(100, 120, 119), (120, 120, 119), (121, 121, 121)]),
            Verdict::Passed,
            "a slow server"
        );
        assert_eq!(of(&[(100, 100, 700), (101, 101, 701)]), Verdict::Passed, "another clock");
        assert_eq!(of(&[(100, 100, 100), (101, 101, 100)]), Verdict::Failed, "one position is no cadence");
        assert_eq!(of(&[]), Verdict::NotSeen);
    }

    fn with_datagrams(datagrams: Datagrams) -> Observed {
        let sights = vec![seen(1, 1, Some(1))];
        Observed { sights, datagrams: Some(datagrams), ..Observed::default() }
    }

    fn counts(counts: &[(&str, u64)]) -> BTreeMap<String, u64> {
        let counts = counts.iter().filter(|(_, count)| *count > 0);
        counts.map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    #[test]
    fn signatures_are_of_who_sends_datagrams_and_a_few_wrong_ones_may_be_anybodys() {
        for (item, reason, other) in
            [(Item::Signatures, "bad_hash", "replayed"), (Item::Duplicates, "replayed", "bad_hash")]
        {
            let of = |accepted, bad, others| {
                let refused = counts(&[(reason, bad), (other, others), ("overloaded", others)]);
                let compact = accepted;
                verdict(
                    item,
                    &with_datagrams(Datagrams { accepted, compact, refused, ..Datagrams::default() }),
                )
            };
            assert_eq!(of(0, 0, 9), Verdict::NotApplicable, "positions come by HTTP");
            assert_eq!((of(20, 0, 0), of(20, 2, 9)), (Verdict::Passed, Verdict::Passed));
            assert_eq!((of(20, 3, 0), of(0, 1, 0)), (Verdict::Failed, Verdict::Failed));
            assert_eq!(verdict(item, &Observed::default()), Verdict::NotSeen);
        }
        let json = with_datagrams(Datagrams { accepted: 20, ..Datagrams::default() });
        assert_eq!(verdict(Item::Duplicates, &json), Verdict::NotApplicable, "they have no number");
        assert_eq!(verdict(Item::Signatures, &json), Verdict::Passed);
    }

    #[test]
    fn positions_are_old_where_more_than_a_few_are() {
        let of = |fresh, late, older| {
            let ages = counts(&[("up_to_5_s", fresh), ("up_to_15_s", late), ("over_60_s", older)]);
            verdict(Item::Age, &with_datagrams(Datagrams { ages, ..Datagrams::default() }))
        };
        assert_eq!(of(0, 0, 0), Verdict::NotApplicable, "no device tells its time");
        assert_eq!((of(20, 0, 0), of(18, 1, 1)), (Verdict::Passed, Verdict::Passed));
        assert_eq!(
            (of(17, 2, 1), of(0, 1, 0), of(0, 0, 1)),
            (Verdict::Failed, Verdict::Failed, Verdict::Failed)
        );
        assert_eq!(verdict(Item::Age, &Observed::default()), Verdict::NotSeen);
    }

    #[test]
    fn a_request_that_is_repeated_makes_no_other_hail() {
        let of = |answered: Option<&str>, shown: &[&str]| {
            let answered = answered.map(str::to_owned);
            let repeat = Some(Repeat { answered, shown: shown.iter().map(|id| (*id).to_owned()).collect() });
            let tried = |trial, id: &str, repeat| {
                let hail = Some(hail(&json!({"id": id}), &["received_by_taxi", "declined_by_customer"]));
                Tried { hail, repeat, ..Tried::new(trial) }
            };
            let tried = vec![tried(Trial::Cancel, "a", None), tried(Trial::Again, "b", repeat)];
            verdict(Item::Repeats, &Observed { tried, ..Observed::default() })
        };
        assert_eq!(of(Some("b"), &["a", "b"]), Verdict::Passed);
        assert_eq!(
            (of(Some("c"), &["a", "b", "c"]), of(None, &["a", "b"])),
            (Verdict::Failed, Verdict::Failed)
        );
        assert_eq!(of(Some("b"), &["a"]), Verdict::Failed, "the operator does not have it");
    }
}
