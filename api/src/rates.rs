//! How often an account may ask: a bucket of tokens for each, where its role is limited. By default none is.
//!
//! A request takes a token where its key is recognised; what is refused before that takes none. Each process has
//! buckets of its own.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::http::{Extensions, HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use governor::clock::Clock as _;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use ingest::clock::Clock;
use ingest::counter::Counter;

use crate::error::{Answer, Problem};
use crate::limits::RATE_MAX;
use crate::registry::accounts::Account;
use crate::role::Role;

/// How often an account of a role may ask, by role; a role that is not here is not limited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RateLimits(BTreeMap<Role, Quota>);

impl FromStr for RateLimits {
    type Err = String;

    /// Reads `moteur=50/s,operateur=6000/m:400`: so many a second or a minute, and so many at once, which is as many
    /// where it is not said. An error says what is allowed.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut limits = BTreeMap::new();
        for entry in text.split(',').map(str::trim).filter(|_| !text.trim().is_empty()) {
            let is_new = read(entry).and_then(|(role, quota)| match limits.insert(role, quota) {
                None => Ok(()),
                Some(_) => Err(format!("{role} is there for the second time")),
            });
            is_new.map_err(|why| {
                format!("roles with rates, like moteur=50/s,operateur=6000/m:400; in \"{entry}\", {why}")
            })?;
        }
        Ok(Self(limits))
    }
}

fn read(entry: &str) -> Result<(Role, Quota), String> {
    let (role, rate) = entry.split_once('=').ok_or("there is no role=rate")?;
    let role = role.parse().map_err(|names| format!("the role must be {names}"))?;
    let (rate, burst) = rate.split_once(':').map_or((rate, None), |(rate, burst)| (rate, Some(burst)));
    let quota = match rate.split_once('/') {
        Some((count, "s")) => Quota::per_second(number(count)?),
        Some((count, "m")) => Quota::per_minute(number(count)?),
        _ => return Err("the rate must be a number and /s or /m".to_owned()),
    };
    Ok((role, burst.map_or(Ok(quota), |burst| number(burst).map(|burst| quota.allow_burst(burst)))?))
}

fn number(text: &str) -> Result<NonZeroU32, String> {
    let number = text.parse().ok().filter(|number: &NonZeroU32| number.get() <= RATE_MAX);
    number.ok_or_else(|| format!("{text} must be a whole number from 1 to {RATE_MAX}"))
}

/// The buckets of all accounts. Shared by reference.
#[derive(Debug)]
pub struct Buckets {
    ticks: Ticks,
    /// Those that allow most first.
    of_roles: Vec<OfRole>,
}

/// The buckets of a role's accounts, by number: as many as such accounts have asked lately.
#[derive(Debug)]
struct OfRole {
    role: Role,
    quota: Quota,
    buckets: RateLimiter<i32, HashMapStateStore<i32>, Ticks, StateInformationMiddleware>,
    refused: Counter,
}

/// What an account may still ask, once a request was taken or refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Allowance {
    /// Whether there was a token for the request.
    granted: bool,
    /// How many there are in a full bucket.
    limit: u32,
    /// How many are left.
    remaining: u32,
    /// After how many seconds there is at least one more: exact to the second where there was none.
    reset_s: u64,
}

impl Buckets {
    /// Full ones.
    pub fn new(limits: &RateLimits, clock: Clock) -> Self {
        let ticks = Ticks { clock, origin: Instant::now() };
        let of_role = |(&role, &quota): (&Role, &Quota)| OfRole {
            role,
            quota,
            buckets: RateLimiter::hashmap_with_clock(quota, ticks.clone()).with_middleware(),
            refused: Counter::default(),
        };
        let mut of_roles: Vec<_> = limits.0.iter().map(of_role).collect();
        of_roles
            .sort_by_key(|OfRole { quota, .. }| (quota.replenish_interval(), Reverse(quota.burst_size())));
        Self { ticks, of_roles }
    }

    /// Takes a token of this account, and leaves word for [`tell`] of what is left. Refused (429) without one.
    pub(crate) fn admit(&self, account: &Account, request: &Extensions) -> Answer<()> {
        let Some(allowance) = self.take(account.id, &account.roles) else {
            return Ok(());
        };
        if let Some(Slot(slot)) = request.get() {
            // Set once: a request has one caller.
            let _ = slot.set(allowance);
        }
        if allowance.granted { Ok(()) } else { Err(too_many_requests(allowance.reset_s)) }
    }

