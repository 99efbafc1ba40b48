//! Random sequences of calls: by whom, on what, right or with one flaw. Values come from small pools, so that calls
//! meet each other's rows.

use rand::RngExt as _;
use serde_json::{Map, Value, json};

use crate::harness::places::{MIDDLE, WEST};
use crate::sequences::{Random, Sequence};

/// Who calls, or is called for. The first six have accounts, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Admin,
    OperatorA,
    OperatorB,
    App,
    /// Without any role; may manage others.
    Boss,
    /// The integration account, which anybody may act as.
    Lent,
    /// A key, a name or a number that nobody has.
    Stranger,
    /// No key at all.
    Nobody,
}

/// Those with accounts: name and roles.
pub(crate) const ACCOUNTS: [(Who, &str, &[&str]); 6] = [
    (Who::Admin, "admin", &["admin"]),
    (Who::OperatorA, "op-a", &["operateur"]),
    (Who::OperatorB, "op-b", &["operateur"]),
    (Who::App, "app", &["moteur"]),
    (Who::Boss, "boss", &[]),
    (Who::Lent, "lent", &["moteur", "operateur"]),
];

/// Who is managed by whom from the start.
#[derive(Clone, Debug)]
pub(crate) struct Managed {
    pub(crate) who: Who,
    pub(crate) by: Who,
}

#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) who: Who,
    pub(crate) log_as: Option<Who>,
    pub(crate) flaw: Option<Flaw>,
    pub(crate) act: Act,
}

/// The n-th of nothing.
pub(crate) const UNKNOWN: usize = 5;

/// What is asked for. A taxi or vehicle is the n-th of those made so far, around and around, or [`UNKNOWN`].
#[derive(Clone, Debug)]
pub(crate) enum Act {
    AddDriver {
        licence: &'static str,
        departement: &'static str,
        first_name: &'static str,
    },
    AddVehicle {
        plate: &'static str,
        color: Option<&'static str>,
        nb_seats: Option<i32>,
        wifi: Option<bool>,
    },
    AddAds {
        numero: &'static str,
        insee: &'static str,
        owner_name: Option<&'static str>,
        vehicle: Option<usize>,
    },
    AddTaxi {
        ads: (&'static str, &'static str),
        plate: &'static str,
        driver: (&'static str, &'static str),
    },
    ReadTaxi(usize),
    ChangeTaxi {
        taxi: usize,
        status: Option<&'static str>,
        radius: Option<Option<i32>>,
    },
    ListTaxis {
        plate: Option<&'static str>,
        page: usize,
    },
    ReadAccount(Who),
    ChangeAccount {
        whom: Who,
        name: Option<Option<&'static str>>,
        phone: Option<&'static str>,
    },
    ListAccounts {
        email: Option<&'static str>,
        role: Option<&'static str>,
    },
    LogIn {
        whom: Who,
        key_of: Who,
    },
    ReadLog(usize),
}

/// What is wrong with a body; the number chooses the field.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Flaw {
    Missing(usize),
    Null(usize),
    Number(usize),
    Unknown,
}

/// How a field of a body may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    RequiredText,
    RequiredObject,
    OptionalText,
    NullableText,
}

/// The sequence of a seed.
pub(crate) fn random(seed: u64) -> Sequence<Managed, Call> {
    let mut random = Random::of(seed);
    let mut given = Vec::new();
    for who in [Who::OperatorA, Who::OperatorB, Who::App, Who::Lent] {
        if random.one_in(3) {
            let by = random.pick(&[Who::Boss, Who::OperatorA, Who::App]);
            given.extend((by != who).then_some(Managed { who, by }));
        }
    }
    let mut steps = Vec::new();
    for who in [Who::OperatorA, Who::OperatorB, Who::Lent] {
        if random.one_in(2) {
            steps.extend(fleet(who));
        }
    }
    let more = random.0.random_range(10..=60);
    steps.extend((0..more).map(|_| random.call()));
    Sequence { given, steps }
}

/// Everything that a first taxi needs, and it.
fn fleet(who: Who) -> [Call; 4] {
    let (licence, departement, plate) = ("L1", "75", "AA-111-AA");
    [
        Act::AddDriver { licence, departement, first_name: "Ada" },
        Act::AddVehicle { plate, color: None, nb_seats: None, wifi: None },
        Act::AddAds { numero: "1", insee: MIDDLE, owner_name: None, vehicle: None },
        Act::AddTaxi { ads: ("1", MIDDLE), plate, driver: (licence, departement) },
    ]
    .map(|act| Call { who, log_as: None, flaw: None, act })
}

