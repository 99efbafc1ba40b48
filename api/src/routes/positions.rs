//! `POST /positions`: thousands of positions of the caller's taxis, read as they come and taken one by one.
//!
//! What is wrong with one position keeps none of the others out. The answer comes once those that were taken are synced
//! in the log, or once the request cannot be read on; then it says what was taken before.

mod appends;
mod item;
mod ndjson;

use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use ingest::clock::Millis;
use ingest::gate::{Passed, Refusal};
use ingest::log::Full;
use ingest::position::Transport;
use ingest::wire::arrow::{BadStream, Row, Stream};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

use self::appends::{Appends, NotTaken};
use self::item::{Given, Wrong};
use self::ndjson::{Line, Lines};
use crate::app::App;
use crate::auth::{Caller, Peer};
use crate::error::{Answer, Problem};
use crate::form::envelope;
use crate::limits::{
    self, REFUSALS_SHOWN_MAX, STREAMED_MAX_BYTES, STREAMED_POSITIONS_MAX, STREAMED_REQUESTS_AN_ACCOUNT,
    STREAMED_REQUESTS_MAX, STREAMED_WITHIN,
};
use crate::openapi::{Chapter, Operation};
use crate::role::REGISTRARS;
use crate::router::Pieces;
use crate::shares::{NoShare, Shares};

/// Its path, which the router knows as the one whose body it does not read.
pub const PATH: &str = "/positions";

/// How many of these requests are read at a time, and how long each may take.
#[derive(Clone, Debug)]
pub struct Room {
    shares: Shares,
    within: Duration,
}

impl Room {
    /// For so many.
    pub fn new(limits: limits::Http) -> Self {
        let shares = Shares::new(STREAMED_REQUESTS_MAX, STREAMED_REQUESTS_AN_ACCOUNT);
        Self { shares, within: limits.streamed_within }
    }
}

/// What became of the positions of a request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
#[schema(as = PositionsTaken)]
pub struct Taken {
    /// How many are safe in the log.
    pub taken: u64,
    /// How many were refused.
    pub refused: u64,
    /// The first hundred of these.
    #[schema(max_items = 100)]
    pub refusals: Vec<RefusedPosition>,
}

/// A position that was refused.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct RefusedPosition {
    /// Which one: its place in the request, from 0. Empty lines are none.
    pub index: u64,
    /// The field that is wrong; null where it is all of it.
    pub field: Option<String>,
    /// Why: one of the reasons of `GET /operators/{id}/refusals`.
    pub reason: &'static str,
}

/// Takes positions: 200 once those that were taken are safe. What is refused is noted for its operator.
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    Peer(from): Peer,
    headers: HeaderMap,
    Extension(room): Extension<Room>,
    pieces: Pieces,
) -> Answer<Response> {
    caller.require(REGISTRARS)?;
    let mut reader = Reader::of(&headers).ok_or_else(unknown_type)?;
    let _share = room.shares.take(caller.0.id).map_err(no_room)?;
    let sender = item::Sender { caller: &caller, from };
    let mut intake = Intake {
        app: &app,
        sender,
        appends: Appends::new(&app, room.within),
        read: 0,
        passed: Passed::default(),
        told: Taken::default(),
    };
    let read = read(&mut reader, &pieces, room.within, &mut intake).await;
    let finished = intake.appends.finish().await;
    let told = Taken { taken: intake.appends.taken(), ..intake.told };
    app.meters.http_positions.add(told.taken);
    app.meters.http_clocks_off.add(intake.passed.clocks_off);
    app.refusals.count_accepted(caller.operator(), Transport::Http, &intake.passed);
    match read.and(finished.map_err(Stop::Log)) {
        Ok(()) => Ok(envelope::of_one(told).into_response()),
        Err(stop) => Err(stop.problem(&told)),
    }
}

