//! A small operator: one taxi, its positions, and a server that takes hails and drives them to their end.
//!
//! ```sh
//! cargo run --release --example operator -- --email my-taxis --key KEY
//! ```
//!
//! The registry has to run with `MARAUDE_PRIVATE_ENDPOINTS=true` (the demonstration does), because this server is on a
//! private address.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use clap::Parser;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::time::{interval, sleep};

/// How long a signed call is good: what is older was recorded and sent again.
const SIGNED_WITHIN_S: u64 = 300;

/// What went wrong is for people to read.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Who we are, and where.
#[derive(Clone, Parser)]
struct Args {
    /// The registry.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    registry: String,
    /// Our account.
    #[arg(long)]
    email: String,
    /// Its API key.
    #[arg(long)]
    key: String,
    /// Where we take hails.
    #[arg(long, default_value = "127.0.0.1:9000")]
    listen: SocketAddr,
    /// Where our taxi waits: longitude.
    #[arg(long, default_value_t = 2.3522)]
    lon: f64,
    /// Latitude.
    #[arg(long, default_value_t = 48.8566)]
    lat: f64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let operator = Operator { args: Args::parse(), http: reqwest_client()?, known: Arc::default() };
    operator.take_hails_here().await?;
    let taxi = operator.register().await?;
    println!("taxi {taxi} is free at {} {}", operator.args.lat, operator.args.lon);
    let reporting = operator.clone();
    tokio::spawn(async move { reporting.report_positions(&taxi).await });
    let listener = TcpListener::bind(operator.args.listen).await?;
    axum::serve(listener, Router::new().route("/hail", post(hail)).with_state(operator)).await?;
    Ok(())
}

fn reqwest_client() -> Result<reqwest::Client> {
    // Another one may be there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(reqwest::Client::builder().timeout(Duration::from_secs(10)).build()?)
}

