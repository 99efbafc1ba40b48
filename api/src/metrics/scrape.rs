//! Every metric there is: its name, its meaning, and where its number comes from.

use analytics::meters::Meters;
use engine::follow::Follower;
use ingest::counter::Counter;
use ingest::gate::Refusal;
use ingest::udp::Drops;

use super::Sources;
use super::families::{Families, float};
use crate::searches::History;

/// Reads everything.
pub(super) fn gather(sources: &Sources) -> Families {
    let mut families = Families::default();
    datagrams(sources, &mut families);
    log(sources, &mut families);
    archive(sources, &mut families);
    if let Some(follower) = &sources.follower {
        map(sources, follower, &mut families);
        hails(sources, &mut families);
        publications(sources, &mut families);
    }
    http(sources, &mut families);
    database(sources, &mut families);
    process(sources, &mut families);
    families
}

fn datagrams(Sources { app, .. }: &Sources, families: &mut Families) {
    families.counter(
        "maraude_datagrams_accepted_total",
        "Positions in datagrams that passed every check.",
        app.refusals.accepted(),
    );
    families.counters(
        "maraude_datagrams_refused_total",
        "Positions in datagrams that were refused; overloaded: they passed every check, but the log had no room.",
        Refusal::ALL.map(|reason| ([("reason", reason.name())], app.refusals.total(reason))),
    );
    families.counter(
        "maraude_datagrams_clock_off_total",
        "Accepted positions in datagrams whose device's clock is more than two minutes off.",
        app.refusals.clocks_off(),
    );
    if let Some(Ok(dropped)) = app.intake.drops.as_ref().map(Drops::count) {
        families.counter(
            "maraude_datagrams_dropped_total",
            "Datagrams that the kernel dropped because its buffer was full.",
            dropped,
        );
    }
    families.counter(
        "maraude_http_positions_total",
        "Positions that were acknowledged over HTTP.",
        app.meters.http_positions.get(),
    );
    families.counter(
        "maraude_http_positions_clock_off_total",
        "Accepted positions over HTTP whose device's clock is more than two minutes off.",
        app.meters.http_clocks_off.get(),
    );
}

fn log(Sources { app, .. }: &Sources, families: &mut Families) {
    let meters = app.log.meters();
    families.counter("maraude_log_appends_total", "Appends that the log's queue took.", meters.appends.get());
    families.counter(
        "maraude_log_positions_total",
        "Positions that were synced in the log.",
        meters.entries.get(),
    );
    families.counter(
        "maraude_log_positions_lost_total",
        "Positions that the log took and then could not write, or not in time.",
        meters.lost.get(),
    );
    families.histograms(
        "maraude_log_sync_duration_seconds",
        "How long writing and syncing a group of positions took.",
        [([], meters.syncs.snapshot())],
    );
    families.gauge(
        "maraude_log_queue_free_positions",
        "How many more positions the log's queue has room for.",
        float(app.log.queue_room()),
    );
}

fn archive(Sources { app, .. }: &Sources, families: &mut Families) {
    let Some(archivers) = &app.archivers else { return };
    let (positions, searches) = (&archivers.positions, &archivers.searches);
    let streams = [("positions", positions.meters()), ("searches", searches.meters())];
    families.gauges(
        "maraude_archive_lag_records",
        "How many records of a log are not in the archive yet; a record waits for archive_after_s at most.",
        [("positions", positions.lag()), ("searches", searches.lag())]
            .map(|(stream, lag)| ([("stream", stream)], float(lag))),
    );
    let mut counters = |name, help, count: fn(&Meters) -> &Counter| {
        let counts = streams.map(|(stream, meters)| ([("stream", stream)], count(meters).get()));
        families.counters(name, help, counts);
    };
    counters("maraude_archive_files_total", "Files of what a log took that were made.", |meters| {
        &meters.files
    });
    counters("maraude_archive_rows_total", "Positions or searches in them.", |meters| &meters.rows);
    counters("maraude_archive_bytes_total", "Bytes of them.", |meters| &meters.bytes);
    counters("maraude_archive_outrun_files_total", "Files that another process had made before.", |meters| {
        &meters.outrun
    });
    counters(
        "maraude_archive_skipped_records_total",
        "Records of a log that could not be read, and are not in the archive.",
        |meters| &meters.skipped,
    );
    counters("maraude_archive_days_total", "Days that were written from their hours.", |meters| &meters.days);
    counters("maraude_archive_blurred_days_total", "Days that were blurred to towns.", |meters| {
        &meters.blurred
    });
    counters(
        "maraude_archive_failures_total",
        "Times that archiving, writing or blurring a day failed; each is tried again.",
        |meters| &meters.failures,
    );
}

fn map(Sources { app, .. }: &Sources, follower: &Follower, families: &mut Families) {
    families.gauge(
        "maraude_follower_lag_records",
        "How many records of the log the map has not read yet.",
        float(follower.lag()),
    );
    families.counter(
        "maraude_follower_skipped_records_total",
        "Records of the log that the map passed over: damaged, or removed before it came to them.",
        follower.skipped(),
    );
    families.gauge(
        "maraude_engine_taxis_online",
        "Taxis heard within two minutes, each counted once an operator.",
        float(app.engine.online()),
    );
    families.gauge(
        "maraude_engine_memory_bytes",
        "About how much memory the map takes.",
        float(app.engine.memory_bytes()),
    );
    families.counter(
        "maraude_engine_fixes_refused_total",
        "Positions that the map had no room for.",
        app.engine.refused(),
    );
    families.histograms(
        "maraude_search_duration_seconds",
        "How long searches in a town took.",
        [([], app.searches.durations())],
    );
    families.counter("maraude_search_hits_total", "Taxis that searches answered with.", app.searches.hits());
    if let Some(history) = &app.history {
        searches(history, families);
    }
}