/// `POST /positions` in the reference.
pub fn describe_create() -> Operation {
    let about = "Each position is taken or refused by itself. Answered once those that were taken are safe in the \
                 log: no acknowledged position is lost. A request that cannot be read to its end says in `data` what \
                 was taken before; repeating it is harmless. A position counts for 120 seconds from its receipt; the \
                 status is logged, and not shown.\n\nEither a JSON object a line, or an Arrow IPC stream of one schema \
                 and batches of at most 1 MiB: `taxi` and `status` are utf8 or large utf8, `timestamp` is a timestamp \
                 of any unit, the others are float64 or float32; columns come in any order; neither dictionaries nor \
                 compression are read.";
    let line = json!({"taxi": "yCnSfFy", "lat": 48.8566, "lon": 2.3522, "speed": 8.3, "heading": 271.5,
                      "accuracy": 4.0, "timestamp": 1_790_000_000.25, "status": "free"});
    let told = Taken {
        taken: 4_998,
        refused: 2,
        refusals: vec![RefusedPosition {
            index: 17,
            field: Some("lat".to_owned()),
            reason: Refusal::LatOutOfRange.name(),
        }],
    };
    let lines = json!({"schema": item::schema(), "example": line.to_string() + "\n"});
    let columns = json!({"schema": {"type": "string", "format": "binary", "maxLength": STREAMED_MAX_BYTES}});
    let cut_off = Stop::CutOff.problem(&told);
    Operation::new(Chapter::Operators, "Tells where thousands of taxis are", about)
        .roles(REGISTRARS)
        .media([(NDJSON, lines), (ARROW, columns)])
        .one(200, "What became of them.", &told)
        .refuses_with("The body breaks off, or is no Arrow IPC stream.", &cut_off)
        .refuses_with("The body does not come in time.", &Stop::Slow(STREAMED_WITHIN).problem(&told))
        .refuses_with("The body is too large, or has too many positions.", &Stop::TooLarge.problem(&told))
        .refuses_with("The body is of neither type.", &unknown_type())
        .refuses_with("The account has too many of these requests under way.", &no_room(NoShare::OfAccount))
        .refuses_with("There are too many of them under way.", &no_room(NoShare::Left))
        .refuses_with("The log takes nothing now.", &Stop::Log(NotTaken::Full(Full::Queue)).problem(&told))
}

fn no_room(why: NoShare) -> Problem {
    Problem::overloaded(match why {
        NoShare::Left => "streams of positions",
        NoShare::OfAccount => "streams of positions of this account",
    })
}

const NDJSON: &str = "application/x-ndjson";
const ARROW: &str = "application/vnd.apache.arrow.stream";

fn unknown_type() -> Problem {
    let message = format!("Positions come as {NDJSON} or {ARROW}: please set the Content-Type header.");
    Problem::whole(StatusCode::UNSUPPORTED_MEDIA_TYPE, &message)
}

/// A body as far as it was read.
enum Reader {
    Lines(Lines),
    Columns(Stream),
}

