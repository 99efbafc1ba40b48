//! What a run found, on paper: dated, and signed with the deployment's secret.

use chrono::DateTime;
use hmac::{Hmac, KeyInit as _, Mac as _};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::{Finding, Side, Verdict};
use crate::openapi::page;
use crate::secrets::{SecretKey, hex};

/// What the key of signatures is derived for.
const LABEL: &str = "recette";

/// A run, judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Who was judged.
    pub side: Side,
    /// Email of the account.
    pub account: String,
    /// Where, as the run was told.
    pub server: String,
    /// The taxi that hails were of.
    pub taxi: String,
    /// When it began, in milliseconds since 1970.
    pub begun_at: i64,
    /// When it ended.
    pub ended_at: i64,
    /// The version of the program that judged.
    pub version: String,
    /// Item by item.
    pub findings: Vec<Finding>,
}

impl Report {
    /// What became of the whole: failed where an item failed, passed where each passed.
    pub fn verdict(&self) -> Verdict {
        let has = |verdict| self.findings.iter().any(|finding| finding.verdict == verdict);
        match () {
            () if has(Verdict::Failed) => Verdict::Failed,
            () if has(Verdict::NotSeen) || !has(Verdict::Passed) => Verdict::NotSeen,
            () => Verdict::Passed,
        }
    }

    /// What is signed: the report as JSON.
    pub fn text(&self) -> String {
        // What is only texts and numbers can always be written.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The report in a text; None: it is none.
    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

/// Signs reports for a deployment.
#[derive(Clone)]
pub struct Signer([u8; 32]);

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer(***)")
    }
}

impl Signer {
    /// The one of a deployment with this secret.
    pub fn new(secret: &SecretKey) -> Self {
        Self(secret.derive(LABEL))
    }

    /// The signature of a report's text, in hexadecimal.
    pub fn sign(&self, text: &str) -> String {
        self.mac(text).map_or_else(String::new, |mac| hex(&mac.finalize().into_bytes()))
    }

    /// Whether this is the signature of a text. It takes as long whatever is wrong in it.
    pub fn is_right(&self, text: &str, signature: &str) -> bool {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let pairs = signature.as_bytes().chunks(2).map(|pair| match *pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        });
        let bytes: Option<Vec<u8>> = pairs.collect();
        let mac = self.mac(text);
        bytes.zip(mac).is_some_and(|(bytes, mac)| mac.verify_slice(&bytes).is_ok())
    }

    fn mac(&self, text: &str) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        mac.update(text.as_bytes());
        Some(mac)
    }
}

/// The report as a page of its own, which prints on one sheet or two.
pub fn file(report: &Report, signature: Option<&str>) -> String {
    let content = html! {
        main {
            h1 { (title(report)) }
            (content(report))
            @match signature {
                Some(signature) => { (signed(&report.text(), signature)) }
                None => { p { "Ce rapport n’est pas signé par le registre." } }
            }
        }
    };
    page::page("fr", &title(report), &content)
}

