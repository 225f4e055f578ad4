//! The past of a swarm: one packed row per torrent and day, at most one sample per quarter of an hour, written only
//! when the numbers changed. A sample is the quarter of the day (one byte, 0 to 95), then seeders and leechers as
//! LEB128; samples stand in order of time.

use crate::clock::Timestamp;

/// Seconds in which at most one sample is kept.
pub const QUARTER_S: i64 = 900;
const DAY_S: i64 = 86_400;
const QUARTERS: i64 = DAY_S / QUARTER_S;

/// The numbers from `at` on, until the next sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    pub at: Timestamp,
    pub seeders: u32,
    pub leechers: u32,
}

/// Days since 1970-01-01 UTC.
pub fn day_of(at: Timestamp) -> i64 {
    at.0.div_euclid(DAY_S)
}

/// Quarters of an hour since 1970-01-01 UTC.
pub fn quarter_of(at: Timestamp) -> i64 {
    at.0.div_euclid(QUARTER_S)
}

/// The samples of a day's row. A damaged row gives what can be read of it.
pub fn unpack(day: i64, packed: &[u8]) -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut rest = packed;
    while let Some((&quarter, tail)) = rest.split_first() {
        rest = tail;
        let (Some(seeders), Some(leechers)) = (number(&mut rest), number(&mut rest)) else {
            break;
        };
        samples.push(Sample {
            at: Timestamp(day * DAY_S + i64::from(quarter) * QUARTER_S),
            seeders,
            leechers,
        });
    }
    samples
}

/// The row with this sample in it; one of the same quarter is replaced.
pub fn put(packed: &[u8], sample: &Sample) -> Vec<u8> {
    let day = day_of(sample.at);
    let mut samples = unpack(day, packed);
    samples.retain(|old| quarter_of(old.at) != quarter_of(sample.at));
    samples.push(*sample);
    samples.sort_by_key(|s| s.at);
    pack(&samples)
}

fn pack(samples: &[Sample]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(samples.len() * 4);
    for sample in samples {
        let quarter = quarter_of(sample.at).rem_euclid(QUARTERS);
        packed.push(quarter as u8);
        push_number(&mut packed, sample.seeders);
        push_number(&mut packed, sample.leechers);
    }
    packed
}

fn push_number(out: &mut Vec<u8>, mut n: u32) {
    while n >= 0x80 {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn number(rest: &mut &[u8]) -> Option<u32> {
    let mut n = 0u32;
    for shift in (0..32).step_by(7) {
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        n |= u32::from(byte & 0x7f).checked_shl(shift)?;
        if byte < 0x80 {
            return Some(n);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at: i64, seeders: u32, leechers: u32) -> Sample {
        Sample {
            at: Timestamp(at),
            seeders,
            leechers,
        }
    }

    #[test]
    fn a_day_packs_and_unpacks() {
        let day = 20_000;
        let start = day * DAY_S;
        let samples = [
            sample(start, 0, 0),
            sample(start + 900, 127, 128),
            sample(start + 95 * 900, u32::MAX, 16_384),
        ];
        let mut packed = Vec::new();
        for s in samples.iter().rev() {
            packed = put(&packed, s);
        }
        assert_eq!(unpack(day, &packed), samples);
        assert_eq!(packed.len(), 3 + 4 + 9);
    }

    #[test]
    fn a_quarter_keeps_its_last_sample() {
        let start = 20_000 * DAY_S;
        let packed = put(
            &put(&[], &sample(start + 10, 1, 1)),
            &sample(start + 899, 2, 3),
        );
        assert_eq!(unpack(20_000, &packed), [sample(start, 2, 3)]);
    }

    #[test]
    fn damaged_rows_give_what_they_have() {
        let whole = put(&[], &sample(20_000 * DAY_S, 1, 300));
        assert!(unpack(20_000, &whole[..2]).is_empty());
        assert!(unpack(20_000, &[5, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).is_empty());
        assert!(unpack(20_000, &[]).is_empty());
    }
}
