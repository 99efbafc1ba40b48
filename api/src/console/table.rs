//! Figures as a table, and where its shape allows it as a chart, too.

use analytics::encode::Cell;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::chart;
use crate::limits::{CHART_BARS_MAX, CHART_SERIES_MAX, ROWS_SHOWN};

/// A table.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// What its columns are called.
    pub(super) columns: Vec<String>,
    /// Its rows, a cell a column.
    pub(super) rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table of these columns.
    pub(super) fn new(columns: &[&str], rows: Vec<Vec<Cell>>) -> Self {
        Self { columns: columns.iter().map(|name| (*name).to_owned()).collect(), rows }
    }

    /// Rows of three texts, of which the first is the same in several that follow each other: one for each.
    pub(super) fn grouped(self) -> Vec<(String, Vec<(String, String)>)> {
        let mut groups: Vec<(String, Vec<(String, String)>)> = Vec::new();
        for row in self.rows {
            let Ok([Cell::Text(group), Cell::Text(name), Cell::Text(value)]) = <[Cell; 3]>::try_from(row)
            else {
                continue;
            };
            match groups.last_mut() {
                Some((last, pairs)) if *last == group => pairs.push((name, value)),
                _ => groups.push((group, vec![(name, value)])),
            }
        }
        groups
    }

    /// The table, of which this is the name; its first rows where it is long.
    pub(super) fn show(&self, label: &str) -> Markup {
        let count = match self.rows.len() {
            0 => "Aucune ligne".to_owned(),
            1 => "1 ligne".to_owned(),
            rows if rows > ROWS_SHOWN => {
                format!("Les {ROWS_SHOWN} premières lignes ; un fichier les a toutes")
            }
            rows => format!("{rows} lignes"),
        };
        html! {
            div.scroll tabindex="0" role="region" aria-label=(label) {
                table {
                    caption { (count) }
                    thead { tr { @for (i, name) in self.columns.iter().enumerate() {
                        th.number[self.is_number(i)] scope="col" { (name) }
                    } } }
                    tbody { @for row in self.rows.iter().take(ROWS_SHOWN) { tr { @for cell in row {
                        @match cell {
                            Cell::Unknown => td { span role="img" aria-label="inconnu" { "–" } },
                            Cell::Number(number) => td.number { (decimal(number)) },
                            Cell::Text(text) => td { (text) },
                        }
                    } } } }
                }
            }
        }
    }

    /// The chart of it, beside the table. Of three shapes there is one: columns of numbers beside a text, a line for
    /// each of them where the texts are moments and bars where not; or two texts and a number, of which the second text
    /// says whose line or bars it is. Part of the rows would tell something else.
    pub(super) fn chart(&self, label: &str) -> Option<Markup> {
        if self.rows.len() < 2 { None } else { self.drawn(label, json!({})) }
    }

    /// Charts of a table whose last column tells the unit of each row: one for each unit. `label` names one of them by
    /// its unit.
    pub(super) fn charts_by_unit(&self, label: impl Fn(&str) -> String) -> Option<Markup> {
        let columns = self.columns.split_last().map(|(_, others)| others.to_vec()).unwrap_or_default();
        let mut tables: Vec<(&str, Self)> = Vec::new();
        for row in &self.rows {
            let [cells @ .., Cell::Text(unit)] = &row[..] else { return None };
            match tables.iter_mut().find(|(of, _)| of == unit) {
                Some((_, table)) => table.rows.push(cells.to_vec()),
                None => tables.push((unit, Self { columns: columns.clone(), rows: vec![cells.to_vec()] })),
            }
        }
        let chart = |(unit, table): &(&str, Self)| {
            // Several figures of one thing stand beside each other.
            let turned = (table.rows.len() == 1 && table.columns.len() > 2).then(|| table.turned());
            let layout =
                json!({"yaxis": {"title": {"text": chart::text(unit)}}, "height": 240, "bargap": 0.5});
            turned.as_ref().unwrap_or(table).drawn(&label(unit), layout)
        };
        let charts: Vec<_> = tables.iter().filter_map(chart).collect();
        (!charts.is_empty()).then(|| html! { div.panels { @for chart in &charts { (chart) } } })
    }

    /// The same with a row for each column of figures, and a column for each row.
    pub(super) fn turned(&self) -> Self {
        let names = self.rows.iter().filter_map(|row| row.first()).map(|name| text(name).to_owned());
        let columns = self.columns.first().cloned().into_iter().chain(names).collect();
        let row = |(place, name): (usize, &String)| {
            let figures = self.rows.iter().map(|row| row.get(place).cloned().unwrap_or(Cell::Unknown));
            [Cell::Text(name.clone())].into_iter().chain(figures).collect()
        };
        Self { columns, rows: self.columns.iter().enumerate().skip(1).map(row).collect() }
    }

    /// The chart, with what its layout has of its own.
    fn drawn(&self, label: &str, own: Value) -> Option<Markup> {
        let is_name = |i: usize| self.rows.iter().all(|row| matches!(row.get(i), Some(Cell::Text(_))));
        let numbers: Vec<_> = (0..self.columns.len()).filter(|i| self.is_number(*i)).collect();
        let texts: Vec<_> = (0..self.columns.len()).filter(|i| self.has_text(*i)).collect();
        if self.rows.len() > CHART_BARS_MAX {
            return None;
        }
        let series: Vec<(String, Vec<(&str, Value)>)> = match (&texts[..], &numbers[..]) {
            ([name], [_, ..]) if is_name(*name) => {
                let of = |i: &usize| {
                    let title = self.columns.get(*i).cloned().unwrap_or_default();
                    (title, self.pairs(*name, *i).collect())
                };
                numbers.iter().map(of).collect()
            }
            ([name, whose], [number]) if is_name(*name) && is_name(*whose) => {
                let mut series: Vec<(String, Vec<(&str, Value)>)> = Vec::new();
                for (row, pair) in self.rows.iter().zip(self.pairs(*name, *number)) {
                    let whose = row.get(*whose).map(text).unwrap_or_default();
                    match series.iter_mut().find(|(name, _)| name == whose) {
                        Some((_, pairs)) => pairs.push(pair),
                        None => series.push((whose.to_owned(), vec![pair])),
                    }
                }
                series
            }
            _ => return None,
        };
        if series.len() > CHART_SERIES_MAX {
            return None;
        }
        let are_moments = series.iter().flat_map(|(_, pairs)| pairs).all(|(name, _)| is_moment(name));
        let traces = series.iter().map(|(name, pairs)| {
            let (x, y): (Vec<_>, Vec<_>) =
                pairs.iter().map(|(name, value)| (chart::text(name), value.clone())).unzip();
            let kind = if are_moments { "scatter" } else { "bar" };
            json!({"type": kind, "name": chart::text(name), "x": x, "y": y})
        });
        let axis = json!({"type": if are_moments { "date" } else { "category" }});
        let mut layout = own;
        (layout["xaxis"], layout["showlegend"]) = (axis, json!(series.len() > 1));
        Some(chart::chart(label, &traces.collect(), &layout))
    }

    /// Whether a column is of numbers, and there are some.
    fn is_number(&self, column: usize) -> bool {
        let is_number = |row: &Vec<Cell>| matches!(row.get(column), Some(Cell::Number(_)));
        self.rows.iter().any(is_number) && !self.has_text(column)
    }

    fn has_text(&self, column: usize) -> bool {
        self.rows.iter().any(|row| matches!(row.get(column), Some(Cell::Text(_))))
    }

    fn pairs(&self, name: usize, number: usize) -> impl Iterator<Item = (&str, Value)> {
        self.rows.iter().filter_map(move |row| {
            let value = match row.get(number)? {
                Cell::Number(number) => number.parse().ok().map_or(Value::Null, |read: f64| json!(read)),
                _ => Value::Null,
            };
            Some((text(row.get(name)?), value))
        })
    }
}