/// What is signed, and the signature: [`read_signed`] finds them again.
pub fn signed(text: &str, signature: &str) -> Markup {
    html! {
        p { "Signature du registre : " code #signature { (signature) } }
        details {
            summary { "Le texte signé (HMAC-SHA-256)" }
            pre.scroll tabindex="0" { code #text { (text) } }
        }
    }
}

/// The signed text of a page, and its signature; None: it has none.
pub fn read_signed(page: &str) -> Option<(String, String)> {
    let of = |id: &str| {
        let (_, rest) = page.split_once(&format!("<code id=\"{id}\">"))?;
        let (escaped, _) = rest.split_once("</code>")?;
        let text = escaped.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
        Some(text.replace("&amp;", "&"))
    };
    Some((of("text")?, of("signature")?))
}

/// Its title.
pub fn title(report: &Report) -> String {
    format!("Recette, {} : {}", report.side.name(), report.account)
}

/// All of it but the signature.
pub fn content(report: &Report) -> Markup {
    let count = |verdict| report.findings.iter().filter(|finding| finding.verdict == verdict).count();
    let sum = match report.verdict() {
        Verdict::Passed => "Recette réussie",
        Verdict::Failed => "Recette échouée",
        Verdict::NotSeen | Verdict::NotApplicable => "Recette incomplète",
    };
    html! {
        p {
            strong { (sum) } " : " (count(Verdict::Passed)) " points réussis, " (count(Verdict::Failed)) " échoués, "
            (count(Verdict::NotSeen)) " non observés, " (count(Verdict::NotApplicable)) " sans objet."
        }
        dl {
            dt { "Compte" } dd { (report.account) }
            dt { "Registre" } dd { (report.server) }
            dt { "Taxi" } dd { (report.taxi) }
            dt { "Commencée le (UTC)" } dd { (moment(report.begun_at)) }
            dt { "Terminée le (UTC)" } dd { (moment(report.ended_at)) }
            dt { "Jugée par" } dd { "maraude " (report.version) }
        }
        div.scroll tabindex="0" role="region" aria-label="Points de la recette" { table {
            thead { tr { th scope="col" { "Point" } th scope="col" { "Résultat" } th scope="col" { "Constat" } } }
            tbody { @for finding in &report.findings { tr {
                th scope="row" { (finding.item.name()) }
                td { (mark(finding.verdict)) " " (finding.verdict.name()) }
                td { ul { @for line in &finding.evidence { li { (line) } } } }
            } } }
        } }
    }
}

/// A sign beside the word, which is clear on paper without colours.
fn mark(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "✓",
        Verdict::Failed => "✗",
        Verdict::NotSeen => "–",
        Verdict::NotApplicable => "∅",
    }
}

/// A moment as people write it.
pub fn moment(at_ms: i64) -> String {
    DateTime::from_timestamp_millis(at_ms)
        .map_or_else(|| at_ms.to_string(), |at| at.format("%d/%m/%Y %H:%M:%S").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certify::Item;

    fn report(verdicts: &[Verdict]) -> Report {
        let finding = |verdict: &Verdict| Finding {
            item: Item::Cadence,
            verdict: *verdict,
            evidence: vec!["<b>\"&amp;".to_owned()],
        };
        Report {
            side: Side::Operator,
            account: "mes-taxis".to_owned(),
            server: "http://localhost:8080".to_owned(),
            taxi: "yCnSfFy".to_owned(),
            begun_at: 1_790_000_000_000,
            ended_at: 1_790_000_100_000,
            version: "0".to_owned(),
            findings: verdicts.iter().map(finding).collect(),
        }
    }

    #[test]
    fn one_failure_fails_and_what_was_not_seen_is_no_success() {
        use Verdict as V;
        for (verdicts, whole) in [
            (&[V::Passed, V::Passed][..], V::Passed),
            (&[V::Passed, V::NotApplicable], V::Passed),
            (&[V::NotApplicable], V::NotSeen),
            (&[V::Passed, V::NotSeen], V::NotSeen),
            (&[V::NotSeen, V::Failed, V::Passed], V::Failed),
            (&[], V::NotSeen),
        ] {
            assert_eq!(report(verdicts).verdict(), whole, "{verdicts:?}");
        }
    }

    #[test]
    fn a_signature_is_of_the_text_and_of_the_deployment() {
        let signer = |digit: &str| Signer::new(&SecretKey::from_hex(&digit.repeat(64)).unwrap());
        let text = report(&[Verdict::Passed]).text();
        assert_eq!(Report::read(&text), Some(report(&[Verdict::Passed])));
        let signed = signer("1").sign(&text);
        assert!(signer("1").is_right(&text, &signed));
        assert!(!signer("2").is_right(&text, &signed));
        assert!(!signer("1").is_right(&text.replace("passed", "failed"), &signed));
        for wrong in ["", "0", "zz", &signed[..62], &format!("{signed}0"), &format!("{signed}00"), "é"] {
            assert!(!signer("1").is_right(&text, wrong), "{wrong:?}");
        }
    }

    #[test]
    fn a_file_says_whether_it_is_signed_and_shows_html_as_text() {
        let report = report(&[Verdict::Failed]);
        let file = file(&report, None);
        assert!(file.contains("Recette échouée") && file.contains("pas signé") && file.contains("&lt;b&gt;"));
        assert!(!file.contains("<b>") && file.contains("21/09/2026 14:13:20"), "{file}");
        let signed = super::file(&report, Some("00ff"));
        assert_eq!(read_signed(&signed), Some((report.text(), "00ff".to_owned())));
        assert_eq!((read_signed(&file), read_signed("")), (None, None));
    }
}
