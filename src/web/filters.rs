//! What templates may do with a value: sizes, numbers and times as people read them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use tera::{Kwargs, State, Tera, TeraResult};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::clock::Clock;

const DATETIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
/// Everything but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const DATE: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");

/// Registers every filter; must come before the templates.
pub fn register(tera: &mut Tera, clock: Clock) {
    tera.register_filter("bytes", |v: i64, _: Kwargs, _: &State| bytes(v));
    tera.register_filter("number", |v: i64, _: Kwargs, _: &State| number(v));
    tera.register_filter("ago", move |v: i64, _: Kwargs, _: &State| {
        ago(clock.now().0, v)
    });
    tera.register_filter("datetime", |v: i64, _: Kwargs, _: &State| datetime(v));
    tera.register_filter("date", |v: i64, _: Kwargs, _: &State| formatted(v, DATE));
    tera.register_filter("iso", |v: i64, _: Kwargs, _: &State| iso(v));
    tera.register_filter("duration", |v: i64, _: Kwargs, _: &State| duration(v));
    tera.register_filter("urlencode", |v: &str, _: Kwargs, _: &State| urlencode(v));
    tera.register_filter("short", |v: &str, _: Kwargs, _: &State| {
        v.chars().take(12).collect::<String>()
    });
    tera.register_filter(
        "plural",
        |v: i64, kw: Kwargs, _: &State| -> TeraResult<String> {
            let word = kw.must_get::<&str>(if v == 1 { "one" } else { "many" })?;
            Ok(format!("{} {word}", number(v)))
        },
    );
}

/// Binary units with one decimal: 1536 is `1.5 KiB`.
pub fn bytes(v: i64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if v < 1024 {
        return format!("{} B", v.max(0));
    }
    let mut value = v as f64;
    let mut unit = 0;
    // 1023.95 would print as 1024.0: go one unit up before that.
    while value >= 1023.95 && unit < UNITS.len() - 1 {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS.get(unit).unwrap_or(&"EiB"))
}

/// Thousands set apart: `12,345`.
pub fn number(v: i64) -> String {
    let digits = v.unsigned_abs().to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if v < 0 {
        out.push('-');
    }
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The time since, in one unit; a future time (clocks differ) is `just now`.
pub fn ago(now: i64, then: i64) -> String {
    let s = now.saturating_sub(then);
    let (n, unit) = match s {
        ..45 => return "just now".to_owned(),
        45..3_600 => ((s + 30) / 60, "min"),
        3_600..86_400 => (s / 3_600, "h"),
        86_400..2_592_000 => (s / 86_400, "d"),
        2_592_000..31_536_000 => (s / 2_592_000, "mo"),
        _ => (s / 31_536_000, "y"),
    };
    format!("{n} {unit} ago")
}

pub fn duration(s: i64) -> String {
    let (n, unit) = match s {
        ..90 => (s.max(0), "second"),
        90..5_400 => ((s + 30) / 60, "minute"),
        5_400..129_600 => ((s + 1_800) / 3_600, "hour"),
        _ => ((s + 43_200) / 86_400, "day"),
    };
    format!("{n} {unit}{}", if n == 1 { "" } else { "s" })
}

pub fn datetime(v: i64) -> String {
    formatted(v, DATETIME)
}

/// RFC 3339, for `<time datetime>`.
pub fn iso(v: i64) -> String {
    OffsetDateTime::from_unix_timestamp(v)
        .ok()
        .and_then(|t| {
            t.format(&time::format_description::well_known::Rfc3339)
                .ok()
        })
        .unwrap_or_default()
}

pub fn urlencode(v: &str) -> String {
    percent_encoding::utf8_percent_encode(v, RESERVED).to_string()
}

fn formatted(v: i64, format: &[BorrowedFormatItem<'_>]) -> String {
    OffsetDateTime::from_unix_timestamp(v)
        .ok()
        .and_then(|t| t.format(format).ok())
        .unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_people_read_them() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(1024 * 1024 - 1), "1.0 MiB");
        assert_eq!(bytes(i64::MAX), "8.0 EiB");
        assert_eq!(bytes(-5), "0 B");
        assert_eq!(number(1_234_567), "1,234,567");
        assert_eq!(number(-1_000), "-1,000");
        assert_eq!(number(i64::MIN), "-9,223,372,036,854,775,808");
        assert_eq!(ago(1_000, 2_000), "just now");
        assert_eq!(ago(10_000, 10_000 - 7_200), "2 h ago");
        assert_eq!(duration(86_400 * 3), "3 days");
        assert_eq!(datetime(i64::MAX), "unknown");
    }
}
