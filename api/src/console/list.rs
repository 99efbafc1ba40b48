//! What all lists have: what is looked for, a table, pages, and a file of what was found.

use axum::response::Response;
use maud::{Markup, html};

use super::layout::{self, Notice};
use super::refusal::{Shown, within};
use super::session::Session;
use super::table::thousands;
use super::{csv, words};
use crate::error::Answer;
use crate::form::envelope::Paged;
use crate::form::query::{Extent, Meta, Query};
use crate::limits::LISTED_MAX;

/// Something to look for.
#[derive(Debug)]
pub(super) struct Field {
    name: &'static str,
    label: &'static str,
    kind: Kind,
}

/// What is looked for in a field.
#[derive(Debug)]
enum Kind {
    Text,
    /// One of these values, each with what people call it; and what they call having chosen none.
    Choice(Vec<(String, String)>, &'static str),
    /// Browsers write it with hyphens, the API with slashes.
    Day,
}

impl Field {
    /// One of these values, which people call as [`words`] says.
    pub(super) fn choice(name: &'static str, label: &'static str, choices: &[&str]) -> Self {
        let choices = choices.iter().map(|one| ((*one).to_owned(), words::of(one).to_owned()));
        Self { name, label, kind: Kind::Choice(choices.collect(), "Tous") }
    }

    /// One of these values, each with what people call it, or `none`.
    pub(super) fn named_choice(
        name: &'static str,
        label: &'static str,
        none: &'static str,
        choices: Vec<(String, String)>,
    ) -> Self {
        Self { name, label, kind: Kind::Choice(choices, none) }
    }

    /// A text.
    pub(super) fn text(name: &'static str, label: &'static str) -> Self {
        Self { name, label, kind: Kind::Text }
    }

    /// A day.
    pub(super) fn day(name: &'static str, label: &'static str) -> Self {
        Self { name, label, kind: Kind::Day }
    }

    fn input(&self, given: &str) -> Markup {
        let name = self.name;
        html! {
            label for=(name) { (self.label) }
            @match &self.kind {
                Kind::Text => { input id=(name) name=(name) value=(given) autocomplete="off"; }
                Kind::Day => { input id=(name) name=(name) type="date" value=(given.replace('/', "-")); }
                Kind::Choice(choices, none) => {
                    select id=(name) name=(name) {
                        option value="" { (none) }
                        @for (value, label) in choices {
                            option value=(value) selected[value == given] { (label) }
                        }
                    }
                }
            }
        }
    }
}

/// What is told of each element.
#[derive(Debug)]
pub(super) struct Column<T> {
    /// What the page calls it; None: it is in files alone.
    head: Option<&'static str>,
    /// What files call it; None: it is on the page alone.
    name: Option<&'static str>,
    text: fn(&T) -> String,
    /// What the page shows instead of the text.
    cell: Option<fn(&T) -> Markup>,
}

impl<T> Column<T> {
    /// A text, which the page and files call so.
    pub(super) const fn new(head: &'static str, name: &'static str, text: fn(&T) -> String) -> Self {
        Self { head: Some(head), name: Some(name), text, cell: None }
    }

    /// A text on the page.
    pub(super) const fn on_page(head: &'static str, text: fn(&T) -> String) -> Self {
        Self { head: Some(head), name: None, text, cell: None }
    }

    /// A text in files.
    pub(super) const fn in_files(name: &'static str, text: fn(&T) -> String) -> Self {
        Self { head: None, name: Some(name), text, cell: None }
    }

    /// The same, shown otherwise on the page.
    pub(super) const fn shown(self, cell: fn(&T) -> Markup) -> Self {
        Self { head: self.head, name: self.name, text: self.text, cell: Some(cell) }
    }

    fn cell(&self, element: &T) -> Markup {
        self.cell.map_or_else(|| html! { ((self.text)(element)) }, |cell| cell(element))
    }
}

/// A list, as it is asked for.
#[derive(Debug)]
pub(super) struct List<'a> {
    /// Its page.
    pub(super) path: &'a str,
    /// What it is of.
    pub(super) title: &'static str,
    /// What a file of it is called.
    pub(super) file: &'static str,
    /// How many rows a file has at most, the newest.
    pub(super) file_rows: i64,
    /// What may be looked for.
    pub(super) fields: Vec<Field>,
    /// What is asked.
    pub(super) query: &'a Query,
}