fn text(cell: &Cell) -> &str {
    match cell {
        Cell::Text(text) => text,
        _ => "",
    }
}

/// Whether a text is a day, or a moment, as cells have it.
fn is_moment(text: &str) -> bool {
    let day = text.get(..10).unwrap_or_default();
    day.parse::<chrono::NaiveDate>().is_ok() && matches!(text.as_bytes().get(10), None | Some(b' '))
}

/// A whole number.
pub(super) fn whole(number: impl Into<i128>) -> Cell {
    Cell::Number(number.into().to_string())
}

/// A number, if it is known.
pub(super) fn number(number: Option<f64>) -> Cell {
    number.map_or(Cell::Unknown, |number| Cell::Number(number.to_string()))
}

/// A number as in French, with three decimals at most where it is 1 or more.
fn decimal(number: &str) -> String {
    let short = match number.split_once('.') {
        // Neither `0.00012` nor `1.234567e-9`.
        Some((whole, decimals))
            if whole.trim_start_matches('-') != "0"
                && decimals.len() > 3
                && decimals.bytes().all(|digit| digit.is_ascii_digit()) =>
        {
            number.parse::<f64>().map_or_else(|_| number.to_owned(), |read| format!("{read:.3}"))
        }
        _ => number.to_owned(),
    };
    short.replace('.', ",")
}

