//! Figures in the texts of the guide: those that the program goes by, in the place of their names.

use engine::engine::FRESH_MS;
use ingest::limits::{MAX_CLOCK_SKEW_MS, MAX_DATAGRAM};
use ingest::position::{MAX_ACCURACY_M, MAX_SPEED_M_S};

use crate::hail::Status;
use crate::limits::POSITIONS_MAX;
use crate::pseudonym::LIFETIME_S;
use crate::routes::hails::SHOWN_MS;
use crate::routes::taxis::RADIUS_M;
use crate::store::hails::{BAN_MS, SESSION_MS};

/// A text with figures in the place of `{their names}`.
pub fn told(text: &str) -> String {
    figures()
        .iter()
        .fold(text.to_owned(), |text, (name, figure)| text.replace(&format!("{{{name}}}"), figure))
}

fn figures() -> [(&'static str, String); 15] {
    let lasts_s = |status: Status| status.lasts().unwrap_or_default().as_secs().to_string();
    [
        ("accuracy_m", MAX_ACCURACY_M.to_string()),
        ("ban_h", (BAN_MS / 3_600_000).to_string()),
        ("call_s", lasts_s(Status::Received)),
        ("confirm_s", lasts_s(Status::AcceptedByTaxi)),
        ("datagram_bytes", MAX_DATAGRAM.to_string()),
        ("fresh_s", (FRESH_MS / 1_000).to_string()),
        ("positions", POSITIONS_MAX.to_string()),
        ("pseudonym_min", (LIFETIME_S / 60).to_string()),
        ("radius_max_m", RADIUS_M.end().to_string()),
        ("radius_min_m", RADIUS_M.start().to_string()),
        ("session_min", (SESSION_MS / 60_000).to_string()),
        ("shown_days", (SHOWN_MS / 86_400_000).to_string()),
        ("skew_s", (MAX_CLOCK_SKEW_MS / 1_000).to_string()),
        ("speed_m_s", MAX_SPEED_M_S.to_string()),
        ("taxi_s", lasts_s(Status::ReceivedByTaxi)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_figures_for_names() {
        assert_eq!(told("`a` de {radius_min_m} à {radius_max_m} m, {taxi}"), "`a` de 150 à 500 m, {taxi}");
        for (name, figure) in figures() {
            assert!(figure.parse::<u32>().is_ok_and(|figure| figure > 0), "{name}: {figure}");
        }
    }
}
