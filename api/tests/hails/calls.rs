//! Random sequences of what may happen to hails: by whom, to which, right or wrong. Values come from small pools, so
//! that steps meet each other's hails.

use rand::RngExt as _;
use serde_json::{Value, json};

use crate::contract::{ASKED, FIELDS, FRESH_MS, Field, Kind, STATUSES, Side};
use crate::sequences::{Random, Sequence};

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    Admin,
    App,
    OtherApp,
    /// With a server, for the most part.
    OperatorA,
    /// Without one.
    OperatorB,
    /// Operator and app in one.
    Both,
    /// Without a role.
    Nothing,
    /// A key that nobody has.
    Stranger,
    /// No key at all.
    Nobody,
}

use Who::{Admin, App, Both, Nobody, Nothing, OperatorA, OperatorB, OtherApp, Stranger};

const EVERYBODY: [Who; 9] = [Admin, App, OtherApp, OperatorA, OperatorB, Both, Nothing, Stranger, Nobody];

/// The taxis: vehicle, operator. Each operator of a vehicle has a taxi of it; the two of vehicle 3 are one car.
pub(crate) const TAXIS: [(u32, Who); 6] =
    [(1, OperatorA), (2, OperatorB), (3, OperatorA), (3, OperatorB), (4, Both), (5, OperatorB)];

/// The vehicle that is never heard of.
pub(crate) const SILENT: u32 = 5;

/// The n-th of nothing.
pub(crate) const UNKNOWN: usize = 9;

/// What holds from the start: the status of a taxi that is not free.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begins {
    pub(crate) taxi: usize,
    pub(crate) status: &'static str,
}

/// A caller, or whoever has to do with the hail that is meant.
#[derive(Clone, Copy, Debug)]
pub(crate) enum By {
    ItsOperator,
    ItsApp,
    Somebody(Who),
}

/// Which taxi is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Which {
    Taxi(usize),
    /// The n-th of those that can be had, if there is one.
    ToBeHad(usize),
}

/// Under which id a taxi is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KnownAs {
    ItsId,
    /// As the app found it just now, or when the sequence began.
    Pseudonym,
    OldPseudonym,
    /// As another app found it.
    ForeignPseudonym,
}

/// Which session is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Session {
    Whichever,
    /// That of this hail.
    Of(usize),
    /// One that there is not.
    Unknown,
}

/// What an operator's server does with a hail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    Takes,
    GivesItsNumber,
    Fails,
    Babbles,
    /// Until it is told what to do.
    Waits,
    /// Nobody listens there.
    IsGone,
    /// The operator names no server.
    IsNone,
}

/// How long the clock goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pass {
    Ms(i64),
    /// Until the moment of this hail, or so many milliseconds beside it.
    Until(Moment, usize, i64),
}

/// When something happens to a hail without anybody's doing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Moment {
    /// The deadline of the n-th one that lasts.
    Deadline,
    /// The next hail of its customer begins a session.
    SessionEnds,
    /// The ban of its customer ends.
    BanEnds,
    /// It is shown no longer.
    Gone,
    /// Its request is remembered no longer.
    Forgotten,
}

/// Somebody asks for a taxi.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) who: Who,
    pub(crate) taxi: Which,
    pub(crate) known_as: KnownAs,
    pub(crate) customer: &'static str,
    pub(crate) address: &'static str,
    pub(crate) session: Session,
    /// The name of the request.
    pub(crate) key: Option<&'static str>,
    /// Fields that are otherwise, or missing (None).
    pub(crate) spoilt: Vec<(&'static str, Option<Value>)>,
}