/// A whole number with spaces between its thousands.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let (head, rest) = digits.split_at(digits.len() % 3);
    let groups = rest.as_bytes().chunks(3).map(|group| String::from_utf8_lossy(group).into_owned());
    let groups = Some(head.to_owned()).filter(|head| !head.is_empty()).into_iter().chain(groups);
    groups.collect::<Vec<_>>().join("\u{202f}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[&str], rows: &[&[&str]]) -> Table {
        let cell = |text: &&str| match text.parse::<f64>() {
            Ok(_) => Cell::Number((*text).to_owned()),
            Err(_) if text.is_empty() => Cell::Unknown,
            Err(_) => Cell::Text((*text).to_owned()),
        };
        Table::new(columns, rows.iter().map(|row| row.iter().map(cell).collect()).collect())
    }

    fn drawn(table: &Table) -> Option<String> {
        table.chart("Courses").map(|chart| chart.into_string().replace("&quot;", "\""))
    }

    #[test]
    fn numbers_are_written_as_in_french() {
        for (number, text) in [
            ("71.66666666666667", "71,667"),
            ("-3.5", "-3,5"),
            ("0.00001234", "0,00001234"),
            ("12", "12"),
            ("1.5e300", "1,5e300"),
        ] {
            assert_eq!(decimal(number), text);
        }
        assert_eq!(thousands(1_000_000), "1\u{202f}000\u{202f}000");
        assert_eq!((thousands(12), thousands(12_345)), ("12".to_owned(), "12\u{202f}345".to_owned()));
    }

    #[test]
    fn a_name_and_numbers_are_bars_or_lines() {
        let bars = drawn(&table(&["status", "n", "m"], &[&["a", "1", ""], &["b", "2", "3"]])).unwrap();
        for part in
            [r#""name":"n""#, r#""type":"bar""#, r#""x":["a","b"],"y":[1.0,2.0]"#, r#""y":[null,3.0]"#]
        {
            assert!(bars.contains(part), "{part}: {bars}");
        }
        let days = [&["2026-09-20 01:00:00", "1"][..], &["2026-09-21", "2"]];
        let lines = drawn(&table(&["day", "n"], &days)).unwrap();
        assert!(lines.contains(r#""type":"scatter""#) && lines.contains(r#""type":"date""#), "{lines}");
    }

    #[test]
    fn a_second_name_says_whose_bars_they_are() {
        let rows = [&["a", "free", "1"][..], &["a", "off", "2"], &["b", "free", "3"]];
        let bars = drawn(&table(&["town", "status", "n"], &rows)).unwrap();
        for part in [
            r#""name":"free""#,
            r#""name":"off""#,
            r#""x":["a","b"],"y":[1.0,3.0]"#,
            r#""x":["a"],"y":[2.0]"#,
        ] {
            assert!(bars.contains(part), "{part}: {bars}");
        }
    }

    #[test]
    fn figures_of_several_units_have_a_chart_each() {
        let rows = [
            &["seen", "1", "2", "taxis"][..],
            &["found", "3", "4", "taxis"],
            &["closest", "50", "70", "metres"],
            &["nothing", "", "", "hails"],
        ];
        let of_units = table(&["what", "half", "most", "unit"], &rows);
        let html = of_units.charts_by_unit(|unit| format!("in {unit}")).unwrap().into_string();
        let html = html.replace("&quot;", "\"");
        assert_eq!(html.matches("data-chart").count(), 2, "{html}");
        for part in [
            r#"aria-label="in taxis""#,
            r#""name":"half""#,
            r#""x":["seen","found"],"y":[1.0,3.0]"#,
            r#""name":"closest""#,
            r#""x":["half","most"],"y":[50.0,70.0]"#,
            r#""title":{"text":"metres"}"#,
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        let alone = table(&["what", "how many", "unit"], &[&["now", "5", "taxis"]]);
        let html = alone.charts_by_unit(str::to_owned).unwrap().into_string();
        assert!(html.contains("&quot;y&quot;:[5.0]"), "{html}");
    }

    #[test]
    fn other_shapes_have_no_chart() {
        for (columns, rows) in [
            (&["a", "b"][..], &[&["x", "1"][..]][..]),
            (&["a", "b"], &[&["x", "y"], &["z", "z"]]),
            (&["a", "b"], &[&["1", "2"], &["3", "4"]]),
            (&["a", "b", "c", "d"], &[&["x", "x", "x", "1"], &["y", "y", "y", "2"]]),
            (&["a", "b"], &[&["x", "1"], &["", "2"]]),
        ] {
            assert_eq!(drawn(&table(columns, rows)), None, "{rows:?}");
        }
    }
}