impl Reader {
    /// For a body of one of the types that are taken.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let given = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        match given.split(';').next()?.trim().to_ascii_lowercase().as_str() {
            NDJSON => Some(Self::Lines(Lines::default())),
            ARROW => Some(Self::Columns(Stream::default())),
            _ => None,
        }
    }

    /// Hands over every position in the next bytes.
    async fn push(&mut self, bytes: &[u8], intake: &mut Intake<'_>) -> Result<(), Stop> {
        match self {
            Self::Lines(lines) => {
                lines.push(bytes);
                while let Some(line) = lines.next() {
                    intake.line(line).await?;
                }
            }
            Self::Columns(stream) => {
                stream.push(bytes);
                while let Some(rows) = stream.next_batch()? {
                    for row in rows.iter() {
                        intake.row(row).await?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Hands over what has come to its end with the body.
    async fn finish(&mut self, intake: &mut Intake<'_>) -> Result<(), Stop> {
        match self {
            Self::Lines(lines) => match lines.last() {
                Some(line) => intake.line(line).await,
                None => Ok(()),
            },
            Self::Columns(stream) => Ok(stream.finish()?),
        }
    }
}

async fn read(
    reader: &mut Reader,
    pieces: &Pieces,
    within: Duration,
    intake: &mut Intake<'_>,
) -> Result<(), Stop> {
    let (until, mut size) = (Instant::now() + within, 0);
    loop {
        match timeout_at(until, pieces.next()).await {
            Err(_) => return Err(Stop::Slow(within)),
            Ok(None) => return reader.finish(intake).await,
            Ok(Some(Err(_))) => return Err(Stop::CutOff),
            Ok(Some(Ok(bytes))) => {
                size += bytes.len();
                if size > STREAMED_MAX_BYTES {
                    return Err(Stop::TooLarge);
                }
                reader.push(&bytes, intake).await?;
            }
        }
    }
}

/// Why a request was not read to its end, or what was read is not safe.
enum Stop {
    /// The connection, or the way in which its bytes are sent, broke.
    CutOff,
    /// It did not come in this time.
    Slow(Duration),
    /// It has too many bytes.
    TooLarge,
    /// It has too many positions.
    TooMany,
    /// It is no Arrow IPC stream of positions.
    Columns(BadStream),
    /// The log did not take what was read.
    Log(NotTaken),
}

impl From<BadStream> for Stop {
    fn from(bad: BadStream) -> Self {
        Self::Columns(bad)
    }
}

impl Stop {
    /// The answer: why, and beside it what became of the positions before.
    fn problem(self, told: &Taken) -> Problem {
        let rest = "The positions before were looked at, see data; those after were not.";
        let whole = |status, why: &str| Problem::whole(status, &format!("{why} {rest}"));
        let problem = match self {
            Self::CutOff => whole(StatusCode::BAD_REQUEST, "The body breaks off."),
            Self::Slow(within) => {
                let why = format!("The body did not come within {} seconds.", within.as_secs_f64());
                whole(StatusCode::REQUEST_TIMEOUT, &why)
            }
            Self::TooLarge => {
                let why = format!("The body may not exceed {STREAMED_MAX_BYTES} bytes.");
                whole(StatusCode::PAYLOAD_TOO_LARGE, &why)
            }
            Self::TooMany => {
                let why = format!("A request may not have more than {STREAMED_POSITIONS_MAX} positions.");
                whole(StatusCode::PAYLOAD_TOO_LARGE, &why)
            }
            Self::Columns(bad) => {
                whole(StatusCode::BAD_REQUEST, &format!("This is no Arrow IPC stream of positions: {bad}."))
            }
            Self::Log(not_taken) => not_taken.problem(),
        };
        problem.beside(json!([told]))
    }
}

/// The way of one request's positions.
struct Intake<'a> {
    app: &'a App,
    sender: item::Sender<'a>,
    appends: Appends<'a>,
    /// How many positions were read.
    read: u64,
    /// Those that are right.
    passed: Passed,
    /// What was refused of them.
    told: Taken,
}

impl Intake<'_> {
    async fn line(&mut self, line: Line<'_>) -> Result<(), Stop> {
        let read = match line {
            Line::TooLong => Err(Wrong::all(Refusal::TooLong)),
            Line::Whole(bytes) => item::parse(bytes),
        };
        match &read {
            Ok(value) => self.judge(Given::of_json(value), || value.clone()).await,
            Err(wrong) => self.judge(Err(wrong.clone()), || Value::Null).await,
        }
    }

    async fn row(&mut self, row: Row<'_>) -> Result<(), Stop> {
        self.judge(Given::of_row(&row), || item::as_json(&row)).await
    }

    /// Takes a position, or notes that it was refused; `sent` is what was sent, if it can be shown.
    async fn judge(
        &mut self,
        given: Result<Given<'_>, Wrong>,
        sent: impl FnOnce() -> Value,
    ) -> Result<(), Stop> {
        let index = self.read;
        self.read += 1;
        if self.read > STREAMED_POSITIONS_MAX {
            return Err(Stop::TooMany);
        }
        let now: Millis = self.app.clock.now();
        let operator = self.sender.caller.operator();
        match given.and_then(|given| given.check(self.app.registry.directory(), operator, now)) {
            Ok(position) => {
                self.passed.add(&position);
                self.appends.add(position).await.map_err(Stop::Log)
            }
            Err(wrong) => {
                self.sender.note(&self.app.refusals, wrong.refusal, &sent(), now);
                self.told.refused += 1;
                if self.told.refusals.len() < REFUSALS_SHOWN_MAX {
                    let (field, reason) = (wrong.field, wrong.refusal.name());
                    self.told.refusals.push(RefusedPosition { index, field, reason });
                }
                Ok(())
            }
        }
    }
}
