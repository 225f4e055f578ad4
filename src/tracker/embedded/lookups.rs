//! How often the database is asked about passkeys that memory does not know: anybody can make them up. What was
//! found is remembered; beyond [`MOST_A_SECOND`] new ones nobody asks, and the passkey is simply unknown.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::rights::Passkey;

const MOST_A_SECOND: u32 = 20;
/// About half a megabyte.
const MOST_REMEMBERED: usize = 10_000;

pub struct Lookups(Mutex<Inner>);

struct Inner {
    second: Instant,
    made: u32,
    /// Whether each of these was somebody's once. It cannot change: a passkey that is somebody's is known to memory
    /// before it can be retired.
    remembered: HashMap<Passkey, bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// It was looked up before: whether it was somebody's once.
    Remembered(bool),
    /// The database may be asked.
    Allowed,
    /// Too many were asked about in this second.
    Refused,
}

impl Default for Lookups {
    fn default() -> Self {
        Self(Mutex::new(Inner {
            second: Instant::now(),
            made: 0,
            remembered: HashMap::new(),
        }))
    }
}

impl Lookups {
    pub fn of(&self, passkey: Passkey) -> Lookup {
        self.at(passkey, Instant::now())
    }

    fn at(&self, passkey: Passkey, now: Instant) -> Lookup {
        let mut inner = self.0.lock();
        if let Some(&retired) = inner.remembered.get(&passkey) {
            return Lookup::Remembered(retired);
        }
        if now.duration_since(inner.second) >= Duration::from_secs(1) {
            (inner.second, inner.made) = (now, 0);
        }
        if inner.made >= MOST_A_SECOND {
            return Lookup::Refused;
        }
        inner.made += 1;
        Lookup::Allowed
    }

    pub fn remember(&self, passkey: Passkey, retired: bool) {
        let mut inner = self.0.lock();
        if inner.remembered.len() >= MOST_REMEMBERED {
            inner.remembered.clear();
        }
        inner.remembered.insert(passkey, retired);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_made_up_passkeys_asks_the_database_a_little() {
        let lookups = Lookups::default();
        let now = Instant::now();
        let asked = |from: u128, at| {
            let all = (from..from + 500).map(|key| lookups.at(key, at));
            all.filter(|l| *l == Lookup::Allowed).count()
        };
        assert_eq!(asked(0, now), 20);
        assert_eq!(asked(1_000, now), 0);
        assert_eq!(asked(2_000, now + Duration::from_secs(1)), 20);
        lookups.remember(3_000, true);
        lookups.remember(3_001, false);
        assert_eq!(lookups.at(3_000, now), Lookup::Remembered(true));
        assert_eq!(lookups.at(3_001, now), Lookup::Remembered(false));
        for key in 10_000..40_000 {
            lookups.remember(key, false);
        }
        assert!(lookups.0.lock().remembered.len() <= MOST_REMEMBERED);
    }
}