fn searches(history: &History, families: &mut Families) {
    families.counter(
        "maraude_searches_logged_total",
        "Searches that were logged for statistics.",
        history.logged(),
    );
    families.counter(
        "maraude_searches_lost_total",
        "Searches that no statistic has: their log had no room, or could not write them.",
        history.lost(),
    );
    families.gauge(
        "maraude_searches_kept",
        "Searches of the last year that statistics are made of.",
        float(u64::try_from(history.len()).unwrap_or(u64::MAX)),
    );
    families.counter(
        "maraude_searches_left_out_total",
        "Searches that are logged and in no statistic: their day alone has as many as memory holds.",
        history.left_out(),
    );
}

fn publications(Sources { app, .. }: &Sources, families: &mut Families) {
    families.counter(
        "maraude_publications_put_off_total",
        "Times that availability by cell was put off: the archive is away or damaged, or taxis were in too many cells.",
        app.meters.publications_put_off.get(),
    );
}

fn http(Sources { app, .. }: &Sources, families: &mut Families) {
    let requests = app.meters.requests.snapshot();
    let statuses: Vec<_> = requests.iter().map(|(key, _)| key.status.to_string()).collect();
    families.histograms(
        "maraude_http_request_duration_seconds",
        "How long requests took; route none: answered before a route was found, or there is none.",
        requests.iter().zip(&statuses).map(|((key, snapshot), status)| {
            ([("route", &*key.route), ("method", key.method), ("status", status)], snapshot.clone())
        }),
    );
    families.counters(
        "maraude_http_throttled_total",
        "Requests that were refused because their account asks too often, by the role that limits it.",
        app.buckets.refused().map(|(role, count)| ([("role", role.as_str())], count)),
    );
    families.gauge(
        "maraude_event_streams",
        "Event streams that are open.",
        float(u64::try_from(app.streams.count()).unwrap_or(u64::MAX)),
    );
    families.counters(
        "maraude_events_sent_total",
        "Transitions of hails and positions of their taxis that were sent, once for each stream.",
        [
            ([("kind", "hail")], app.streams.events_sent.get()),
            ([("kind", "position")], app.streams.positions_sent.get()),
        ],
    );
}

fn hails(Sources { app, .. }: &Sources, families: &mut Families) {
    let meters = app.registry.hail_meters();
    families.counters(
        "maraude_webhook_deliveries_total",
        "Tries to tell webhooks of events.",
        [
            ([("outcome", "told")], meters.deliveries_told.get()),
            ([("outcome", "failed")], meters.deliveries_failed.get()),
        ],
    );
    families.counter(
        "maraude_webhook_dead_letters_total",
        "Events that webhooks were not told within a day, or for want of room.",
        meters.dead_letters.get(),
    );
    families.gauge(
        "maraude_webhook_waiting_events",
        "Events that wait for webhooks, counted every ten seconds in the database.",
        float(meters.deliveries_waiting.get()),
    );
    families.gauge(
        "maraude_webhook_waiting_seconds",
        "For how long the first of them has waited, or 0.",
        float(meters.delivery_waits_s.get()),
    );
    families.counters(
        "maraude_hail_transitions_total",
        "How often hails came to a status.",
        meters.statuses().map(|(status, count)| ([("status", status.as_str())], count)),
    );
    families.counters(
        "maraude_hail_calls_total",
        "Calls of operators' servers.",
        [("answered", meters.calls_answered.get()), ("failed", meters.calls_failed.get())]
            .map(|(outcome, count)| ([("outcome", outcome)], count)),
    );
    families.histograms(
        "maraude_hail_call_delay_seconds",
        "How long hails waited until their operator was called.",
        [([], meters.waited())],
    );
    families.histograms(
        "maraude_hail_call_duration_seconds",
        "How long calls of operators' servers took.",
        [([], meters.lasted())],
    );
    families.histograms(
        "maraude_hail_deadline_delay_seconds",
        "How late deadlines of hails were kept.",
        [([], meters.late())],
    );
}

fn database(Sources { app, .. }: &Sources, families: &mut Families) {
    let store = app.registry.store();
    let pools = store.pools();
    families.gauges(
        "maraude_sql_connections",
        "Connections to the database.",
        pools.iter().flat_map(|pool| {
            let state = |state| [("pool", pool.name), ("state", state)];
            [(state("used"), f64::from(pool.used)), (state("idle"), f64::from(pool.idle))]
        }),
    );
    families.gauges(
        "maraude_sql_connections_limit",
        "Connections to the database that there may be.",
        pools.iter().map(|pool| ([("pool", pool.name)], f64::from(pool.limit))),
    );
    families.counters(
        "maraude_sql_failures_total",
        "Statements and transactions that failed.",
        store.failures().map(|(kind, count)| ([("kind", kind)], count)),
    );
}

fn process(Sources { app, .. }: &Sources, families: &mut Families) {
    let ready = |ready| if ready { 1.0 } else { 0.0 };
    families.gauges(
        "maraude_ready",
        "Whether a part is ready: 1 or 0.",
        app.parts().map(|(part, is_ready)| ([("part", part)], ready(is_ready))),
    );
    families.gauges(
        "maraude_build_info",
        "The version that runs.",
        [([("version", env!("CARGO_PKG_VERSION"))], 1.0)],
    );
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are exact")]
    let started_s = app.intake.started_at.0 as f64 / 1000.0;
    families.gauge(
        "process_start_time_seconds",
        "When the server started, in seconds since 1970.",
        started_s,
    );
}
