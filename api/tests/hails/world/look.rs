//! A look at everything, to see whether it is as the model has it.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{World, map};
use crate::calls::Who;
use crate::expected::Expected;
use crate::harness::client::Answer;
use crate::harness::wait::SOON;
use crate::model::Model;

/// How long until everything is looked at again: a fraction of what a deadline is late.
const PAUSE: Duration = Duration::from_millis(20);

impl World {
    /// Compares all that can be seen with the model. What is done by nobody's request comes later, but soon.
    pub(super) async fn look(&mut self, model: &Model, is_later: bool) -> Result<(), String> {
        let until = Instant::now() + SOON;
        loop {
            let seen = self.see(model).await;
            if seen.is_ok() || !is_later || Instant::now() >= until {
                return seen;
            }
            sleep(PAUSE).await;
        }
    }

    /// Compares what was not looked at because nothing should have happened to it.
    pub(super) async fn look_at_all(&mut self, model: &mut Model) -> Result<(), String> {
        model.touched = (0..model.hails.len()).collect();
        model.located = Model::sources().into_iter().collect();
        model.described = true;
        for who in [Who::App, Who::OtherApp, Who::OperatorA, Who::OperatorB, Who::Both] {
            self.list(model, who).await?;
        }
        self.see(model).await
    }

    async fn see(&mut self, model: &Model) -> Result<(), String> {
        while let Some(received) = self.operator.look() {
            let id = received.hail["id"].as_str().unwrap_or_default().to_owned();
            self.play.sent.insert(id, received.hail);
        }
        for (at, hail) in model.hails.iter().enumerate() {
            let (sent, expected) = (json!(self.play.sent.get(&hail.id)), json!(hail.sent));
            compare("what the operator was sent", &(200, expected), (200, &sent))?;
            if !model.touched.contains(&at) {
                continue;
            }
            for who in [Who::Admin, hail.operator, hail.app, Who::OtherApp] {
                let seen = self.get(who, &format!("/hails/{}", hail.id)).await;
                let what = format!("{} as {who:?} sees it", hail.id);
                compare(&what, &model.read(who, Some(at)), (seen.status, &seen.body))?;
            }
        }
        self.list(model, Who::Admin).await?;
        let operators = [Who::OperatorA, Who::OperatorB, Who::Both].into_iter();
        for operator in operators.filter(|_| model.described) {
            let seen = self.get(operator, "/taxis/all").await;
            let what = format!("the taxis as {operator:?} sees them");
            compare(&what, &(200, model.show_taxis(operator)), (seen.status, &changing(&seen.body)))?;
        }
        for (taxi, operator) in &model.located {
            let seen = self.get(*operator, &format!("/taxis/{}", self.taxis[*taxi].0)).await;
            let what = format!("taxi {taxi} as {operator:?} sees it");
            let expected = (200, model.show_taxi(*taxi, *operator));
            compare(&what, &expected, (seen.status, &changing(&seen.body)))?;
        }
        self.remember(model)
    }

    /// Compares what somebody is told of all hails of this sequence at once.
    async fn list(&self, model: &Model, who: Who) -> Result<(), String> {
        let seen = self.get(who, &format!("/hails/?customer_id={}%20", self.plays)).await;
        let listed = seen.body["data"].as_array().into_iter().flatten();
        let listed: BTreeMap<_, _> = listed.map(|hail| (hail["id"].as_str().unwrap(), hail)).collect();
        let expected = (200, json!(model.list(who)));
        compare(&format!("the hails of {who:?}"), &expected, (seen.status, &json!(listed)))
    }

    async fn get(&self, who: Who, path: &str) -> Answer {
        self.send(who, Method::GET, path, None, None).await
    }

    /// Compares what searches and new hails know of the taxis: it follows the rows.
    fn remember(&self, model: &Model) -> Result<(), String> {
        for (taxi, (_, key)) in self.taxis.iter().enumerate() {
            let profile = self.served.server().app.engine.profiles().get(key);
            let profile = profile.ok_or("memory does not know a taxi")?;
            let said = profile.descriptions.iter().map(|said| (said.operator, said.status.as_str()));
            let number = |who: Who| self.served.operator(who.account().unwrap());
            let expected = model.statuses(taxi).map(|(who, status)| (number(who), status));
            let (said, expected) = (said.collect::<BTreeMap<_, _>>(), expected.collect::<BTreeMap<_, _>>());
            if said != expected {
                return Err(format!(
                    "what memory knows of taxi {taxi}:\nexpected {expected:?}\n     got {said:?}"
                ));
            }
        }
        Ok(())
    }
}

/// What of taxis is not the same for ever.
pub(super) fn changing(body: &Value) -> Value {
    let taxis = body["data"].as_array().into_iter().flatten();
    let kept =
        |taxi: &Value| ["status", "radius", "position", "last_update"].map(|name| (name, taxi[name].clone()));
    taxis.map(|taxi| Value::Object(map(&kept(taxi)))).collect()
}

pub(super) fn compare(what: &str, expected: &Expected, got: (u16, &Value)) -> Result<(), String> {
    // Numbers as they are once they were written and read again.
    let body: Value = serde_json::from_str(&expected.1.to_string()).unwrap();
    if got == (expected.0, &body) {
        return Ok(());
    }
    Err(format!("{what}:\nexpected {} {body}\n     got {} {}", expected.0, got.0, got.1))
}
