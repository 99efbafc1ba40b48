//! What all lists have: what is looked for, pages, and where one stands.

use maud::{Markup, html};

use crate::form::query::{Meta, Query};
use crate::limits::CSV_ROWS_MAX;

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
    /// One of these values.
    Choice(&'static [&'static str]),
    /// Browsers write it with hyphens, the API with slashes.
    Day,
}

impl Field {
    /// One of these values.
    pub(super) const fn choice(
        name: &'static str,
        label: &'static str,
        choices: &'static [&'static str],
    ) -> Self {
        Self { name, label, kind: Kind::Choice(choices) }
    }

    /// A text.
    pub(super) const fn text(name: &'static str, label: &'static str) -> Self {
        Self { name, label, kind: Kind::Text }
    }

    /// A day.
    pub(super) const fn day(name: &'static str, label: &'static str) -> Self {
        Self { name, label, kind: Kind::Day }
    }
}

/// A list, as it is asked for.
#[derive(Debug)]
pub(super) struct List<'a> {
    /// Its page.
    pub(super) path: &'static str,
    /// What may be looked for.
    pub(super) fields: &'static [Field],
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

    /// Whether it is asked for as a file, of which there is one page.
    pub(super) fn is_download(&self) -> bool {
        self.query.first("format") == Some("csv")
    }

    /// Below the list: the file of what was found.
    pub(super) fn download_link(&self, meta: &Meta) -> Markup {
        html! {
            @if meta.total > 0 {
                p {
                    a href=(self.address(&[("format", "csv")])) download { "Télécharger en CSV" }
                    @if meta.total > CSV_ROWS_MAX { " (les " (CSV_ROWS_MAX) " plus récents)" }
                }
            }
        }
    }

    /// Above the list.
    pub(super) fn search(&self) -> Markup {
        html! {
            form.search role="search" method="get" action=(self.path) {
                @for field in self.fields {
                    @let given = self.query.first(field.name).unwrap_or_default();
                    div {
                        label for=(field.name) { (field.label) }
                        @match field.kind {
                            Kind::Text => {
                                input id=(field.name) name=(field.name) value=(given) autocomplete="off";
                            }
                            Kind::Day => {
                                @let given = given.replace('/', "-");
                                input id=(field.name) name=(field.name) type="date" value=(given);
                            }
                            Kind::Choice(choices) => {
                                select id=(field.name) name=(field.name) {
                                    option value="" { "Tous" }
                                    @for choice in choices {
                                        option value=(choice) selected[*choice == given] { (choice) }
                                    }
                                }
                            }
                        }
                    }
                }
                div.actions { button type="submit" { "Rechercher" } }
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
    fn address(&self, more: &[(&str, &str)]) -> String {
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
        total => format!("{total} résultats"),
    }
}

/// The first row of a table.
pub(super) fn heads(names: &[&str]) -> Markup {
    html! { thead { tr { @for name in names { th scope="col" { (name) } } } } }
}
