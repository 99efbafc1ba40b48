//! The metrics as a scraper sees them: the whole text is parsed, strictly.

#![expect(clippy::float_cmp, reason = "counts are whole numbers")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::UdpSocket;

use reqwest::Method;

use crate::harness::client::Answer;
use crate::harness::places::MIDDLE;
use crate::harness::program::Program;
use crate::harness::wait::{SOON, within};
use crate::positions::Device;
use crate::world::World;

const HERE: (f64, f64) = (48.85, 2.35);

on_each_database!(
    every_metric_is_well_formed_and_counts_what_happened,
    what_clients_send_adds_no_series,
    metrics_are_nowhere_else,
    hails_are_counted,
);

async fn every_metric_is_well_formed_and_counts_what_happened(world: &mut World) {
    let before = scrape(world).await;
    assert_eq!(before.value("maraude_datagrams_accepted_total", &[]), 0.0);
    let taxi = world.register("op-a", 1, MIDDLE).await;
    let device = Device::new(world, "op-a");
    device.send(0, &taxi, HERE.0);
    device.send(0, "nobody's", HERE.0);
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"{", world.server().udp.unwrap()).unwrap();
    world.place("op-a", &taxi, HERE).await;
    let found = async || (world.search("app", HERE).await.len() == 1).then_some(());
    within(SOON, "the taxi", found).await;
    let counted = async || {
        let seen = scrape(world).await;
        let refused = seen.value("maraude_datagrams_refused_total", &[("reason", "not_json")]);
        (refused >= 1.0 && seen.value("maraude_log_positions_total", &[]) >= 2.0).then_some(seen)
    };
    let seen = within(SOON, "every datagram", counted).await;

    let value = |name: &str, labels: &[(&str, &str)]| seen.value(name, labels);
    assert_eq!(value("maraude_datagrams_accepted_total", &[]), 1.0);
    assert_eq!(value("maraude_datagrams_refused_total", &[("reason", "unknown_taxi")]), 1.0);
    assert_eq!(
        value("maraude_datagrams_refused_total", &[("reason", "bad_hash")]),
        0.0,
        "told before it happens"
    );
    assert_eq!(value("maraude_datagrams_dropped_total", &[]), 0.0);
    assert_eq!(value("maraude_searches_lost_total", &[]), 0.0);
    let searched = value("maraude_search_duration_seconds_count", &[]);
    let logged = async || {
        let seen = scrape(world).await;
        let [logged, kept] =
            ["maraude_searches_logged_total", "maraude_searches_kept"].map(|name| seen.value(name, &[]));
        (logged >= searched && kept >= searched).then_some(())
    };
    within(SOON, "every search in its log", logged).await;
    assert_eq!(value("maraude_http_positions_total", &[]), 1.0);
    assert_eq!(value("maraude_log_positions_total", &[]), 2.0);
    // What comes at one time is one append.
    assert!((1.0..=2.0).contains(&value("maraude_log_appends_total", &[])));
    assert!(value("maraude_log_sync_duration_seconds_count", &[]) >= 1.0);
    assert_eq!(value("maraude_follower_lag_records", &[]), 0.0);
    assert!(value("maraude_log_queue_free_positions", &[]) > 1000.0);
    assert!(value("maraude_engine_memory_bytes", &[]) > 100.0);
    assert!(value("maraude_search_duration_seconds_count", &[]) >= 1.0);
    assert!(value("maraude_search_hits_total", &[]) >= 1.0);
    let search = [("route", "/taxis"), ("method", "GET"), ("status", "200")];
    assert!(value("maraude_http_request_duration_seconds_count", &search) >= 1.0);
    let status = [("route", "/taxis/{id}"), ("method", "PUT"), ("status", "200")];
    assert_eq!(value("maraude_http_request_duration_seconds_count", &status), 1.0);
    assert_eq!(value("maraude_ready", &[("part", "map")]), 1.0);
    assert_eq!(value("maraude_ready", &[("part", "log")]), 1.0);
    assert_eq!(value("maraude_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), 1.0);
    assert_eq!(value("process_start_time_seconds", &[]), 1_790_000_000.0);
    assert_eq!(value("maraude_sql_failures_total", &[("kind", "unavailable")]), 0.0);
    assert!(seen.0.keys().any(|series| series.starts_with("maraude_sql_connections{")));

    for (series, value) in &before.0 {
        let is_counter =
            ["_total", "_bucket", "_count", "_sum"].iter().any(|end| name_of(series).ends_with(end));
        assert!(!is_counter || seen.0[series] >= *value, "{series} fell");
    }
    let log = world.server().app.log.clone();
    tokio::task::spawn_blocking(move || log.close()).await.unwrap();
    world.report("op-a", &[(&taxi, HERE.0, HERE.1)]).await;
    let failed = [("route", "/geotaxi"), ("method", "POST"), ("status", "503")];
    assert_eq!(scrape(world).await.value("maraude_http_request_duration_seconds_count", &failed), 1.0);
}

async fn what_clients_send_adds_no_series(world: &mut World) {
    let ask = async |method: &str, path: &str| {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        world.client.ask(method, path, "key", None).await.unwrap().status
    };
    let all = async |n: u32| {
        for path in ["nowhere", "taxis", "users"] {
            ask("GET", &format!("/{path}/{n}")).await;
            ask("GET", &format!("/taxis?lon={n}")).await;
            ask(&format!("MADE-UP-{n}"), "/taxis").await;
        }
    };
    all(0).await;
    let few = scrape(world).await;
    for n in 1..20 {
        all(n).await;
    }
    let many = scrape(world).await;
    assert_eq!(few.0.keys().collect::<Vec<_>>(), many.0.keys().collect::<Vec<_>>());
    let none = [("route", "none"), ("method", "GET"), ("status", "404")];
    assert_eq!(many.value("maraude_http_request_duration_seconds_count", &none), 20.0);
    let made_up = [("route", "/taxis"), ("method", "other"), ("status", "405")];
    assert_eq!(many.value("maraude_http_request_duration_seconds_count", &made_up), 60.0);
}

async fn metrics_are_nowhere_else(world: &mut World) {
    assert_eq!(world.client.get(world.key("admin"), "/metrics").await.status, 404);
    let other = format!("http://{}/taxis", world.server().metrics.unwrap());
    assert_eq!(Answer::of(world.client.http.get(other)).await.unwrap().status, 404);
    // An address that is taken is told at the start.
    let taken = world.server().metrics.unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["serve", "--http", "127.0.0.1:0", "--udp", "127.0.0.1:0", "--metrics", &taken];
    let (status, _, complaints) = Program::new(folder.path(), None).run(&arguments).await;
    assert!(!status.success() && complaints.contains(&format!("metrics {taken}")), "{complaints}");
}

/// Every series with its value.
pub(crate) struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        let series =
            if labels.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", labels.join(",")) };
        *self.0.get(&series).unwrap_or_else(|| panic!("there is no {series} in {:?}", self.0.keys()))
    }
}

