//! A small search app: one customer finds a taxi, hails it, follows it, confirms, and rides.
//!
//! ```sh
//! cargo run --release --example search_app -- --key KEY
//! ```

use std::time::Duration;

use clap::Parser;
use reqwest::Method;
use serde_json::{Value, json};

/// What went wrong is for people to read.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Who we are, and where our customer stands.
#[derive(Parser)]
struct Args {
    /// The registry.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    registry: String,
    /// Our API key.
    #[arg(long)]
    key: String,
    /// The customer's longitude.
    #[arg(long, default_value_t = 2.3525)]
    lon: f64,
    /// The customer's latitude.
    #[arg(long, default_value_t = 48.8567)]
    lat: f64,
}

#[tokio::main]
async fn main() -> Result<()> {
    // Another one may be there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let app = App { args: Args::parse(), http: reqwest::Client::new() };
    let taxi = app.search().await?;
    let hail = app.hail(&taxi).await?;
    app.follow(&hail).await
}

/// Our side of the registry.
struct App {
    args: Args,
    http: reqwest::Client,
}

impl App {
    /// The nearest free taxi; its id is ours alone, and good for an hour.
    async fn search(&self) -> Result<Value> {
        let path = format!("/taxis?lon={}&lat={}", self.args.lon, self.args.lat);
        let found = self.ask(Method::GET, &path, None).await?;
        let taxi = found["data"].get(0).ok_or("no free taxi is near")?;
        println!(
            "the nearest of {} taxis is {} m away",
            found["data"].as_array().map_or(0, Vec::len),
            taxi["crowfly_distance"]
        );
        Ok(taxi["id"].clone())
    }

    /// Asks for it. The request has a name: had its answer been lost, it could be repeated without hailing twice.
    async fn hail(&self, taxi: &Value) -> Result<String> {
        let wanted = json!({
            "customer_id": "customer-1", "customer_lon": self.args.lon, "customer_lat": self.args.lat,
            "customer_address": "1 place de l'Hôtel de Ville 75004 Paris", "customer_phone_number": "0678901234",
            "taxi_id": taxi,
        });
        let request =
            self.request(Method::POST, "/hails").header("Idempotency-Key", format!("customer-1 {taxi}"));
        let hail = answered(request.json(&json!({"data": [wanted]}))).await?;
        let id = hail["data"][0]["id"].as_str().ok_or("a hail has an id")?.to_owned();
        println!("hail {id} is {}", text(&hail["data"][0]["status"]));
        Ok(id)
    }

    /// Follows the hail to its end by its events, instead of asking again and again.
    async fn follow(&self, hail: &str) -> Result<()> {
        let mut stream =
            self.request(Method::GET, &format!("/hails/{hail}/events")).send().await?.error_for_status()?;
        let mut unread = String::new();
        while let Some(chunk) = stream.chunk().await? {
            unread.push_str(&String::from_utf8_lossy(&chunk));
            // An event is some lines and an empty one.
            while let Some((event, rest)) = unread.split_once("\n\n") {
                let (name, data) = (field(event, "event: "), field(event, "data: "));
                let data: Value = serde_json::from_str(data).unwrap_or_default();
                self.see(hail, name, &data).await?;
                unread = rest.to_owned();
            }
        }
        println!("that was it");
        Ok(())
    }

    /// What an event means to the customer.
    async fn see(&self, hail: &str, event: &str, data: &Value) -> Result<()> {
        match event {
            "position" => println!("the taxi is at {} {}", data["lat"], data["lon"]),
            "hail" => {
                println!("{} at {}", text(&data["to_status"]), text(&data["timestamp"]));
                if data["to_status"] == "accepted_by_taxi" {
                    let taxi = &data["hail"]["taxi"];
                    let (color, plate) = (&taxi["vehicle"]["color"], &taxi["vehicle"]["licence_plate"]);
                    println!("look for {} {}", text(color), text(plate));
                    let confirmed = json!({"status": "accepted_by_customer"});
                    self.ask(Method::PUT, &format!("/hails/{hail}"), Some(&confirmed)).await?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.args.registry)).header("X-Api-Key", &self.args.key)
    }

    /// Asks the registry. Requests are lists of one element.
    async fn ask(&self, method: Method, path: &str, element: Option<&Value>) -> Result<Value> {
        let request = self.request(method, path).timeout(Duration::from_secs(10));
        answered(match element {
            Some(element) => request.json(&json!({"data": [element]})),
            None => request,
        })
        .await
    }
}

async fn answered(request: reqwest::RequestBuilder) -> Result<Value> {
    let answer = request.send().await?;
    let (status, body) = (answer.status(), answer.text().await?);
    if !status.is_success() {
        return Err(format!("the registry answered {status}: {body}").into());
    }
    Ok(serde_json::from_str(&body)?)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// What follows a name at the beginning of a line.
fn field<'a>(event: &'a str, name: &str) -> &'a str {
    event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default()
}
