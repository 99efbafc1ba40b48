//! Taxis in what outlives them: a keyed hash in place of the taxi.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use hmac::{Hmac, KeyInit as _, Mac as _};
use ingest::position::TaxiKey;
use sha2::Sha256;

use super::filter::Filter;
use crate::app::App;
use crate::secrets::SecretKey;

/// Hashes taxis: always to the same number, by which nobody who lacks the deployment's secret finds the taxi again.
/// Those that were made are kept: figures need all taxis' at once, each of which takes most of a microsecond to make.
/// Cheap to clone; clones share them.
#[derive(Clone)]
pub struct TaxiHashes {
    mac: Hmac<Sha256>,
    made: Arc<RwLock<HashMap<TaxiKey, i64>>>,
}

impl TaxiHashes {
    /// With a key of its own, derived from the deployment's.
    pub fn new(secret: &SecretKey) -> Self {
        // HMAC takes a key of any length; the other arm is for the compiler.
        let key = secret.derive("taxi hash");
        let mac = Hmac::new_from_slice(&key).unwrap_or_else(|_| Hmac::new(&[0; 64].into()));
        Self { mac, made: Arc::default() }
    }

    /// 64 bits of HMAC-SHA-256 of the taxi's number: of 60,000 taxis two agree with a probability of 10^-10.
    pub fn hash(&self, taxi: TaxiKey) -> i64 {
        let made = self.made.read().unwrap_or_else(PoisonError::into_inner).get(&taxi).copied();
        made.unwrap_or_else(|| {
            let hash = self.make(taxi);
            self.made.write().unwrap_or_else(PoisonError::into_inner).insert(taxi, hash);
            hash
        })
    }

    fn make(&self, taxi: TaxiKey) -> i64 {
        let mut mac = self.mac.clone();
        mac.update(&taxi.0.to_be_bytes());
        let bytes = mac.finalize().into_bytes();
        bytes.iter().take(8).fold(0, |hash, byte| hash << 8 | i64::from(*byte))
    }
}

/// Makes the hashes of all taxis before somebody waits for figures of them.
pub(crate) async fn make_ahead(app: App) {
    let taxis = match app.registry.upkeep().taxi_ids(&Filter::default()).await {
        Ok(taxis) => taxis,
        Err(error) => return tracing::debug!(%error, "hashes of taxis are made when they are asked for"),
    };
    let keys = taxis.into_iter().filter_map(|taxi| Some(TaxiKey(u32::try_from(taxi).ok()?)));
    let make = move || {
        for taxi in keys {
            app.taxi_hashes.hash(taxi);
        }
    };
    // One that panicked made some.
    let _ = tokio::task::spawn_blocking(make).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taxi_has_one_hash_under_each_secret() {
        let hashes = |hex: &str| TaxiHashes::new(&SecretKey::from_hex(&hex.repeat(32)).unwrap());
        let taxis = [0, 1, 2, u32::MAX].map(|number| hashes("5a").hash(TaxiKey(number)));
        assert_eq!(taxis, [0, 1, 2, u32::MAX].map(|number| hashes("5a").hash(TaxiKey(number))));
        assert_ne!(taxis[0], taxis[1]);
        let kept = hashes("5a");
        assert_eq!([kept.hash(TaxiKey(7)), kept.clone().hash(TaxiKey(7))], [kept.make(TaxiKey(7)); 2]);
        assert_ne!(taxis[1], hashes("5b").hash(TaxiKey(1)));
    }
}