pub(crate) async fn scrape(world: &World) -> Scrape {
    let url = format!("http://{}/metrics", world.server().metrics.unwrap());
    let response = world.client.http.get(url).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (200, &"text/plain; version=0.0.4".parse().unwrap())
    );
    parse(&response.text().await.unwrap())
}

fn name_of(series: &str) -> &str {
    series.split('{').next().unwrap()
}

/// Parses the text by the rules of the format, and checks the names by those of Prometheus.
fn parse(text: &str) -> Scrape {
    assert!(text.ends_with('\n'));
    let (mut series, mut families) = (BTreeMap::new(), BTreeSet::new());
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let (family, help) = line
            .strip_prefix("# HELP ")
            .and_then(|rest| rest.split_once(' '))
            .unwrap_or_else(|| panic!("no family begins with {line}"));
        assert!(help.ends_with('.') && !help.is_empty(), "{line}");
        assert!(families.insert(family.to_owned()), "{family} begins twice");
        let kind =
            lines.next().and_then(|line| line.strip_prefix(&format!("# TYPE {family} "))).expect(family);
        check_name(family, kind);
        let mut of_family = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            let (labelled, value) = line.rsplit_once(' ').unwrap();
            check_labels(labelled);
            let ends: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            assert!(
                ends.iter().any(|end| name_of(labelled) == format!("{family}{end}")),
                "{line} in {family}"
            );
            let value: f64 = value.parse().unwrap();
            assert!(value.is_finite() && (kind == "gauge" || value >= 0.0), "{line}");
            of_family.push((labelled.to_owned(), value));
            assert!(series.insert(labelled.to_owned(), value).is_none(), "{labelled} is there twice");
        }
        assert!(!of_family.is_empty(), "{family} has no sample");
        if kind == "histogram" {
            check_histogram(family, &of_family);
        }
    }
    Scrape(series)
}