impl Random {
    fn number(&mut self) -> usize {
        self.0.random_range(0..=UNKNOWN)
    }

    fn call(&mut self) -> Call {
        use Who::{Admin, App, Boss, Lent, Nobody, OperatorA, OperatorB, Stranger};
        let everybody = [Admin, OperatorA, OperatorB, App, Boss, Lent, Stranger, Nobody];
        let who = if self.one_in(2) { self.pick(&[OperatorA, OperatorB]) } else { self.pick(&everybody) };
        let log_as = self.one_in(6).then(|| self.pick(&everybody[..7]));
        let flaw = if self.one_in(6) {
            let number = self.number();
            Some(self.pick(&[Flaw::Missing(number), Flaw::Null(number), Flaw::Number(number), Flaw::Unknown]))
        } else {
            None
        };
        let act = self.act(who, &everybody[..7]);
        // Nobody else may read it, which is soon seen.
        let who = if matches!(act, Act::ReadLog(_)) && !self.one_in(4) { Admin } else { who };
        Call { who, log_as, flaw, act }
    }

    fn act(&mut self, who: Who, others: &[Who]) -> Act {
        let whom = if self.one_in(2) && who != Who::Nobody { who } else { self.pick(others) };
        let (licence, departement) =
            (self.pick(&["L1", "L1", "L2"]), self.pick(&["75", "75", "75", "33", "99"]));
        let plate = self.pick(&["AA-111-AA", "AA-111-AA", "BB-222-BB", "A1"]);
        let (numero, insee) =
            (self.pick(&["1", "1", "01"]), self.pick(&[MIDDLE, MIDDLE, MIDDLE, WEST, "99999"]));
        match self.0.random_range(0..14) {
            0 => Act::AddDriver { licence, departement, first_name: self.pick(&["Ada", "Ben"]) },
            1 => Act::AddVehicle {
                plate,
                color: self.maybe(&["red", "blue", ""]),
                nb_seats: self.maybe(&[4, 6]),
                wifi: self.maybe(&[true, false]),
            },
            2 => {
                let vehicle = self.one_in(2).then(|| self.number());
                Act::AddAds { numero, insee, owner_name: self.maybe(&["Own", ""]), vehicle }
            }
            3 => Act::AddTaxi { ads: (numero, insee), plate, driver: (licence, departement) },
            4 => Act::ReadTaxi(self.number()),
            5..=7 => Act::ChangeTaxi {
                taxi: self.number(),
                status: self.maybe(&["free", "free", "occupied", "off", "answering"]),
                radius: self.maybe(&[None, Some(150), Some(500), Some(149), Some(501)]),
            },
            8 => Act::ListTaxis { plate: self.maybe(&["aa-1", "B", "zz", ""]), page: self.pick(&[1, 1, 2]) },
            9 => Act::ReadAccount(whom),
            10 => Act::ChangeAccount {
                whom,
                name: self.maybe(&[Some("One"), Some("Two"), None]),
                phone: self.maybe(&["01", ""]),
            },
            11 => Act::ListAccounts {
                email: self.maybe(&["OP", "a", "zz"]),
                role: self.maybe(&["operateur", "x"]),
            },
            12 => Act::LogIn { whom, key_of: self.pick(&[whom, whom, who, Who::Stranger, Who::Nobody]) },
            _ => Act::ReadLog(self.number()),
        }
    }
}

impl Act {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::AddDriver { .. } => "add a driver",
            Self::AddVehicle { .. } => "add a vehicle",
            Self::AddAds { .. } => "add an ADS",
            Self::AddTaxi { .. } => "add a taxi",
            Self::ReadTaxi(_) => "read a taxi",
            Self::ChangeTaxi { .. } => "change a taxi",
            Self::ListTaxis { .. } => "list taxis",
            Self::ReadAccount(_) => "read an account",
            Self::ChangeAccount { .. } => "change an account",
            Self::ListAccounts { .. } => "list accounts",
            Self::LogIn { .. } => "log in",
            Self::ReadLog(_) => "read the log",
        }
    }
}

