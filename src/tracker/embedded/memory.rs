//! What this process knows of announce sessions without asking the database: in two generations, so that forgetting
//! who was silent for long takes no walk, and what one holds is bounded.

use std::collections::HashMap;

use super::accounting::{SessionKey, Totals};
use crate::clock::Timestamp;

/// Of each session the value put last. One that is neither put nor asked for is forgotten after one to two spans.
pub struct Memory<V> {
    young: HashMap<SessionKey, V>,
    old: HashMap<SessionKey, V>,
    turned_at: Timestamp,
    span_s: i64,
    /// Values in one generation; past it the generations turn before their time.
    most: usize,
}

/// A session and its member's transfer, as this process last read or stored them: with its key 140 to 250 bytes, as
/// full as the table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remembered {
    pub baseline: Totals,
    pub session_at: Timestamp,
    pub transfer_at: Timestamp,
}

impl<V: Copy> Memory<V> {
    /// `most` values at once, in both generations.
    pub fn new(span_s: i64, most: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            turned_at: Timestamp(i64::MIN / 2),
            span_s,
            most: (most / 2).max(1),
        }
    }

    /// Lets time pass.
    pub fn turn(&mut self, now: Timestamp) {
        if now.since(self.turned_at) >= self.span_s {
            self.turned_at = now;
            self.age();
        }
    }

    /// What is known, kept for another span.
    pub fn get(&mut self, key: &SessionKey) -> Option<V> {
        if let Some(value) = self.young.get(key) {
            return Some(*value);
        }
        let (key, value) = self.old.remove_entry(key)?;
        self.put(key, value);
        Some(value)
    }

    pub fn put(&mut self, key: SessionKey, value: V) {
        if self.young.len() >= self.most && !self.young.contains_key(&key) {
            self.age();
        }
        self.young.insert(key, value);
    }

    /// What is known, and not any more.
    pub fn take(&mut self, key: &SessionKey) -> Option<V> {
        let old = self.old.remove(key);
        self.young.remove(key).or(old)
    }

    pub fn forget(&mut self, gone: impl Fn(&V) -> bool) {
        for generation in [&mut self.young, &mut self.old] {
            generation.retain(|_, value| !gone(value));
        }
    }

    fn age(&mut self) {
        self.old = std::mem::take(&mut self.young);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{TorrentId, UserId};

    fn key(n: i64) -> SessionKey {
        SessionKey {
            torrent: TorrentId(n),
            user: UserId(1),
            peer_id: [0; 20],
            client_key: String::new(),
        }
    }

    #[test]
    fn the_silent_are_forgotten_and_the_heard_are_not() {
        let mut memory = Memory::new(60, 100);
        memory.turn(Timestamp(1_000));
        memory.put(key(1), 'a');
        memory.put(key(2), 'b');
        memory.turn(Timestamp(1_059));
        memory.turn(Timestamp(1_060));
        assert_eq!(memory.get(&key(1)), Some('a'));
        memory.turn(Timestamp(1_120));
        assert_eq!(
            (memory.get(&key(1)), memory.get(&key(2))),
            (Some('a'), None)
        );
    }

    #[test]
    fn what_was_put_last_holds_in_whichever_generation() {
        let mut memory = Memory::new(60, 100);
        memory.put(key(1), 'a');
        memory.turn(Timestamp(1_000));
        memory.put(key(1), 'b');
        assert_eq!(memory.get(&key(1)), Some('b'));
        assert_eq!(memory.take(&key(1)), Some('b'));
        assert_eq!(memory.get(&key(1)), None);
        memory.put(key(2), 'c');
        memory.put(key(3), 'd');
        memory.forget(|&v| v == 'c');
        assert_eq!(
            (memory.get(&key(2)), memory.get(&key(3))),
            (None, Some('d'))
        );
    }

    #[test]
    fn it_holds_so_many_and_the_latest() {
        let mut memory = Memory::new(60, 10);
        for n in 0..1_000 {
            memory.put(key(n), n);
            assert_eq!(memory.get(&key(n)), Some(n));
            assert!(memory.young.len() + memory.old.len() <= 10);
        }
    }
}
