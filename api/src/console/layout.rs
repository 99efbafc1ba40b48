//! What surrounds every page.

use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use maud::{DOCTYPE, Markup, html};

use super::session::Session;
use super::{ROOT, assets, simulator};
use crate::role::{ADMINISTRATORS, ANALYSTS, REGISTRARS, Role, SEARCHERS};
use crate::routes::sessions;

/// What a page is.
pub(super) const HTML: &str = "text/html; charset=utf-8";

/// The icon, within the page: browsers would ask for one by themselves.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect \
                    width='16' height='16' rx='3' fill='%23000091'/%3E%3Ctext x='8' y='12' font-size='11' \
                    text-anchor='middle' fill='white' font-family='sans-serif'%3Et%3C/text%3E%3C/svg%3E";

/// What a page says at its top of what was just done.
#[derive(Clone, Copy, Debug)]
pub(super) enum Notice<'a> {
    /// It was done.
    Done(&'a str),
    /// It was not, for these reasons.
    Failed(&'a [String]),
}

/// A page, as somebody sees it, or nobody.
pub(super) fn page(session: Option<&Session>, path: &str, title: &str, content: &Markup) -> Response {
    let head = html! {
        nav aria-label="Navigation principale" {
            ul {
                @for (address, label) in entries(session) {
                    li { a href=(address) aria-current=[(address == path).then_some("page")] { (label) } }
                }
            }
        }
        @match session {
            Some(session) => {
                form.who method="post" action="/console/logout" {
                    (session.token_field())
                    span { (session.own.name) }
                    button type="submit" { "Se déconnecter" }
                }
            }
            None => { p.who { a href=(super::login::PATH) { "Se connecter" } } }
        }
    };
    let banner = session.filter(|session| session.acts_for_another()).map(banner);
    let whole = document(title, &head, banner.as_ref(), content);
    ([(header::CONTENT_TYPE, HTML)], whole).into_response()
}

/// What was just done, for people and for what reads to them.
pub(super) fn notice(notice: Option<Notice<'_>>) -> Markup {
    html! {
        @match notice {
            None => {}
            Some(Notice::Done(what)) => { p.notice role="status" { (what) } }
            Some(Notice::Failed(why)) => {
                div.notice.failed role="alert" {
                    @for reason in why { p { (reason) } }
                }
            }
        }
    }
}

/// Where somebody may go from any page.
fn entries(session: Option<&Session>) -> Vec<(&'static str, &'static str)> {
    let mut entries = vec![(ROOT, "Accueil"), (super::map::PATH, "Carte")];
    let Some(session) = session else { return entries };
    let is_one_of = |roles: &[Role]| roles.iter().any(|role| session.caller.0.has(*role));
    let is_admin = is_one_of(ADMINISTRATORS);
    let mut offer = |to_whom: bool, pages: &[(&'static str, &'static str)]| {
        entries.extend(pages.iter().filter(|_| to_whom));
    };
    offer(is_one_of(&[Role::Operateur]), &[(super::taxis::PATH, "Mes taxis")]);
    offer(
        is_one_of(REGISTRARS),
        &[
            (super::registered::DRIVERS, "Conducteurs"),
            (super::registered::VEHICLES, "Véhicules"),
            (super::registered::ADS, "ADS"),
            (super::refusals::PATH, "Refus"),
        ],
    );
    offer(is_one_of(SEARCHERS), &[(super::hails::PATH, "Courses")]);
    offer(is_one_of(sessions::LISTERS), &[(super::records::SESSIONS, "Sessions")]);
    offer(is_admin, &[(super::records::SUPPORT, "Assistance")]);
    offer(is_one_of(ANALYSTS), &[(super::reports::PATH, "Rapports"), (super::sql::PATH, "SQL")]);
    offer(
        is_admin,
        &[
            (super::statistics::PATH, "Statistiques"),
            (super::users::PATH, "Comptes"),
            (super::records::ACTIVITY, "Journal"),
            (super::imports::PATH, "Imports"),
        ],
    );
    let caller = &session.caller;
    offer(simulator::operator::concerns(caller), &[(simulator::operator::PATH, "Simuler un opérateur")]);
    offer(simulator::app::concerns(caller), &[(simulator::app::PATH, "Simuler une application")]);
    offer(super::recette::concerns(caller), &[(super::recette::PATH, "Recette")]);
    offer(true, &[(super::account::PATH, "Mon compte")]);
    offer(session.may_act_for_others, &[(super::act_as::PATH, "Agir pour un compte")]);
    entries
}

fn banner(session: &Session) -> Markup {
    html! {
        form.acting role="status" method="post" action="/console/act-as/end" {
            (session.token_field())
            p {
                "Vous agissez en tant que " strong { (session.caller.0.name) } " (" (session.caller.0.email) ") ; \
                 ce que vous changez est inscrit au journal d’activité sous votre nom."
            }
            button type="submit" { "Revenir à mon compte" }
        }
    }
}

fn document(title: &str, head: &Markup, banner: Option<&Markup>, content: &Markup) -> String {
    html! {
        (DOCTYPE)
        html lang="fr" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " – Registre des taxis" }
                link rel="icon" href=(ICON);
                // plotly adds its rules to the sheet of this name; one that it makes itself the policy would refuse.
                link rel="stylesheet" id="plotly.js-style-global" href=(assets::STYLE.address());
                script type="module" src=(assets::COPY.address()) {}
            }
            body {
                a.skip href="#content" { "Aller au contenu" }
                header {
                    a.brand href=(ROOT) { "Registre des taxis" }
                    (head)
                }
                @if let Some(banner) = banner { (banner) }
                main #content tabindex="-1" {
                    h1 { (title) }
                    (content)
                }
                footer {
                    p {
                        a href=(super::guide::PATH) { "Guide des partenaires" } " · "
                        a href="/doc" hreflang="en" { "Référence de l’API" } " · "
                        a href=(super::opendata::PATH) { "Données ouvertes" } " · "
                        "maraude " (env!("CARGO_PKG_VERSION"))
                    }
                }
            }
        }
    }
    .into_string()
}