/// What happens. A hail is the n-th of those made so far, counted back from the newest one and around, or [`UNKNOWN`].
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Hail(Ask),
    /// The n-th request is made again, counted back from the last one, to the letter or with the customer elsewhere.
    HailAgain {
        request: usize,
        is_same: bool,
    },
    /// The n-th move that is legal then of the n-th hail that lasts, by whoever may make it, and perhaps a field. A
    /// taxi that accepts has a number, or not.
    MoveOn {
        hail: usize,
        which: usize,
        has_number: bool,
        also: Option<(&'static str, Value)>,
    },
    Change {
        by: By,
        hail: usize,
        /// None: a body without an element.
        wish: Option<Vec<(&'static str, Value)>>,
    },
    Read {
        who: Who,
        hail: usize,
    },
    /// The server of operator A does so with the hails that come from now on.
    Serve(Manner),
    /// It answers the n-th call that waits.
    Answer {
        call: usize,
        manner: Manner,
    },
    Wait(Pass),
    SetTaxi {
        who: Who,
        taxi: usize,
        status: Option<&'static str>,
        radius: Option<Option<i32>>,
    },
    /// The n-th source, or all of them, tells that it is at this place.
    Locate {
        source: Option<usize>,
        place: usize,
    },
}

/// The sequence of a seed.
pub(crate) fn random(seed: u64) -> Sequence<Begins, Step> {
    let mut random = Random::of(seed);
    let mut given = Vec::new();
    for taxi in 0..TAXIS.len() {
        if random.one_in(8) {
            given.push(Begins { taxi, status: random.pick(&["off", "occupied"]) });
        }
    }
    let mut steps = Vec::new();
    if random.one_in(3) {
        steps.push(Step::Serve(random.manner()));
    }
    steps.push(Step::Hail(random.ask()));
    // So that some get far.
    if !random.one_in(3) {
        let count = random.0.random_range(1..=5);
        steps.extend((0..count).map(|_| Step::MoveOn { hail: 0, which: 0, has_number: true, also: None }));
        let which = random.0.random_range(0..5);
        steps.push(Step::MoveOn { hail: 0, which, has_number: true, also: None });
    }
    let count = random.0.random_range(8..=22);
    for _ in 0..count {
        if random.one_in(12) {
            steps.extend(random.scene());
        } else {
            steps.push(random.step());
        }
    }
    Sequence { given, steps }
}

impl Random {
    /// Which hail: a new one, for the most part.
    fn hail(&mut self) -> usize {
        if self.one_in(20) { UNKNOWN } else { self.pick(&[0, 0, 0, 0, 1, 1, 2, 3, 4]) }
    }

    fn by(&mut self) -> By {
        let somebody = By::Somebody(self.pick(&EVERYBODY));
        self.pick(&[By::ItsOperator, By::ItsOperator, By::ItsApp, By::ItsApp, somebody])
    }

    /// What chance would hardly bring about.
    fn scene(&mut self) -> Vec<Step> {
        if self.one_in(3) { self.freed_by_hand() } else { self.customer_comes_back() }
    }

    /// An operator says that a taxi is free which has a hail, and it gets another one.
    fn freed_by_hand(&mut self) -> Vec<Step> {
        let taxi = self.0.random_range(0..TAXIS.len() - 1);
        let mut steps = Vec::new();
        for _ in 0..2 {
            steps.push(Step::SetTaxi { who: TAXIS[taxi].1, taxi, status: Some("free"), radius: None });
            let (which, known_as, spoilt) = (Which::Taxi(taxi), KnownAs::ItsId, Vec::new());
            steps.push(Step::Hail(Ask { who: App, taxi: which, known_as, spoilt, ..self.ask() }));
        }
        for hail in [1, 0] {
            let which = self.0.random_range(0..5);
            steps.push(Step::MoveOn { hail, which, has_number: true, also: None });
        }
        steps
    }

    /// A customer is banned, or not, and comes back after a while.
    fn customer_comes_back(&mut self) -> Vec<Step> {
        let beside = self.pick(&[-1, 0, 1]);
        let again = |request| Step::HailAgain { request, is_same: true };
        // Else nobody would be seen any more.
        let back = || [Step::Locate { source: None, place: 1 }, again(0)];
        let mut steps = Vec::new();
        let moment = if self.one_in(2) {
            let (hails, who) = (self.pick(&[1, 2, 2]), self.pick(&[App, OtherApp, Both]));
            for _ in 0..hails {
                let (taxi, session, spoilt) = (Which::ToBeHad(0), Session::Whichever, Vec::new());
                steps.push(Step::Hail(Ask { who, taxi, customer: "ann", session, spoilt, ..self.ask() }));
            }
            for hail in 0..hails {
                let report = vec![("reporting_customer", json!(true))];
                steps.push(Step::Change { by: By::ItsOperator, hail, wish: Some(report) });
            }
            steps.push(again(self.pick(&[0, 0, 1])));
            Moment::BanEnds
        } else {
            self.pick(&[Moment::SessionEnds, Moment::SessionEnds, Moment::Gone, Moment::Forgotten])
        };
        if self.one_in(2) {
            steps.push(Step::Wait(Pass::Until(moment, 0, beside)));
            steps.extend(back());
        }
        steps
    }

    fn step(&mut self) -> Step {
        match self.0.random_range(0..100) {
            0..19 => Step::Hail(self.ask()),
            19..22 => Step::HailAgain { request: self.pick(&[0, 0, 1]), is_same: !self.one_in(4) },
            22..50 => {
                let which = if self.one_in(2) { self.0.random_range(0..5) } else { 0 };
                let also = if self.one_in(3) { self.wish(None, 1).pop() } else { None };
                let has_number = !self.one_in(4);
                Step::MoveOn { hail: self.pick(&[0, 0, 0, 1, 2]), which, has_number, also }
            }
            50..64 => {
                let by = self.by();
                let wish = (!self.one_in(20)).then(|| self.wish(by.side(), 5));
                Step::Change { by, hail: self.hail(), wish }
            }
            64..67 => Step::Read { who: self.pick(&EVERYBODY), hail: self.hail() },
            67..72 => Step::Serve(self.manner()),
            72..76 => {
                use Manner::{Babbles, Fails, GivesItsNumber, Takes};
                let manner = self.pick(&[Takes, GivesItsNumber, Fails, Babbles]);
                Step::Answer { call: self.pick(&[0, 1]), manner }
            }
            76..88 => Step::Wait(self.pass()),
            88..94 => {
                let taxi = self.taxi();
                let own = TAXIS.get(taxi).map_or(OperatorA, |taxi| taxi.1);
                Step::SetTaxi {
                    who: if self.one_in(4) { self.pick(&EVERYBODY) } else { own },
                    taxi,
                    status: self.maybe(&[
                        "free",
                        "free",
                        "free",
                        "free",
                        "free",
                        "occupied",
                        "off",
                        "answering",
                    ]),
                    radius: self.maybe(&[None, Some(150), Some(500), Some(149)]),
                }
            }
            _ => {
                let source = (!self.one_in(2)).then(|| self.0.random_range(0..8));
                Step::Locate { source, place: self.0.random_range(0..3) }
            }
        }
    }

    fn manner(&mut self) -> Manner {
        use Manner::{Babbles, Fails, GivesItsNumber, IsGone, IsNone, Takes, Waits};
        self.pick(&[Takes, Takes, GivesItsNumber, Fails, Babbles, Waits, Waits, Waits, IsGone, IsNone])
    }

    fn taxi(&mut self) -> usize {
        if self.one_in(20) { UNKNOWN } else { self.pick(&[0, 0, 0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 4, 4, 5]) }
    }

    fn ask(&mut self) -> Ask {
        let who = if self.one_in(6) { self.pick(&EVERYBODY) } else { self.pick(&[App, App, OtherApp, Both]) };
        let session = match self.0.random_range(0..24) {
            0..4 => Session::Of(self.hail()),
            4 => Session::Unknown,
            _ => Session::Whichever,
        };
        let mut spoilt = Vec::new();
        while spoilt.len() < 3 && self.one_in(if spoilt.is_empty() { 16 } else { 2 }) {
            let Field { name, .. } = self.pick(ASKED);
            let value = match self.0.random_range(0..3) {
                0 => None,
                1 => Some(Value::Null),
                _ => Some(self.wrong()),
            };
            spoilt.push((if self.one_in(6) { "surprise" } else { name }, value));
        }
        Ask {
            who,
            taxi: if self.one_in(3) {
                Which::Taxi(self.taxi())
            } else {
                Which::ToBeHad(self.pick(&[0, 0, 1, 2, 3]))
            },
            known_as: match self.0.random_range(0..16) {
                0..7 => KnownAs::ItsId,
                7..13 => KnownAs::Pseudonym,
                13..15 => KnownAs::OldPseudonym,
                _ => KnownAs::ForeignPseudonym,
            },
            customer: self.pick(&["ann", "ann", "bob"]),
            address: if self.one_in(16) { "" } else { self.pick(&["1 rue X", "2 rue Y"]) },
            session,
            key: self.one_in(3).then(|| self.pick(&["k1", "k2", "k3"])),
            spoilt,
        }
    }

    /// One field, for the most part, of this side, for the most part.
    fn wish(&mut self, side: Option<Side>, most: usize) -> Vec<(&'static str, Value)> {
        let mut wish = Vec::new();
        if most > 1 && self.one_in(3) {
            wish.push(("status", json!(self.pick(STATUSES))));
        }
        while wish.is_empty() || (wish.len() < most && self.one_in(2)) {
            let field = self.pick(FIELDS);
            let name = if self.one_in(40) { "surprise" } else { field.name };
            let is_theirs = field.side.is_none() || side.is_none() || field.side == side;
            if wish.iter().all(|(other, _)| *other != name) && (is_theirs || self.one_in(6)) {
                wish.push((name, self.value(field)));
            }
        }
        wish
    }

    fn value(&mut self, field: Field) -> Value {
        if self.one_in(if field.may_be_null { 5 } else { 40 }) {
            return Value::Null;
        }
        if self.one_in(20) {
            return self.wrong();
        }
        match field.kind {
            Kind::Text => json!(self.pick(&["0612345678", "0600000000", "2 rue Y", ""])),
            Kind::OneOf(choices) if choices == STATUSES => json!(self.pick(choices)),
            // Two of them, so that what is there is often asked for again.
            Kind::OneOf(choices) => json!(self.pick(&choices[..2])),
            Kind::Boolean => json!(self.pick(&[true, true, false])),
            Kind::Integer => json!(self.pick(&[4, 5])),
            Kind::Lon => json!(self.pick(&[2.35, 2.36])),
            Kind::Lat => json!(self.pick(&[48.85, 48.86])),
            Kind::Radius | Kind::Uuid => Value::Null,
        }
    }

    /// Wrong for most fields.
    fn wrong(&mut self) -> Value {
        [json!("x"), json!(200), json!([])][self.0.random_range(0..3)].clone()
    }

    fn pass(&mut self) -> Pass {
        let beside = self.pick(&[-1, 0, 0, 1]);
        if self.one_in(4) {
            return Pass::Ms(self.pick(&[1, 1_000, FRESH_MS - 1, FRESH_MS, 3_600_000]));
        }
        Pass::Until(Moment::Deadline, self.pick(&[0, 0, 1, 2]), beside)
    }
}

impl By {
    fn side(self) -> Option<Side> {
        match self {
            Self::ItsOperator => Some(Side::Operator),
            Self::ItsApp => Some(Side::App),
            Self::Somebody(_) => None,
        }
    }
}

impl Step {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Hail(_) => "hail",
            Self::HailAgain { .. } => "hail again",
            Self::MoveOn { .. } => "move on",
            Self::Change { .. } => "change",
            Self::Read { .. } => "read",
            Self::SetTaxi { .. } => "set a taxi",
            Self::Serve(_) => "serve",
            Self::Answer { .. } => "answer",
            Self::Wait(_) => "wait",
            Self::Locate { .. } => "locate",
        }
    }
}

impl Who {
    /// The name of its account, if it has one.
    pub(crate) fn account(self) -> Option<&'static str> {
        match self {
            Admin => Some("admin"),
            App => Some("app"),
            OtherApp => Some("other-app"),
            OperatorA => Some("op-a"),
            OperatorB => Some("op-b"),
            Both => Some("both"),
            Nothing => Some("nothing"),
            Stranger | Nobody => None,
        }
    }
}