    /// Nothing where the account is not limited.
    fn take(&self, account: i32, roles: &[Role]) -> Option<Allowance> {
        let OfRole { quota, buckets, refused, .. } = self.of(roles)?;
        let (granted, remaining, wait) = match buckets.check_key(&account) {
            // What is left tells no exact time; it is at most that of a whole token.
            Ok(left) => (true, left.remaining_burst_capacity(), quota.replenish_interval()),
            Err(until) => (false, 0, until.wait_time_from(self.ticks.now())),
        };
        refused.add(u64::from(!granted));
        Some(Allowance { granted, limit: quota.burst_size().get(), remaining, reset_s: whole_s(wait) })
    }

    /// Of several roles that are limited the one that allows most counts. Who keeps the registry running is not held
    /// up for another role's sake.
    fn of(&self, roles: &[Role]) -> Option<&OfRole> {
        let is_limited = |role| self.of_roles.iter().any(|of_role| of_role.role == role);
        if roles.contains(&Role::Admin) && !is_limited(Role::Admin) {
            return None;
        }
        self.of_roles.iter().find(|of_role| roles.contains(&of_role.role))
    }

    /// Forgets full buckets, which are as if they had never been used.
    pub(crate) fn forget_full(&self) {
        self.of_roles.iter().for_each(|of_role| of_role.buckets.retain_recent());
    }

    /// How many requests were refused, by role.
    pub(crate) fn refused(&self) -> impl Iterator<Item = (Role, u64)> {
        self.of_roles.iter().map(|of_role| (of_role.role, of_role.refused.get()))
    }
}

/// The account's bucket is empty.
pub(crate) fn too_many_requests(wait_s: u64) -> Problem {
    Problem::too_many(
        "Too many requests with this key. Please repeat this one after Retry-After seconds.",
        wait_s,
    )
}

