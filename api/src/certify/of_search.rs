//! What is asked of a search app.

use std::collections::BTreeMap;

use super::observed::{Hail, Judged, Observed, all_of, seconds};
use super::{Item, Rules, Trial, Verdict};
use crate::hail::Status;

/// One item.
pub(super) fn judge(item: Item, observed: &Observed, rules: Rules) -> Judged {
    let judged = match item {
        Item::Places => Ok(places(observed, rules)),
        Item::Answered => answered(observed),
        Item::Feedback => feedback(observed),
        Item::Refused => goes_on(observed, Trial::Refuse, Status::DeclinedByTaxi),
        Item::Ignored => goes_on(observed, Trial::Ignore, Status::TimeoutTaxi),
        Item::Cancelled => cancelled(observed),
        Item::Incident => incident(observed),
        Item::Ban => ban(observed),
        Item::Repeats => Ok(repeats(observed)),
        Item::Cadence | Item::Age | Item::Statuses | Item::Signatures | Item::Duplicates => {
            Ok((Verdict::NotSeen, Vec::new()))
        }
    };
    judged.unwrap_or_else(|nothing| nothing)
}

fn places(observed: &Observed, rules: Rules) -> Judged {
    let hails: Vec<_> = observed.tried.iter().filter_map(|tried| tried.hail.as_ref()).collect();
    if hails.is_empty() {
        return (Verdict::NotSeen, vec!["aucune course n’est venue".to_owned()]);
    }
    let distances_m: Vec<_> =
        hails.iter().filter_map(|hail| Some(hail.taxi.crowfly_distance? * 1_000.0)).collect();
    if distances_m.is_empty() {
        return (Verdict::NotSeen, vec!["aucune distance n’est connue".to_owned()]);
    }
    let farthest = distances_m.into_iter().fold(0.0, f64::max);
    let unaddressed = hails.iter().filter(|hail| hail.customer_address.trim().is_empty()).count();
    let evidence = format!(
        "{} courses, le client le plus loin du taxi à {farthest:.0} m ({:.0} m au plus sont attendus), {unaddressed} \
         sans adresse",
        hails.len(),
        rules.distance_m
    );
    all_of(
        vec![evidence],
        &[
            (farthest <= rules.distance_m, "le client n’est pas là où le taxi a pu être trouvé"),
            (unaddressed == 0, "une course n’a pas d’adresse"),
        ],
    )
}

fn answered(observed: &Observed) -> Result<Judged, Judged> {
    let hail = observed.hail(Trial::Ride)?;
    Ok(all_of(
        vec![hail.line()],
        &[
            (hail.came(Status::AcceptedByCustomer).is_some(), "le client n’a pas confirmé à temps"),
            (hail.stands() == Some(Status::Finished), "la course n’est pas allée à son terme"),
        ],
    ))
}

fn feedback(observed: &Observed) -> Result<Judged, Judged> {
    let hail = observed.hail(Trial::Ride)?;
    let mark = hail.rating_ride;
    let told = mark.map_or("aucune note".to_owned(), |mark| format!("note {mark}"));
    let evidence = vec![format!("course {} : {told}", hail.id)];
    Ok(all_of(
        evidence,
        &[
            (mark.is_some(), "le client n’a pas noté la course"),
            (mark.is_none_or(|mark| (1..=5).contains(&mark)), "la note n’est pas de 1 à 5"),
        ],
    ))
}

/// The app leaves a hail that came to nothing, and makes another one.
fn goes_on(observed: &Observed, trial: Trial, end: Status) -> Result<Judged, Judged> {
    let hail = observed.hail(trial)?;
    let next = observed.after(trial).and_then(|tried| tried.hail.as_ref());
    let mut evidence = vec![hail.line()];
    if let Some((next, (begun, (_, ended)))) =
        next.and_then(|next| Some((next, (next.lasted()?.0, hail.lasted()?))))
    {
        evidence.push(format!(
            "la course suivante, {}, est venue {} s après",
            next.id,
            seconds((begun - ended).max(0))
        ));
    }
    Ok(all_of(
        evidence,
        &[
            (hail.stands() == Some(end), "l’application y a mis fin avant le taxi"),
            (next.is_some(), "l’application n’a pas demandé d’autre taxi ensuite"),
        ],
    ))
}