/// Takes a hail: the registry has ten seconds for us, so what takes longer is done afterwards.
async fn hail(
    State(operator): State<Operator>,
    headers: HeaderMap,
    body: Bytes,
) -> std::result::Result<Json<Value>, StatusCode> {
    let signature =
        headers.get("X-Maraude-Signature").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !is_signed(signature, &body, &operator.args.key) {
        return Err(StatusCode::FORBIDDEN);
    }
    let hail: Value = serde_json::from_slice(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
    let (id, address) = (text(&hail, "/data/0/id"), text(&hail, "/data/0/customer_address"));
    // A hail may be sent again where the registry does not know whether it came.
    let is_new = operator.known.lock().is_ok_and(|mut known| known.insert(id.clone()));
    if is_new {
        println!("{id}: a customer waits at {address}");
        tokio::spawn(async move {
            if let Err(error) = operator.drive(&id).await {
                println!("{id}: {error}");
            }
        });
    }
    Ok(Json(json!({"data": [{"taxi_phone_number": "0612345678"}]})))
}

/// Checks `t=<seconds>,v1=<HMAC-SHA256 of "<t>.<body>" under our API key>`, of the last minutes.
fn is_signed(signature: &str, body: &[u8], key: &str) -> bool {
    let part = |name| signature.split(',').find_map(|part| part.split_once('=').filter(|(n, _)| *n == name));
    let (Some((_, at)), Some((_, code))) = (part("t"), part("v1")) else { return false };
    let is_recent = at.parse::<u64>().is_ok_and(|at| at.abs_diff(now_s()) < SIGNED_WITHIN_S);
    let code: Option<Vec<u8>> =
        (0..code.len()).step_by(2).map(|i| u8::from_str_radix(code.get(i..i + 2)?, 16).ok()).collect();
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(key.as_bytes()) else { return false };
    let mac = mac.chain_update(at).chain_update(".").chain_update(body);
    is_recent && code.is_some_and(|code| mac.verify_slice(&code).is_ok())
}

#[expect(clippy::disallowed_methods, reason = "the rule is the registry's own code's")]
fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Our side of the registry.
#[derive(Clone)]
struct Operator {
    args: Args,
    http: reqwest::Client,
    /// Hails that came.
    known: Arc<Mutex<HashSet<String>>>,
}

impl Operator {
    /// Says where hails are to be sent.
    async fn take_hails_here(&self) -> Result<()> {
        let own = json!({"email": self.args.email, "apikey": self.args.key});
        let account = self.ask(Method::POST, "/internal/auth", &own).await?;
        let endpoint = json!({"hail_endpoint_production": format!("http://{}/hail", self.args.listen)});
        self.ask(Method::PUT, &format!("/users/{}", account["data"][0]["id"]), &endpoint).await?;
        Ok(())
    }

    /// Registers a taxi with its parts, and says that it is free.
    async fn register(&self) -> Result<String> {
        let driver = json!({"first_name": "Ada", "last_name": "Martin", "professional_licence": "EXAMPLE",
                            "departement": {"numero": "75"}});
        let vehicle = json!({"licence_plate": "EX-001-AM", "constructor": "Peugeot", "color": "noir"});
        let ads = json!({"numero": "EXAMPLE", "insee": "75056"});
        for (path, part) in [("/drivers", &driver), ("/vehicles", &vehicle), ("/ads", &ads)] {
            self.ask(Method::POST, path, part).await?;
        }
        let taxi = json!({"driver": {"professional_licence": "EXAMPLE", "departement": "75"},
                          "vehicle": {"licence_plate": "EX-001-AM"}, "ads": {"numero": "EXAMPLE", "insee": "75056"}});
        let id = text(&self.ask(Method::POST, "/taxis", &taxi).await?, "/data/0/id");
        self.ask(Method::PUT, &format!("/taxis/{id}"), &json!({"status": "free"})).await?;
        Ok(id)
    }

    /// Says every five seconds where the taxi is.
    async fn report_positions(&self, taxi: &str) {
        let mut ticker = interval(Duration::from_secs(5));
        loop {
            ticker.tick().await;
            let position = json!({"taxi_id": taxi, "lon": self.args.lon, "lat": self.args.lat});
            if let Err(error) = self.ask(Method::POST, "/geotaxi", &json!({"positions": [position]})).await {
                println!("a position was not taken: {error}");
            }
        }
    }

    /// The ride: the taxi accepts, and waits for the customer to confirm, who it then takes somewhere.
    async fn drive(&self, hail: &str) -> Result<()> {
        // Our answer to the call has to be written down first.
        while self.status(hail).await? == "received" {
            sleep(Duration::from_millis(100)).await;
        }
        self.moves(hail, "received_by_taxi").await?;
        self.moves(hail, "accepted_by_taxi").await?;
        while self.status(hail).await? == "accepted_by_taxi" {
            sleep(Duration::from_secs(1)).await;
        }
        for status in ["customer_on_board", "finished"] {
            sleep(Duration::from_secs(3)).await;
            self.moves(hail, status).await?;
        }
        Ok(())
    }

    async fn moves(&self, hail: &str, status: &str) -> Result<()> {
        self.ask(Method::PUT, &format!("/hails/{hail}"), &json!({"status": status})).await?;
        println!("{hail}: {status}");
        Ok(())
    }

    async fn status(&self, hail: &str) -> Result<String> {
        Ok(text(&self.ask(Method::GET, &format!("/hails/{hail}"), &Value::Null).await?, "/data/0/status"))
    }

    /// Asks the registry. Requests and answers are lists of one element.
    async fn ask(&self, method: Method, path: &str, element: &Value) -> Result<Value> {
        let request = self.http.request(method, format!("{}{path}", self.args.registry));
        let mut request = request.header("X-Api-Key", &self.args.key);
        if !element.is_null() {
            request = request.json(&json!({"data": [element]}));
        }
        let answer = request.send().await?;
        let (status, body) = (answer.status(), answer.text().await?);
        if !status.is_success() {
            return Err(format!("{path} was answered {status}: {body}").into());
        }
        Ok(serde_json::from_str(&body).unwrap_or_default())
    }
}