impl List<'_> {
    /// What the API is asked: fields that are left empty are not asked for.
    pub(super) fn asked(&self) -> Query {
        let mut arguments = self.arguments(self.query.first("p").filter(|_| !self.is_download()));
        for (name, text) in &mut arguments {
            if self.fields.iter().any(|field| field.name == name && matches!(field.kind, Kind::Day)) {
                *text = text.replace('-', "/");
            }
        }
        Query::new(arguments)
    }

    /// How many elements are asked for, where a page has so many: of a file there is one page.
    pub(super) fn per_page(&self, page: i64) -> i64 {
        if self.is_download() { self.file_rows } else { page }
    }

    /// The same of a list that is too long to be counted.
    pub(super) fn extent(&self, page: i64) -> Extent {
        Extent { per_page: self.per_page(page), counted: Some(LISTED_MAX) }
    }

    /// The page, or the file, of what was found. What is wrong with what was asked is told on the page, which keeps it.
    pub(super) fn answer<T>(
        &self,
        session: &Session,
        found: Answer<Paged<T>>,
        columns: &[Column<T>],
    ) -> Shown {
        self.answer_above(session, found, columns, &html! {})
    }

    /// The same, with something more below it.
    pub(super) fn answer_above<T>(
        &self,
        session: &Session,
        found: Answer<Paged<T>>,
        columns: &[Column<T>],
        below: &Markup,
    ) -> Shown {
        let (elements, meta) = match found {
            Ok(page) => page.into_parts(),
            Err(problem) => {
                return within(problem, |why| {
                    self.page(session, &html! { (layout::notice(Some(Notice::Failed(why)))) (self.search()) })
                });
            }
        };
        if self.is_download() {
            let kept: Vec<_> =
                columns.iter().filter_map(|column| Some((column.name?, column.text))).collect();
            let names: Vec<_> = kept.iter().map(|(name, _)| *name).collect();
            let row = |element: &T| kept.iter().map(|(_, text)| text(element)).collect();
            return Ok(csv::download(self.file, &names, elements.iter().map(row)));
        }
        let shown: Vec<_> = columns.iter().filter_map(|column| Some((column.head?, column))).collect();
        let content = html! {
            (self.search())
            div.scroll tabindex="0" role="region" aria-label=(self.title) {
                table {
                    caption { (count(&meta)) }
                    (heads(&shown.iter().map(|(head, _)| *head).collect::<Vec<_>>()))
                    tbody { @for element in &elements { tr {
                        @for (i, (_, column)) in shown.iter().enumerate() {
                            @if i == 0 { th scope="row" { (column.cell(element)) } }
                            @else { td { (column.cell(element)) } }
                        }
                    } } }
                }
            }
            (self.pager(&meta))
            (self.download_link(&meta))
            (below)
        };
        Ok(self.page(session, &content))
    }

    fn page(&self, session: &Session, content: &Markup) -> Response {
        layout::page(Some(session), self.path, self.title, content)
    }

    /// Whether it is asked for as a file.
    fn is_download(&self) -> bool {
        self.query.first("format") == Some("csv")
    }

    /// Below the list: the file of what was found.
    fn download_link(&self, meta: &Meta) -> Markup {
        html! {
            @if meta.total > 0 {
                p {
                    a href=(self.address(&[("format", "csv")])) download { "Télécharger en CSV" }
                    @if meta.total > self.file_rows || meta.total == LISTED_MAX {
                        " (les " (thousands(self.file_rows.unsigned_abs())) " plus récents)"
                    }
                }
            }
        }
    }

    /// Above the list.
    pub(super) fn search(&self) -> Markup {
        html! {
            @if !self.fields.is_empty() {
                form.search role="search" method="get" action=(self.path) {
                    @for field in &self.fields {
                        div { (field.input(self.query.first(field.name).unwrap_or_default())) }
                    }
                    div.actions { button type="submit" { "Rechercher" } }
                }
            }
        }
    }

    /// Below the list, where it has several pages.
    pub(super) fn pager(&self, meta: &Meta) -> Markup {
        let link = |page: Option<i64>| page.map(|page| self.address(&[("p", &page.to_string())]));
        html! {
            @if meta.pages > 1 {
                nav.pages aria-label="Pages" {
                    @if let Some(before) = link(meta.prev_page) { a href=(before) rel="prev" { "Page précédente" } " " }
                    @if let Some(number) = meta.prev_page.map(|page| page + 1).or(meta.next_page.map(|page| page - 1)) {
                        span aria-current="page" { "page " (number) " sur " (meta.pages) } " "
                    }
                    @if let Some(next) = link(meta.next_page) { a href=(next) rel="next" { "Page suivante" } }
                }
            }
        }
    }

    /// The list with what is looked for, and these arguments.
    pub(super) fn address(&self, more: &[(&str, &str)]) -> String {
        let mut text = form_urlencoded::Serializer::new(String::new());
        text.extend_pairs(self.arguments(None)).extend_pairs(more);
        format!("{}?{}", self.path, text.finish())
    }

    fn arguments(&self, page: Option<&str>) -> Vec<(String, String)> {
        let given = |name: &str| self.query.first(name).filter(|text| !text.is_empty()).map(str::to_owned);
        let fields = self.fields.iter().filter_map(|field| Some((field.name.to_owned(), given(field.name)?)));
        fields.chain(page.map(|page| ("p".to_owned(), page.to_owned()))).collect()
    }
}

/// How many were found.
pub(super) fn count(meta: &Meta) -> String {
    match meta.total {
        0 => "Aucun résultat".to_owned(),
        1 => "1 résultat".to_owned(),
        // No more are counted.
        LISTED_MAX => format!("{} résultats ou plus", thousands(LISTED_MAX.unsigned_abs())),
        total => format!("{total} résultats"),
    }
}

/// The first row of a table.
pub(super) fn heads(names: &[&str]) -> Markup {
    html! { thead { tr { @for name in names { th scope="col" { (name) } } } } }
}