fn cancelled(observed: &Observed) -> Result<Judged, Judged> {
    let hail = observed.hail(Trial::Cancel)?;
    Ok(all_of(
        vec![hail.line()],
        &[(hail.stands() == Some(Status::DeclinedByCustomer), "elle n’a pas été annulée")],
    ))
}

fn incident(observed: &Observed) -> Result<Judged, Judged> {
    let hail = observed.hail(Trial::Incident)?;
    let reason = hail.incident_customer_reason.as_deref().filter(|reason| !reason.is_empty());
    let evidence = vec![hail.line(), format!("motif : {}", reason.unwrap_or("aucun"))];
    Ok(all_of(
        evidence,
        &[
            (hail.came(Status::AcceptedByCustomer).is_some(), "le client ne l’a pas confirmée d’abord"),
            (hail.stands() == Some(Status::IncidentCustomer), "aucun incident du client n’a été déclaré"),
            (reason.is_some(), "l’incident est sans motif"),
        ],
    ))
}

/// The registry itself lets no hail of a banned customer pass; what is judged is that the app goes on for others.
fn ban(observed: &Observed) -> Result<Judged, Judged> {
    let reported = observed.hail(Trial::Report)?;
    let next = observed.after(Trial::Report).and_then(|tried| tried.hail.as_ref());
    let mut evidence = vec![format!(
        "client {} signalé par la course {} : le registre refuse lui-même les suivantes",
        reported.customer_id, reported.id
    )];
    evidence
        .extend(next.map(|next| format!("course suivante {} pour le client {}", next.id, next.customer_id)));
    Ok(all_of(
        evidence,
        &[
            (reported.reporting_customer == Some(true), "le client n’a pas pu être signalé"),
            (
                next.is_some_and(|next| next.customer_id != reported.customer_id),
                "aucune course d’un autre client n’a suivi",
            ),
        ],
    ))
}

/// One customer has one hail at a time, and a request that is repeated makes none.
fn repeats(observed: &Observed) -> Judged {
    if observed.made.is_empty() {
        return (Verdict::NotSeen, vec!["aucune course n’a été faite".to_owned()]);
    }
    let mut by_customer: BTreeMap<&str, Vec<&Hail>> = BTreeMap::new();
    for hail in observed.made.iter().filter(|hail| hail.lasted().is_some()) {
        by_customer.entry(&hail.customer_id).or_default().push(hail);
    }
    let mut doubled = Vec::new();
    for hails in by_customer.values_mut() {
        hails.sort_by_key(|hail| hail.lasted());
        let began_before = |pair: &&[&Hail]| match (pair[0].lasted(), pair[1].lasted()) {
            (Some((_, ended)), Some((began, _))) => began < ended,
            _ => false,
        };
        let pairs = hails.windows(2).filter(began_before);
        doubled.extend(pairs.map(|pair| format!("{} et {}", pair[0].id, pair[1].id)));
    }
    let mut evidence = vec![format!("{} courses de {} clients", observed.made.len(), by_customer.len())];
    if !doubled.is_empty() {
        evidence.push(format!("en même temps : {}", doubled.join(" ; ")));
    }
    let is_single = (doubled.is_empty(), "un client a eu deux courses à la fois");
    let is_repeated = match observed.hail(Trial::Again) {
        Ok(hail) => {
            let is_repeated = observed.repeated.contains(&hail.id);
            let told = if is_repeated {
                "a été répétée, et n’en a fait qu’une"
            } else {
                "n’a pas été répétée"
            };
            evidence.push(format!("la demande de la course {} {told}", hail.id));
            (is_repeated, "aucune demande n’a été répétée sous sa clé (Idempotency-Key)")
        }
        Err((verdict, why)) if is_single.0 => {
            evidence.extend(why);
            return (verdict, evidence);
        }
        Err(_) => (true, ""),
    };
    all_of(evidence, &[is_single, is_repeated])
}
