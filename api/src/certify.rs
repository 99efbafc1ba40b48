//! « Recette » : whether a partner's integration does what is asked of it, judged by machine.
//!
//! A runner plays the other side of hails through the public API ([`as_app`], [`as_operator`]) and writes down what it
//! observed; [`judge`] makes findings of that, without I/O and without knowing the time; [`report`] shows them.

use serde::{Deserialize, Serialize};

pub mod as_app;
pub mod as_operator;
pub mod observed;
mod of_operator;
mod of_search;
pub mod report;
pub mod run;

use observed::Observed;

/// Who is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// An operator of taxis.
    Operator,
    /// A search app.
    Search,
}

/// What a hail of a run tries. The partner is told before it which one is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trial {
    /// A ride to its end.
    Ride,
    /// The taxi refuses.
    Refuse,
    /// Nobody answers.
    Ignore,
    /// The customer cancels.
    Cancel,
    /// The ride is broken off.
    Incident,
    /// The operator reports the customer.
    Report,
    /// Once more, after what was before it.
    Again,
}

/// What is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Item {
    /// How often positions come.
    Cadence,
    /// How old they are when they come.
    Age,
    /// Whether taxis are free when they say so, and again after a hail.
    Statuses,
    /// Whether datagrams are signed as they should be.
    Signatures,
    /// Whether datagrams come twice.
    Duplicates,
    /// Whether customers stand where taxis were looked for.
    Places,
    /// A hail to its end, each side in time.
    Answered,
    /// A hail that the taxi refuses.
    Refused,
    /// A hail that nobody answers.
    Ignored,
    /// A hail that the customer cancels.
    Cancelled,
    /// A ride that is broken off.
    Incident,
    /// A customer who is banned.
    Ban,
    /// What comes again of a customer: a hail after one that was cancelled, a request that is repeated, and never two
    /// hails at a time.
    Repeats,
    /// What the customer says of the ride.
    Feedback,
}

/// What became of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is as it should be.
    Passed,
    /// It is not.
    Failed,
    /// Nothing was observed that could tell.
    NotSeen,
    /// It is about something that this partner does not do.
    NotApplicable,
}

/// An item, with what it was judged by, in French.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which one.
    pub item: Item,
    /// What became of it.
    pub verdict: Verdict,
    /// Times, ids, counts.
    pub evidence: Vec<String>,
}

/// What is still well.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The longest time without a new position of a taxi, in seconds.
    pub cadence_s: i64,
    /// Of a hundred positions how many may be more than five seconds old when they come.
    pub old_percent: u64,
    /// How far from the taxi a customer may be who found it, in metres.
    pub distance_m: f64,
}

impl Default for Rules {
    fn default() -> Self {
        Self { cadence_s: 10, old_percent: 10, distance_m: 600.0 }
    }
}

impl Side {
    /// Its hails, in order.
    pub fn trials(self) -> &'static [Trial] {
        use Trial as T;
        match self {
            Self::Operator => &[T::Ride, T::Refuse, T::Ignore, T::Cancel, T::Again, T::Incident, T::Report],
            Self::Search => &[T::Ride, T::Refuse, T::Ignore, T::Cancel, T::Incident, T::Report, T::Again],
        }
    }

    /// What is judged.
    pub fn items(self) -> &'static [Item] {
        use Item as I;
        match self {
            Self::Operator => &[
                I::Cadence,
                I::Age,
                I::Statuses,
                I::Signatures,
                I::Duplicates,
                I::Answered,
                I::Refused,
                I::Ignored,
                I::Cancelled,
                I::Repeats,
                I::Incident,
                I::Ban,
            ],
            Self::Search => &[
                I::Places,
                I::Answered,
                I::Feedback,
                I::Refused,
                I::Ignored,
                I::Cancelled,
                I::Incident,
                I::Ban,
                I::Repeats,
            ],
        }
    }

    /// What the partner is asked to do at a trial, in French.
    pub fn asks(self, trial: Trial) -> &'static str {
        match (self, trial) {
            (Self::Operator, Trial::Ride) => "acceptez la course, prenez le client à bord, puis terminez-la",
            (Self::Operator, Trial::Refuse) => "refusez la course avec un motif, puis remettez le taxi libre",
            (Self::Operator, Trial::Ignore) => {
                "affichez la course au chauffeur et n’y répondez pas, puis remettez le taxi libre"
            }
            (Self::Operator, Trial::Cancel) => "affichez la course au chauffeur : le client annulera",
            (Self::Operator, Trial::Again) => "le même client redemande : affichez la course au chauffeur",
            (Self::Operator, Trial::Incident) => {
                "acceptez la course, puis déclarez un incident du taxi avec son motif"
            }
            (Self::Operator, Trial::Report) => {
                "refusez la course avec un motif, signalez le client, puis remettez le taxi libre"
            }
            (Self::Search, Trial::Ride) => {
                "demandez le taxi, confirmez, et notez la course une fois terminée"
            }
            (Self::Search, Trial::Refuse) => "demandez le taxi : il refusera",
            (Self::Search, Trial::Ignore) => "demandez le taxi : il ne répondra pas",
            (Self::Search, Trial::Cancel) => "demandez le taxi, puis annulez",
            (Self::Search, Trial::Incident) => {
                "demandez le taxi, confirmez, puis déclarez un incident du client avec son motif"
            }
            (Self::Search, Trial::Report) => "demandez le taxi : il refusera, et signalera le client",
            (Self::Search, Trial::Again) => {
                "demandez le taxi pour un autre client, celui d’avant étant exclu, et répétez la demande sous la même \
                 clé (Idempotency-Key), comme si la réponse n’était pas venue"
            }
        }
    }

    /// What it is called, in French.
    pub fn name(self) -> &'static str {
        match self {
            Self::Operator => "opérateur",
            Self::Search => "application de recherche",
        }
    }
}

impl Item {
    /// What it is called, in French.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cadence => "Cadence des positions",
            Self::Age => "Âge des positions",
            Self::Statuses => "Statuts du taxi",
            Self::Signatures => "Signature des datagrammes",
            Self::Duplicates => "Datagrammes en double",
            Self::Places => "Lieu du client",
            Self::Answered => "Course menée à son terme",
            Self::Refused => "Course refusée",
            Self::Ignored => "Course sans réponse",
            Self::Cancelled => "Course annulée par le client",
            Self::Incident => "Incident",
            Self::Ban => "Client exclu",
            Self::Repeats => "Répétitions et doublons",
            Self::Feedback => "Avis du client",
        }
    }
}

impl Verdict {
    /// What it is called, in French.
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "réussi",
            Self::Failed => "échoué",
            Self::NotSeen => "non observé",
            Self::NotApplicable => "sans objet",
        }
    }
}

/// What was observed, judged item by item.
pub fn judge(side: Side, observed: &Observed, rules: Rules) -> Vec<Finding> {
    let judged = |item| match side {
        Side::Operator => of_operator::judge(item, observed, rules),
        Side::Search => of_search::judge(item, observed, rules),
    };
    let finding = |item: &Item| {
        let (verdict, evidence) = judged(*item);
        Finding { item: *item, verdict, evidence }
    };
    side.items().iter().map(finding).collect()
}