impl Call {
    /// The element of the body, its flaw in it; None for a call without a body. `vehicle` tells a vehicle's number.
    pub(crate) fn element(
        &self,
        vehicle: impl Fn(usize) -> i64,
        keys: impl Fn(Who) -> Option<String>,
    ) -> Option<Value> {
        let mut element = match &self.act {
            Act::AddDriver { licence, departement, first_name } => json!({
                "first_name": first_name, "last_name": "Martin", "professional_licence": licence,
                "departement": {"numero": departement},
            }),
            Act::AddVehicle { plate, color, nb_seats, wifi } => without_nulls(
                &json!({"licence_plate": plate, "color": color, "nb_seats": nb_seats, "wifi": wifi}),
            ),
            Act::AddAds { numero, insee, owner_name, vehicle: number } => without_nulls(&json!({
                "numero": numero, "insee": insee, "owner_name": owner_name, "vehicle_id": number.map(vehicle),
            })),
            Act::AddTaxi { ads, plate, driver } => json!({
                "ads": {"numero": ads.0, "insee": ads.1}, "vehicle": {"licence_plate": plate},
                "driver": {"professional_licence": driver.0, "departement": driver.1},
            }),
            Act::ChangeTaxi { status, radius, .. } => {
                given(&[("status", status.map(|s| json!(s))), ("radius", radius.map(|r| json!(r)))])
            }
            Act::ChangeAccount { name, phone, .. } => {
                given(&[("name", name.map(|n| json!(n))), ("phone_number_customer", phone.map(|p| json!(p)))])
            }
            Act::LogIn { whom, key_of } => {
                without_nulls(&json!({"email": whom.email(), "apikey": keys(*key_of)}))
            }
            _ => return None,
        };
        if let Some((name, value, _)) = self.wrong_field() {
            match value {
                Some(value) => element[name] = value,
                None => {
                    element.as_object_mut().map(|fields| fields.remove(name));
                }
            }
        }
        Some(element)
    }

    /// The field that the flaw spoils, what stands there instead (None: nothing) and what is to be said of it. None:
    /// there is no flaw, or it spoils nothing here.
    pub(crate) fn wrong_field(&self) -> Option<(&'static str, Option<Value>, Value)> {
        use Rule::{NullableText, OptionalText, RequiredObject, RequiredText};
        let (strict, rules): (bool, &[(&str, Rule)]) = match self.act {
            Act::AddDriver { .. } => (
                true,
                &[
                    ("first_name", RequiredText),
                    ("last_name", RequiredText),
                    ("professional_licence", RequiredText),
                ],
            ),
            Act::AddVehicle { .. } => (true, &[("licence_plate", RequiredText)]),
            Act::AddAds { .. } => (true, &[("numero", RequiredText), ("insee", RequiredText)]),
            Act::AddTaxi { .. } => {
                (false, &[("ads", RequiredObject), ("vehicle", RequiredObject), ("driver", RequiredObject)])
            }
            Act::ChangeTaxi { .. } => (false, &[("status", OptionalText)]),
            Act::ChangeAccount { .. } => (true, &[("name", NullableText), ("email_customer", NullableText)]),
            _ => return None,
        };
        let at = |number: usize| rules[number % rules.len()];
        match self.flaw? {
            Flaw::Missing(number) if matches!(at(number).1, RequiredText | RequiredObject) => {
                Some((at(number).0, None, json!(["Missing data for required field."])))
            }
            Flaw::Null(number) if at(number).1 != NullableText => {
                Some((at(number).0, Some(Value::Null), json!(["Field may not be null."])))
            }
            Flaw::Number(number) if at(number).1 == RequiredObject => {
                Some((at(number).0, Some(json!(7)), json!({"_schema": ["Invalid input type."]})))
            }
            Flaw::Number(number) => Some((at(number).0, Some(json!(7)), json!(["Not a valid string."]))),
            Flaw::Unknown if strict => Some(("surprise", Some(json!(1)), json!(["Unknown field."]))),
            _ => None,
        }
    }
}

impl Who {
    pub(crate) fn email(self) -> &'static str {
        ACCOUNTS.iter().find(|(who, ..)| *who == self).map_or("ghost", |(_, email, _)| *email)
    }

    /// Which account, if it has one.
    pub(crate) fn index(self) -> Option<usize> {
        ACCOUNTS.iter().position(|(who, ..)| *who == self)
    }
}

fn without_nulls(element: &Value) -> Value {
    let fields = element.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    Value::Object(fields.map(|(name, value)| (name.clone(), value.clone())).collect())
}

fn given(fields: &[(&str, Option<Value>)]) -> Value {
    let fields = fields.iter().filter_map(|(name, value)| Some(((*name).to_owned(), value.clone()?)));
    Value::Object(fields.collect::<Map<_, _>>())
}
