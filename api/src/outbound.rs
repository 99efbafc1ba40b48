//! Calls to partners' servers: bounded in time and size, signed, and never into our own network.

pub(crate) mod address;
mod error;
pub(crate) mod names;
#[cfg(test)]
pub(crate) mod partner;
pub(crate) mod signature;

use std::sync::Arc;
use std::time::Duration;

use ingest::clock::Millis;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, RequestBuilder};
use tokio::time::timeout;

use crate::limits::{CONNECT_WITHIN, PARTNER_IDLE_MAX, PARTNER_IDLE_WITHIN, REPLY_MAX_BYTES};

pub use error::CallError;
pub use signature::{SIGNATURE, signature};

use names::Names;

/// How we name ourselves.
const USER_AGENT: &str = concat!("maraude/", env!("CARGO_PKG_VERSION"));

/// Headers that say where a message goes and where it ends: another value than ours would make another message of it.
const FRAMING: [HeaderName; 8] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Calls partners' servers. Cheap to clone; clones share connections.
#[derive(Clone, Debug)]
pub struct Outbound {
    client: Client,
    private_allowed: bool,
}

/// What is sent, where, and how long it may take.
pub struct Call<'a> {
    /// The partner's address, as it gave it.
    pub url: &'a str,
    /// The name and value of a header of the partner's own.
    pub header: Option<(&'a str, &'a str)>,
    /// What the call is signed with.
    pub signing_key: Option<&'a str>,
    /// JSON.
    pub body: Vec<u8>,
    /// When it is sent: a signed call says so.
    pub at: Millis,
    /// How long all of it may take, from the lookup of the host's name to the last byte of the answer.
    pub within: Duration,
}

/// An answer, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status. A redirection is one like any other and not followed: the partner's header and our signature are
    /// for the address that it gave us alone.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Outbound {
    /// With no connection yet. It looks so many names up at a time. `private_allowed`: calls our own network, too.
    pub fn new(lookups: usize, private_allowed: bool) -> reqwest::Result<Self> {
        Self::connecting_within(CONNECT_WITHIN, lookups, private_allowed)
    }

    fn connecting_within(within: Duration, lookups: usize, private_allowed: bool) -> reqwest::Result<Self> {
        let names = Arc::new(Names::new(lookups, private_allowed));
        let client = client(|builder| builder.connect_timeout(within).dns_resolver(names.clone()))?;
        Ok(Self { client, private_allowed })
    }

    /// Sends JSON by POST, and gives the answer.
    pub async fn post(&self, call: Call<'_>) -> Result<Reply, CallError> {
        let within = call.within;
        timeout(within, exchange(self.request(call)?)).await.unwrap_or(Err(CallError::TimedOut))
    }

    /// Sends JSON by POST, and gives the status of the answer as soon as it is there, whatever follows.
    pub async fn tell(&self, call: Call<'_>) -> Result<u16, CallError> {
        let within = call.within;
        let answered = timeout(within, self.request(call)?.send()).await.map_err(|_| CallError::TimedOut)?;
        Ok(answered.map_err(|error| CallError::of(&error))?.status().as_u16())
    }

    fn request(&self, call: Call<'_>) -> Result<RequestBuilder, CallError> {
        if call.within.is_zero() {
            return Err(CallError::TimedOut);
        }
        let url = address::read(call.url).ok_or(CallError::BadAddress)?;
        // Names are looked at when they are looked up.
        let is_private = address::literal(&url).is_some_and(|address| !address::is_public(address));
        if is_private && !self.private_allowed {
            return Err(CallError::NotPublic);
        }
        Ok(self.client.post(url).headers(headers(&call)?).body(call.body))
    }
}

/// A client that goes where it is sent: neither to a proxy nor where an answer says.
pub(crate) fn client(with: impl Fn(ClientBuilder) -> ClientBuilder) -> reqwest::Result<Client> {
    // Somebody else in the process may have installed one; either will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || {
        // `X-Secret` rather than `x-secret`: some servers of operators tell the difference, which HTTP does not.
        let builder = Client::builder().http1_title_case_headers();
        let builder = builder.user_agent(USER_AGENT).redirect(Policy::none()).no_proxy();
        with(builder.pool_idle_timeout(PARTNER_IDLE_WITHIN).pool_max_idle_per_host(PARTNER_IDLE_MAX))
    };
    builder().build().or_else(|_| {
        tracing::warn!("the system has no certificates of authorities: nobody can be called over https");
        builder().tls_certs_only([]).build()
    })
}

