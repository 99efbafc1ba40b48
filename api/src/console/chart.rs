//! Charts, drawn by plotly from what the page says of them. Whoever sees none has the same figures in a table.

use maud::{Markup, html};
use serde_json::{Value, json};

use super::assets;

/// What a page with charts loads: once, anywhere in its content.
pub(super) fn scripts() -> Markup {
    html! {
        script defer src=(assets::PLOTLY.address()) {}
        script type="module" src=(assets::CHART.address()) {}
    }
}

/// A chart: what it shows in words, plotly's traces, and of its layout what differs from every chart's. Numbers are
/// plain; names are text, which [`text`] makes of anybody's.
pub(super) fn chart(label: &str, traces: &Value, layout: &Value) -> Markup {
    let figure = json!({"data": traces, "layout": layout});
    html! { div.chart hidden role="img" aria-label=(label) data-chart=(figure) {} }
}

/// A text that plotly shows as it is: it reads some tags of HTML itself, and addresses in them.
pub(super) fn text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_cannot_leave_its_attribute() {
        let traces = json!([{"name": text("\"><a href=x>")}]);
        let html = chart("a \"chart\"", &traces, &json!({})).into_string();
        assert!(html.contains("aria-label=\"a &quot;chart&quot;\""), "{html}");
        assert_eq!(html.matches('<').count(), 2, "{html}");
        assert!(html.contains("\\&quot;&amp;gt;&amp;lt;a href=x&amp;gt;"), "{html}");
    }
}
