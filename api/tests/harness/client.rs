//! A partner's client.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client of one server. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) base: String,
    pub(crate) http: reqwest::Client,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// Null where it is no JSON.
    pub(crate) body: Value,
}

impl Client {
    pub(crate) fn new(server: SocketAddr) -> Self {
        // Another test may have installed one; either will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        Self { base: format!("http://{server}"), http }
    }

    /// Asks, with a body of one element where there is one; an error where no answer came.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        key: &str,
        element: Option<&Value>,
    ) -> reqwest::Result<Answer> {
        let request = self.http.request(method, format!("{}{path}", self.base)).header("X-Api-Key", key);
        let request = match element {
            Some(element) => request.json(&json!({"data": [element]})),
            None => request,
        };
        Answer::of(request).await
    }

    pub(crate) async fn get(&self, key: &str, path: &str) -> Answer {
        self.ask(Method::GET, path, key, None).await.unwrap()
    }

    pub(crate) async fn post(&self, key: &str, path: &str, element: &Value) -> Answer {
        self.ask(Method::POST, path, key, Some(element)).await.unwrap()
    }

    pub(crate) async fn put(&self, key: &str, path: &str, element: &Value) -> Answer {
        self.ask(Method::PUT, path, key, Some(element)).await.unwrap()
    }

    /// Registers the `number`-th taxi of a town with all its parts, free; gives its id.
    pub(crate) async fn register(&self, key: &str, number: u32, insee: &str) -> String {
        for (path, element) in parts(number, insee) {
            let answer = self.post(key, path, &element).await;
            assert!([200, 201].contains(&answer.status), "{path} {answer:?}");
        }
        let taxi = self.post(key, "/taxis", &taxi(number, insee)).await.element(201);
        let id = taxi["id"].as_str().unwrap().to_owned();
        self.put(key, &format!("/taxis/{id}"), &json!({"status": "free"})).await.element(200);
        id
    }
}

impl Answer {
    pub(crate) async fn of(request: reqwest::RequestBuilder) -> reqwest::Result<Self> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = serde_json::from_slice(&response.bytes().await?).unwrap_or(Value::Null);
        Ok(Self { status, headers, body })
    }

    /// The one element of an answer of this status.
    pub(crate) fn element(mut self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.headers["content-type"], "application/json", "{self:?}");
        self.body["data"][0].take()
    }
}

/// What a taxi is made of: the requests that register driver, vehicle and ADS.
pub(crate) fn parts(number: u32, insee: &str) -> [(&'static str, Value); 3] {
    [
        (
            "/drivers",
            json!({"first_name": "Ada", "last_name": format!("Nr {number}"), "birth_date": "1980-02-03",
                   "professional_licence": format!("licence-{number}"), "departement": {"numero": "75"}}),
        ),
        ("/vehicles", json!({"licence_plate": plate(number), "model": "Zoé", "nb_seats": 4})),
        ("/ads", json!({"numero": format!("ads-{number}"), "insee": insee})),
    ]
}

/// The request that brings the parts together.
pub(crate) fn taxi(number: u32, insee: &str) -> Value {
    json!({"ads": {"numero": format!("ads-{number}"), "insee": insee}, "vehicle": {"licence_plate": plate(number)},
           "driver": {"professional_licence": format!("licence-{number}"), "departement": "75"}})
}

/// The plate of the `number`-th vehicle.
pub(crate) fn plate(number: u32) -> String {
    format!("AB-{number:03}-CD")
}