fn whole_s(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// Where a request's account leaves word for its answer.
#[derive(Clone, Debug, Default)]
struct Slot(Arc<OnceLock<Allowance>>);

/// Says in each answer to a limited account, good or bad, what is left. Around all that may answer in place of a
/// handler.
pub(crate) async fn tell(mut request: Request, next: Next) -> Response {
    let slot = Slot::default();
    request.extensions_mut().insert(slot.clone());
    let mut response = next.run(request).await;
    if let Some(allowance) = slot.0.get() {
        allowance.write(response.headers_mut());
    }
    response
}

impl Allowance {
    /// The three fields of draft-ietf-httpapi-ratelimit-headers up to its version 06, which clients know; later ones
    /// put the same into two structured fields. `RateLimit-Reset` and `Retry-After` name the same moment, as the draft
    /// wants: when there is one token more, not when the bucket is full.
    fn write(self, headers: &mut HeaderMap) {
        headers.insert("ratelimit-limit", HeaderValue::from(self.limit));
        headers.insert("ratelimit-remaining", HeaderValue::from(self.remaining));
        headers.insert("ratelimit-reset", HeaderValue::from(self.reset_s));
    }
}

/// The time of buckets. It never goes back, as the machine's clock may, on which an empty bucket would stay empty for
/// as long.
#[derive(Clone, Debug)]
struct Ticks {
    clock: Clock,
    origin: Instant,
}

impl governor::clock::Clock for Ticks {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        match &self.clock {
            Clock::System => self.origin.elapsed().into(),
            Clock::Manual(_) => Duration::from_millis(self.clock.now().0.unsigned_abs()).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use ingest::clock::Millis;

    use super::*;

    fn buckets(limits: &str) -> (Buckets, Clock) {
        let clock = Clock::manual(Millis(1_790_000_000_000));
        (Buckets::new(&limits.parse().unwrap(), clock.clone()), clock)
    }

    /// Granted or not, what is left, and the seconds to the next.
    fn take(buckets: &Buckets, account: i32, roles: &[Role]) -> Option<(bool, u32, u64)> {
        buckets.take(account, roles).map(|told| (told.granted, told.remaining, told.reset_s))
    }

    #[test]
    fn limits_are_read() {
        let quota = |count, burst| {
            let number = |number| NonZeroU32::new(number).unwrap();
            (Quota::per_second(number(count)), Quota::per_minute(number(count)).allow_burst(number(burst)))
        };
        let (second, minute) = quota(50, 400);
        let limits = BTreeMap::from([(Role::Moteur, second), (Role::Operateur, minute)]);
        assert_eq!("moteur=50/s, operateur=50/m:400".parse(), Ok(RateLimits(limits)));
        assert_eq!(" ".parse(), Ok(RateLimits::default()));
        let (most, _) = quota(RATE_MAX, 1);
        assert_eq!("admin=1000000/s".parse(), Ok(RateLimits(BTreeMap::from([(Role::Admin, most)]))));
    }

    #[test]
    fn wrong_limits_are_named() {
        for (wrong, why) in [
            ("moteur", "in \"moteur\", there is no role=rate"),
            ("moteur=5/s,", "in \"\", there is no role=rate"),
            ("cook=5/s", "in \"cook=5/s\", the role must be one of admin, moteur"),
            ("moteur=5", "a number and /s or /m"),
            ("moteur=5/h", "a number and /s or /m"),
            ("moteur=0/s", "0 must be a whole number from 1 to 1000000"),
            ("moteur=1.5/s", "1.5 must be a whole number"),
            ("moteur=5/s:", " must be a whole number"),
            ("moteur=5/m:1000001", "1000001 must be a whole number"),
            ("moteur=5/s,moteur=6/s", "in \"moteur=6/s\", moteur is there for the second time"),
        ] {
            let told = wrong.parse::<RateLimits>().unwrap_err();
            assert!(told.starts_with("roles with rates, like ") && told.contains(why), "{wrong}: {told}");
        }
    }

    #[test]
    fn a_bucket_empties_and_fills_with_time() {
        let (buckets, clock) = buckets("moteur=6/m:2");
        let take = |account| take(&buckets, account, &[Role::Moteur]);
        assert_eq!([take(1), take(1)], [Some((true, 1, 10)), Some((true, 0, 10))]);
        assert_eq!(
            [take(1), take(1)],
            [Some((false, 0, 10)), Some((false, 0, 10))],
            "a refusal costs nothing"
        );
        assert_eq!(take(2), Some((true, 1, 10)), "another account has a bucket of its own");
        clock.advance(3_500);
        assert_eq!(take(1), Some((false, 0, 7)), "6.5 seconds, rounded up");
        clock.advance(6_499);
        assert_eq!(take(1), Some((false, 0, 1)));
        clock.advance(1);
        assert_eq!([take(1), take(1)], [Some((true, 0, 10)), Some((false, 0, 10))]);
        clock.advance(3_600_000);
        assert_eq!(take(1), Some((true, 1, 10)), "it holds no more than it does");
        assert_eq!(buckets.refused().collect::<Vec<_>>(), [(Role::Moteur, 5)]);
    }

    #[test]
    fn the_role_that_allows_most_counts() {
        let (buckets, _) = buckets("moteur=60/m:9,operateur=2/s,mairie=1/s:8");
        let limit = |roles: &[Role]| buckets.take(1, roles).map(|told| told.limit);
        assert_eq!(limit(&[Role::Moteur]), Some(9));
        assert_eq!(limit(&[Role::Moteur, Role::Operateur]), Some(2), "the faster one");
        assert_eq!(limit(&[Role::Moteur, Role::Mairie]), Some(9), "as fast, and more at once");
        assert_eq!(limit(&[Role::Moteur, Role::Groupement]), Some(9), "a role without a limit lifts none");
        assert_eq!([limit(&[]), limit(&[Role::Groupement])], [None, None]);
    }

    #[test]
    fn administrators_are_limited_where_they_are_named() {
        let roles = [Role::Admin, Role::Moteur];
        assert_eq!(buckets("moteur=1/s").0.take(1, &roles), None);
        assert!(buckets("moteur=1/s,admin=2/s").0.take(1, &roles).is_some_and(|told| told.limit == 2));
    }

    #[test]
    fn full_buckets_are_forgotten() {
        let (buckets, clock) = buckets("moteur=1/s:5");
        let kept = || buckets.of_roles[0].buckets.len();
        take(&buckets, 1, &[Role::Moteur]);
        clock.advance(4_000);
        (0..5).for_each(|_| assert!(take(&buckets, 2, &[Role::Moteur]).is_some()));
        buckets.forget_full();
        assert_eq!(kept(), 1);
        assert_eq!(take(&buckets, 2, &[Role::Moteur]), Some((false, 0, 1)), "an empty one is kept");
        clock.advance(10_000);
        buckets.forget_full();
        assert_eq!(kept(), 0);
    }

    #[test]
    fn the_largest_limits_can_be_counted() {
        let (buckets, _) = buckets("moteur=1/m:1000000,operateur=1000000/s");
        assert_eq!(take(&buckets, 1, &[Role::Moteur]), Some((true, 999_999, 60)));
        assert_eq!(take(&buckets, 1, &[Role::Operateur]), Some((true, 999_999, 1)));
    }
}
