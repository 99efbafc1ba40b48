//! The console, as a browser without scripts sees it.

use reqwest::header::{COOKIE, HeaderMap, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::world::World;

mod account;
mod analysts;
mod charts;
mod errors;
mod guide;
mod hails;
mod imports;
mod map;
mod opendata;
mod recette;
mod records;
mod registered;
mod sessions;
mod simulators;
mod statistics;
mod taxis;
mod users;

/// What tests give accounts.
const PASSWORD: &str = "correct horse";
/// A name that would be a script.
const HOSTILE: &str = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>";

/// What came back.
#[derive(Debug)]
struct Page {
    status: u16,
    headers: HeaderMap,
    html: String,
}

impl Page {
    async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, html: response.text().await.unwrap() }
    }

    fn location(&self) -> &str {
        assert_eq!(self.status, 303, "{self:?}");
        self.headers[LOCATION].to_str().unwrap()
    }

    /// The cookie that is set, as it is sent back.
    fn cookie(&self) -> String {
        let cookie = self.headers[SET_COOKIE].to_str().unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }

    /// That this is a page, and says this.
    fn says(&self, text: &str) -> &Self {
        assert!(self.status == 200 && self.html.contains(text), "no {text:?} in {self:?}");
        self
    }

    /// The hidden field that forms of this page have.
    fn form_token(&self) -> String {
        let (_, rest) = self.html.split_once("name=\"form_token\" value=\"").expect("a form");
        rest.split('"').next().unwrap().to_owned()
    }

    /// That nothing of the hostile name is there but as text.
    fn shows_html_as_text(&self) {
        assert!(self.html.contains("&lt;script&gt;alert("), "{self:?}");
        assert!(!self.html.contains("<script>alert") && !self.html.contains("<img"), "{self:?}");
    }
}

/// A browser.
struct Browser {
    http: reqwest::Client,
    base: String,
    cookie: String,
}

impl Browser {
    /// One that nobody is logged in with.
    fn new(world: &World) -> Self {
        let http = reqwest::Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
        Self { http, base: world.client.base.clone(), cookie: String::new() }
    }

    /// One that this account is logged in with.
    async fn of(world: &World, account: &str) -> Self {
        let path = format!("/users/{}", world.number(account));
        world.client.put(world.key(account), &path, &json!({"password": PASSWORD})).await.element(200);
        let mut browser = Self::new(world);
        assert_eq!(browser.log_in(account, PASSWORD).await.location(), "/console");
        browser
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).header(COOKIE, &self.cookie)
    }

    async fn get(&self, path: &str) -> Page {
        Page::of(self.request(Method::GET, path)).await
    }

    /// A form as a browser sends it, from whatever page.
    fn form(&self, path: &str, fields: &[(&str, &str)]) -> RequestBuilder {
        let mut body = form_urlencoded::Serializer::new(String::new());
        let kind = "application/x-www-form-urlencoded";
        self.request(Method::POST, path).header("Content-Type", kind).body(body.extend_pairs(fields).finish())
    }

    /// Sends a form of a page of ours.
    async fn post(&self, page: &str, path: &str, fields: &[(&str, &str)]) -> Page {
        let token = self.get(page).await.form_token();
        let fields = [fields, &[("form_token", token.as_str())]].concat();
        Page::of(self.form(path, &fields).header(ORIGIN, &self.base)).await
    }

    async fn log_in(&mut self, account: &str, password: &str) -> Page {
        let fields = [("email", account), ("password", password)];
        let page = Page::of(self.form("/console/login", &fields).header(ORIGIN, &self.base)).await;
        if page.status == 303 {
            self.cookie = page.cookie();
        }
        page
    }

    /// Whether somebody is logged in.
    async fn is_known(&self) -> bool {
        let page = self.get("/console/account").await;
        assert!(
            page.status == 200 || page.location() == "/console/login?to=%2Fconsole%2Faccount",
            "{page:?}"
        );
        page.status == 200
    }
}