fn check_name(family: &str, kind: &str) {
    assert!(family.starts_with("maraude_") || family == "process_start_time_seconds", "{family}");
    assert!(family.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{family}");
    assert_eq!(kind == "counter", family.ends_with("_total"), "{family} is a {kind}");
    assert!(kind != "histogram" || family.ends_with("_seconds"), "{family}");
    assert!(["counter", "gauge", "histogram"].contains(&kind), "{family} is a {kind}");
    for unit in ["_ms", "_us", "_milliseconds", "_microseconds", "_kb", "_mb", "_percent", "_minutes"] {
        assert!(
            !family.ends_with(unit) && !family.contains(&format!("{unit}_")),
            "{family} is not in a base unit"
        );
    }
}

/// `name{label="value",...}`: names that are names, no label twice, none that is reserved.
fn check_labels(labelled: &str) {
    let Some((_, labels)) = labelled.split_once('{') else { return };
    let labels = labels.strip_suffix("\"}").expect(labelled);
    let mut names = BTreeSet::new();
    for label in labels.split("\",") {
        let (name, value) = label.split_once("=\"").expect(labelled);
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{labelled}");
        assert!(!name.starts_with("__") && !value.contains(['"', '\n', '\\']), "{labelled}");
        assert!(names.insert(name), "{labelled} names {name} twice");
    }
}

/// For each set of labels: buckets that rise, the last one without a bound and equal to the count.
fn check_histogram(family: &str, samples: &[(String, f64)]) {
    let mut buckets: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for (series, value) in samples.iter().filter(|(series, _)| name_of(series).ends_with("_bucket")) {
        let (rest, bound) = series.rsplit_once("le=\"").expect(series);
        let bound = bound.strip_suffix("\"}").unwrap().replace("+Inf", "inf").parse().unwrap();
        let labels = rest.split_once('{').unwrap().1.trim_end_matches(',');
        let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        buckets.entry(labels).or_default().push((bound, *value));
    }
    assert!(!buckets.is_empty(), "{family}");
    for (labels, buckets) in buckets {
        assert!(
            buckets.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1),
            "{family}{labels}"
        );
        let of = |end: &str| {
            let series = format!("{family}{end}{labels}");
            samples.iter().find(|(name, _)| *name == series).expect(&series).1
        };
        let (bound, count) = buckets.last().unwrap();
        assert!(bound.is_infinite() && *count == of("_count") && of("_sum") >= 0.0, "{family}{labels}");
    }
}

#[test]
fn the_parser_refuses_what_is_wrong() {
    let good = "# HELP maraude_a_total A.\n# TYPE maraude_a_total counter\nmaraude_a_total{b=\"c\"} 1\n";
    assert_eq!(parse(good).value("maraude_a_total", &[("b", "c")]), 1.0);
    let gauge = "# HELP maraude_a A.\n# TYPE maraude_a gauge\nmaraude_a 1\n";
    let wrong = [
        good.trim_end().to_owned(),
        format!("{good}{good}"),
        good.replace("counter", "gauge"),
        good.replace("# HELP maraude_a_total A.\n", ""),
        good.replace("# TYPE maraude_a_total counter\n", ""),
        good.replace("maraude_a_total{b=\"c\"} 1\n", "maraude_a_total 1\nmaraude_a_total 2\n"),
        good.replace("maraude_a_total{b=\"c\"} 1\n", ""),
        good.replace("} 1", "} -1"),
        good.replace("{b=\"c\"}", "{b=\"c\",b=\"d\"}"),
        gauge.replace("maraude_a", "maraude_a_ms"),
        gauge.replace("maraude_a", "a"),
    ];
    for text in wrong {
        assert!(std::panic::catch_unwind(|| parse(&text)).is_err(), "{text}");
    }
}

async fn hails_are_counted(world: &mut World) {
    let taxi = world.register("op-a", 1, MIDDLE).await;
    world.place("op-a", &taxi, HERE).await;
    let hail = world.hail("app", &taxi, "op-a").await;
    world.stands(&hail, "sent_to_operator").await;
    world.clock.advance(10_100);
    world.stands(&hail, "failure").await;
    // It is counted a moment after it can be seen.
    let counted = async || {
        let seen = scrape(world).await;
        (seen.value("maraude_hail_deadline_delay_seconds_count", &[]) == 1.0).then_some(seen)
    };
    let seen = within(SOON, "the deadline", counted).await;
    let came_to = |status| seen.value("maraude_hail_transitions_total", &[("status", status)]);
    assert_eq!(["received", "sent_to_operator", "failure", "finished"].map(came_to), [1.0, 1.0, 1.0, 0.0]);
    assert_eq!(seen.value("maraude_hail_calls_total", &[("outcome", "answered")]), 0.0, "nobody was called");
}
