//! Routes, each with what the reference says of it.

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodRouter, delete, get, post, put};

use super::Operation;
use crate::app::App;

/// Routes being registered.
#[derive(Debug, Default)]
pub struct Routes {
    router: Router<App>,
    operations: Vec<Registered>,
}

/// An operation at its place.
#[derive(Clone, Debug)]
pub struct Registered {
    /// In small letters.
    pub method: &'static str,
    /// The path, with its parts in braces.
    pub path: &'static str,
    /// What the reference says.
    pub operation: Operation,
}

impl Routes {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// `GET` this path.
    pub fn get<H, T>(self, path: &'static str, handler: H, operation: Operation) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        self.on("get", path, get(handler), operation)
    }

    /// `POST` to this path.
    pub fn post<H, T>(self, path: &'static str, handler: H, operation: Operation) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        self.on("post", path, post(handler), operation)
    }

    /// `PUT` to this path.
    pub fn put<H, T>(self, path: &'static str, handler: H, operation: Operation) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        self.on("put", path, put(handler), operation)
    }

    /// `DELETE` what is at this path.
    pub fn delete<H, T>(self, path: &'static str, handler: H, operation: Operation) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        self.on("delete", path, delete(handler), operation)
    }

    /// Pages for people, of which the reference says nothing.
    pub fn pages(mut self, pages: Router<App>) -> Self {
        self.router = self.router.merge(pages);
        self
    }

    /// These and more.
    pub fn then(self, more: impl FnOnce(Self) -> Self) -> Self {
        more(self)
    }

    fn on(
        mut self,
        method: &'static str,
        path: &'static str,
        handler: MethodRouter<App>,
        operation: Operation,
    ) -> Self {
        self.router = self.router.route(path, handler);
        self.operations.push(Registered { method, path, operation });
        self
    }

    /// The router, and its operations.
    pub fn finish(self) -> (Router<App>, Vec<Registered>) {
        (self.router, self.operations)
    }
}