/// Sends a request and reads the answer, up to its limit.
pub(crate) async fn exchange(request: RequestBuilder) -> Result<Reply, CallError> {
    let mut response = request.send().await.map_err(|error| CallError::of(&error))?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| CallError::of(&error))? {
        if body.len() + chunk.len() > REPLY_MAX_BYTES {
            return Err(CallError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Reply { status: response.status().as_u16(), body })
}

/// The partner's header and ours, which win.
fn headers(call: &Call<'_>) -> Result<HeaderMap, CallError> {
    let mut headers = HeaderMap::new();
    if let Some((name, value)) = call.header {
        let name: HeaderName = name.parse().map_err(|_| CallError::BadHeader)?;
        let mut value: HeaderValue = value.parse().map_err(|_| CallError::BadHeader)?;
        if FRAMING.contains(&name) {
            return Err(CallError::BadHeader);
        }
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    if let Some(key) = call.signing_key {
        let signature = signature(key, call.at, &call.body).parse().map_err(|_| CallError::BadHeader)?;
        headers.insert(SIGNATURE, signature);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::net::SocketAddr;

    use axum::Router;
    use axum::body::Bytes;
    use axum::response::Redirect;
    use axum::routing::post;
    use tokio::net::{TcpSocket, TcpStream};
    use tokio::sync::mpsc;

    use super::*;
    use crate::limits::PARTNER_LOOKUPS_MAX;

    /// A test that waits so long fails.
    const PATIENCE: Duration = Duration::from_mins(1);

    fn call(url: &str) -> Call<'_> {
        let body = b"{\"id\":\"h1\"}".to_vec();
        Call { url, header: None, signing_key: None, body, at: Millis(1_764_000_000_999), within: PATIENCE }
    }

    async fn called(call: Call<'_>) -> Result<Reply, CallError> {
        Outbound::new(PARTNER_LOOKUPS_MAX, true).unwrap().post(call).await
    }

    fn hail(at: SocketAddr) -> String {
        format!("http://{at}/hail")
    }

    #[tokio::test]
    async fn a_call_carries_its_headers_and_its_signature() {
        let (heard, mut hears) = mpsc::channel(1);
        let answer = |headers: HeaderMap, body: Bytes| async move {
            heard.send((headers, body)).await.unwrap();
            "{}"
        };
        let url = hail(partner::serve(Router::new().route("/hail", post(answer))).await);
        let header = Some(("X-Api-Key", "open sesame"));
        let reply = called(Call { header, signing_key: Some("s3cret"), ..call(&url) }).await;
        assert_eq!(reply, Ok(Reply { status: 200, body: b"{}".to_vec() }));
        let (headers, body) = hears.recv().await.unwrap();
        assert_eq!(body, call(&url).body);
        for (name, value) in [
            ("X-Api-Key", "open sesame"),
            ("Content-Type", "application/json"),
            ("User-Agent", USER_AGENT),
            ("X-Maraude-Signature", &signature("s3cret", call(&url).at, &body)),
        ] {
            assert_eq!(headers[name], value, "{name}");
        }
    }

    #[tokio::test]
    async fn what_is_not_asked_for_is_not_sent_and_what_is_ours_stays() {
        let (heard, mut hears) = mpsc::channel(1);
        let answer = |headers: HeaderMap| async move { heard.send(headers).await.unwrap() };
        let url = hail(partner::serve(Router::new().route("/hail", post(answer))).await);
        called(Call { header: Some(("content-type", "text/plain")), ..call(&url) }).await.unwrap();
        let headers = hears.recv().await.unwrap();
        assert!(!headers.contains_key(SIGNATURE));
        assert_eq!(headers.get_all("Content-Type").iter().collect::<Vec<_>>(), ["application/json"]);
    }

    #[tokio::test]
    async fn headers_that_would_make_another_message_are_refused() {
        for header in [("Content-Length", "0"), ("host", "inside"), ("X Y", "z"), ("", "z"), ("X", "a\r\nb")]
        {
            let refused = called(Call { header: Some(header), ..call("http://127.0.0.1:9/") }).await;
            assert_eq!(refused, Err(CallError::BadHeader), "{header:?}");
        }
    }

    #[tokio::test]
    async fn connections_are_used_again() {
        let (heard, mut hears) = mpsc::channel(2);
        let answer = |from: axum::extract::ConnectInfo<SocketAddr>| async move {
            heard.send(from.0).await.unwrap();
        };
        let routes = Router::new().route("/hail", post(answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = hail(listener.local_addr().unwrap());
        let service = routes.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        let outbound = Outbound::new(PARTNER_LOOKUPS_MAX, true).unwrap();
        outbound.post(call(&url)).await.unwrap();
        outbound.clone().post(call(&url)).await.unwrap();
        assert_eq!(hears.recv().await, hears.recv().await);
    }

    #[tokio::test]
    async fn a_redirection_is_an_answer() {
        let away = Router::new().route("/hail", post(|| async { Redirect::temporary("/elsewhere") }));
        let away = away.route("/elsewhere", post(|| async { "followed" }));
        let url = hail(partner::serve(away).await);
        assert_eq!(called(call(&url)).await, Ok(Reply { status: 307, body: Vec::new() }));
    }

    #[tokio::test]
    async fn what_takes_too_long_is_given_up() {
        let silent = partner::serve(Router::new().route("/hail", post(pending::<()>))).await;
        let unfinished = partner::say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", false).await;
        for at in [silent, unfinished] {
            let within = Duration::from_millis(50);
            assert_eq!(called(Call { within, ..call(&hail(at)) }).await, Err(CallError::TimedOut));
        }
        let within = Duration::ZERO;
        assert_eq!(called(Call { within, ..call("not looked at") }).await, Err(CallError::TimedOut));
    }

    #[tokio::test]
    async fn a_connection_that_nobody_answers_is_given_up() {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let at = listener.local_addr().unwrap();
        // Linux takes one more than it was told, and drops what asks for a connection beyond.
        let _queued = (TcpStream::connect(at).await.unwrap(), TcpStream::connect(at).await.unwrap());
        let outbound =
            Outbound::connecting_within(Duration::from_millis(50), PARTNER_LOOKUPS_MAX, true).unwrap();
        assert_eq!(outbound.post(call(&hail(at))).await, Err(CallError::ConnectTimedOut));
    }

    #[tokio::test]
    async fn an_answer_is_read_up_to_its_limit() {
        for (bytes, expected) in [(REPLY_MAX_BYTES, None), (REPLY_MAX_BYTES + 1, Some(CallError::TooLarge))] {
            let answer = move || async move { vec![b'x'; bytes] };
            let url = hail(partner::serve(Router::new().route("/hail", post(answer))).await);
            assert_eq!(called(call(&url)).await.err(), expected, "{bytes}");
        }
    }

    #[tokio::test]
    async fn who_is_only_told_answers_with_a_status() {
        let outbound = Outbound::new(PARTNER_LOOKUPS_MAX, true).unwrap();
        let large = || async { vec![b'x'; 16 * REPLY_MAX_BYTES] };
        let large = partner::serve(Router::new().route("/hail", post(large))).await;
        let unfinished = partner::say("HTTP/1.1 202 OK\r\nContent-Length: 9\r\n\r\nhalf", false).await;
        for (at, status) in [(large, 200), (unfinished, 202)] {
            assert_eq!(outbound.tell(call(&hail(at))).await, Ok(status));
        }
        let silent = partner::serve(Router::new().route("/hail", post(pending::<()>))).await;
        let within = Duration::from_millis(50);
        let told = outbound.tell(Call { within, ..call(&hail(silent)) }).await;
        assert_eq!(told, Err(CallError::TimedOut));
    }

    #[tokio::test]
    async fn what_breaks_is_told_from_what_is_not_there() {
        for text in ["", "220 mail ready\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"] {
            let at = partner::say(text, true).await;
            assert_eq!(called(call(&hail(at))).await, Err(CallError::Broken), "{text}");
            let secured = format!("https://{at}/");
            let expected = if text.is_empty() { CallError::Unreachable } else { CallError::Insecure };
            assert_eq!(called(call(&secured)).await, Err(expected), "{text}");
        }
        let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        assert_eq!(called(call(&hail(gone))).await, Err(CallError::Unreachable));
        assert_eq!(called(call("http://nobody.invalid/")).await, Err(CallError::UnknownName));
        assert_eq!(called(call("ftp://127.0.0.1/")).await, Err(CallError::BadAddress));
    }

    #[tokio::test]
    async fn our_own_network_is_not_called_unless_allowed() {
        let at = partner::serve(Router::new().route("/hail", post(|| async {}))).await;
        let port = at.port();
        let outbound = Outbound::new(PARTNER_LOOKUPS_MAX, false).unwrap();
        for host in ["127.0.0.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "localhost"] {
            let url = format!("http://{host}:{port}/hail");
            assert_eq!(outbound.post(call(&url)).await, Err(CallError::NotPublic), "{host}");
        }
        for host in ["127.0.0.1", "localhost"] {
            let url = format!("http://{host}:{port}/hail");
            assert_eq!(called(call(&url)).await.map(|reply| reply.status), Ok(200), "{host}");
        }
    }
}
