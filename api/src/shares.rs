//! Room for what lasts, as streams do: so much in all, and for one account so much of it that others have some, too.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Room that accounts share. Clones are the same room.
#[derive(Clone, Debug)]
pub(crate) struct Shares {
    most: usize,
    most_an_account: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    in_all: usize,
    /// Of those that have any.
    accounts: HashMap<i32, usize>,
}

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoShare {
    /// All of it is taken.
    Left,
    /// The account has as much as it may.
    OfAccount,
}

impl Shares {
    /// For so many at a time, and so many of one account.
    pub(crate) fn new(most: usize, most_an_account: usize) -> Self {
        Self { most, most_an_account, taken: Arc::default() }
    }

    /// Takes room for one of an account's.
    pub(crate) fn take(&self, account: i32) -> Result<Share, NoShare> {
        let mut taken = self.taken();
        if taken.in_all >= self.most {
            return Err(NoShare::Left);
        }
        let of_account = taken.accounts.get(&account).copied().unwrap_or(0);
        if of_account >= self.most_an_account {
            return Err(NoShare::OfAccount);
        }
        taken.accounts.insert(account, of_account + 1);
        taken.in_all += 1;
        drop(taken);
        Ok(Share { shares: self.clone(), account })
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.taken().in_all
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room for one. Dropping it makes room for another.
#[derive(Debug)]
pub(crate) struct Share {
    shares: Shares,
    account: i32,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.shares.taken();
        taken.in_all -= 1;
        if let Some(count) = taken.accounts.get_mut(&self.account) {
            *count -= 1;
            if *count == 0 {
                taken.accounts.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_all_and_what_ends_makes_room() {
        let shares = Shares::new(3, 2);
        let take = |account| shares.take(account);
        let (first, second) = (take(1).unwrap(), take(1).unwrap());
        assert_eq!(take(1).err(), Some(NoShare::OfAccount));
        let third = take(2).unwrap();
        assert_eq!(take(3).err(), Some(NoShare::Left));
        drop(first);
        assert_eq!(shares.count(), 2);
        let fourth = take(1).unwrap();
        drop((second, third, fourth));
        assert!(shares.count() == 0 && shares.taken().accounts.is_empty(), "nothing is kept of who left");
    }
}
