//! A swarm's past as a picture: one SVG of two stepped lines, made here, so that it needs no script. Colours and
//! strokes come from the stylesheet's classes; the same story stands in words beside it ([`summary`]).

use std::fmt::Write;

use time::OffsetDateTime;
use time::macros::format_description;

use super::history::Sample;
use crate::clock::Timestamp;

/// The drawing's own units, about a pixel each where it is shown, so that its letters can be read.
const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 140.0;
const LEFT: f64 = 34.0;
const RIGHT: f64 = 4.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 20.0;
/// Points of a line at the most: about one in two units.
const COLUMNS: i64 = 130;
const LONGEST_S: i64 = 90 * 86_400;
/// Less than this looks like noise.
const SHORTEST_S: i64 = 6 * 3_600;

/// The chart of up to 90 days until `now`; `None` when nothing is known of them. Samples stand in order of time.
pub fn svg(samples: &[Sample], now: Timestamp) -> Option<String> {
    let first = samples.iter().find(|s| s.at <= now)?;
    let span_s = now.since(first.at).clamp(SHORTEST_S, LONGEST_S);
    let start = now.plus(-span_s);
    let points = thinned(samples, start, now);
    let highest = points.iter().map(|p| p.seeders.max(p.leechers)).max()?;
    let top = nice_top(highest);
    let plot = Plot {
        start,
        span_s: span_s as f64,
        top: f64::from(top),
    };

    let mut out = String::with_capacity(4_096);
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" preserveAspectRatio=\"xMidYMid meet\" \
         xmlns=\"http://www.w3.org/2000/svg\"><title>Seeders and leechers over time</title><desc>{}</desc>",
        summary(samples)
    );
    for value in grid(top) {
        let y = plot.y(value);
        let _ = write!(
            out,
            "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            y + 4.0,
            grouped(value)
        );
    }
    dates(&mut out, &plot, span_s);
    let seeders = plot.line(&points, now, |p| p.seeders);
    let leechers = plot.line(&points, now, |p| p.leechers);
    let floor = plot.y(0);
    let begin = plot.x(points.first()?.at);
    let _ = write!(
        out,
        "<path class=\"area\" d=\"{seeders}V{floor:.1}H{begin:.1}Z\"/><path class=\"leechers\" d=\"{leechers}\"/>\
         <path class=\"seeders\" d=\"{seeders}\"/></svg>"
    );
    Some(out)
}

/// The same in a sentence: what is, what was most, since when.
pub fn summary(samples: &[Sample]) -> String {
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
        return "Nothing is known of this swarm's past.".to_owned();
    };
    let peak = samples.iter().max_by_key(|s| s.seeders).unwrap_or(last);
    let mut text = format!(
        "{} and {} at the last change, {}.",
        counted(last.seeders, "seeder"),
        counted(last.leechers, "leecher"),
        date(last.at)
    );
    if first.at != last.at {
        let _ = write!(
            text,
            " Most since {}: {} on {}.",
            date(first.at),
            counted(peak.seeders, "seeder"),
            date(peak.at)
        );
    }
    text
}

struct Plot {
    start: Timestamp,
    span_s: f64,
    top: f64,
}

impl Plot {
    fn x(&self, at: Timestamp) -> f64 {
        let share = at.since(self.start) as f64 / self.span_s;
        LEFT + share.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: u32) -> f64 {
        HEIGHT - BOTTOM - f64::from(value) / self.top * (HEIGHT - BOTTOM - TOP)
    }

    /// Steps: a number holds until the next sample.
    fn line(&self, points: &[Sample], now: Timestamp, value: impl Fn(&Sample) -> u32) -> String {
        let mut path = String::new();
        let mut drawn = None;
        for point in points {
            let (x, y) = (self.x(point.at), self.y(value(point)));
            match drawn {
                None => {
                    let _ = write!(path, "M{x:.1} {y:.1}");
                }
                Some(before) if before != value(point) => {
                    let _ = write!(path, "H{x:.1}V{y:.1}");
                }
                Some(_) => {}
            }
            drawn = Some(value(point));
        }
        let _ = write!(path, "H{:.1}", self.x(now));
        path
    }
}

/// The samples from `start` on, the last of each column; what held at the start comes first.
fn thinned(samples: &[Sample], start: Timestamp, now: Timestamp) -> Vec<Sample> {
    let column_s = (now.since(start) / COLUMNS).max(1);
    let mut points: Vec<Sample> = Vec::new();
    for sample in samples.iter().filter(|s| s.at <= now) {
        let at = sample.at.max(start);
        let column = at.since(start) / column_s;
        let placed = Sample { at, ..*sample };
        match points.last_mut() {
            Some(last) if last.at.since(start) / column_s == column => {
                *last = Sample {
                    at: last.at,
                    ..placed
                }
            }
            _ => points.push(placed),
        }
    }
    points
}

/// The next of 2, 4, 10, 20, 40, 100 ..: the half is whole as well.
fn nice_top(highest: u32) -> u32 {
    let mut tens = 1u32;
    loop {
        for step in [2, 4, 10] {
            let top = tens.saturating_mul(step);
            if top >= highest {
                return top;
            }
        }
        tens = tens.saturating_mul(10);
    }
}

fn grid(top: u32) -> [u32; 3] {
    [0, top / 2, top]
}

/// Two to five marks below the plot, at whole days or hours.
fn dates(out: &mut String, plot: &Plot, span_s: i64) {
    const STEPS_S: [i64; 9] = [
        3_600, 10_800, 21_600, 43_200, 86_400, 172_800, 345_600, 864_000, 1_728_000,
    ];
    let wanted = span_s / 4;
    let step = STEPS_S
        .into_iter()
        .find(|&step| step >= wanted)
        .unwrap_or(1_728_000);
    let end = plot.start.0 + span_s;
    let mut at = plot.start.0.div_euclid(step) * step + step;
    while at <= end {
        let x = plot.x(Timestamp(at));
        // Room for half a label at both ends.
        if x > LEFT + 18.0 && x < WIDTH - RIGHT - 18.0 {
            let label = match step < 86_400 {
                true => clock_time(Timestamp(at)),
                false => short_date(Timestamp(at)),
            };
            let _ = write!(
                out,
                "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
                HEIGHT - 6.0
            );
        }
        at += step;
    }
}

fn counted(n: u32, noun: &str) -> String {
    format!("{} {noun}{}", grouped(n), if n == 1 { "" } else { "s" })
}

/// 12345 as `12,345`.
fn grouped(n: u32) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn date(at: Timestamp) -> String {
    formatted(
        at,
        format_description!("[day padding:none] [month repr:short] [year]"),
    )
}

fn short_date(at: Timestamp) -> String {
    formatted(
        at,
        format_description!("[day padding:none] [month repr:short]"),
    )
}

fn clock_time(at: Timestamp) -> String {
    formatted(at, format_description!("[hour]:[minute]"))
}

fn formatted(at: Timestamp, format: &[time::format_description::BorrowedFormatItem<'_>]) -> String {
    OffsetDateTime::from_unix_timestamp(at.0)
        .ok()
        .and_then(|t| t.format(format).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-15 00:00 UTC.
    const NOW: Timestamp = Timestamp(1_768_435_200);

    fn sample(days_ago: i64, seeders: u32, leechers: u32) -> Sample {
        Sample {
            at: NOW.plus(-days_ago * 86_400),
            seeders,
            leechers,
        }
    }

    #[test]
    fn nothing_known_draws_nothing() {
        assert_eq!(svg(&[], NOW), None);
        assert_eq!(summary(&[]), "Nothing is known of this swarm's past.");
    }

    #[test]
    fn a_month_of_changes() {
        let samples = [sample(30, 1, 0), sample(20, 12, 5), sample(1, 8, 1)];
        let drawn = svg(&samples, NOW).unwrap();
        assert!(drawn.starts_with("<svg viewBox=\"0 0 300 140\" role=\"img\""));
        for part in [
            "class=\"seeders\"",
            "class=\"leechers\"",
            ">20</text>",
            ">10</text>",
            ">0</text>",
            "28 Dec",
            "<desc>8 seeders and 1 leecher at the last change, 14 Jan 2026. Most since 16 Dec 2025: 12 seeders on 26 Dec 2025.</desc>",
        ] {
            assert!(drawn.contains(part), "{part} in {drawn}");
        }
        assert!(!drawn.contains("style=") && !drawn.contains("NaN"));
    }

    #[test]
    fn a_single_sample_of_now_is_a_flat_line() {
        let drawn = svg(&[sample(0, 1, 1)], NOW).unwrap();
        assert!(!drawn.contains("NaN") && drawn.contains(":00</text>"));
        assert_eq!(
            summary(&[sample(0, 1, 1)]),
            "1 seeder and 1 leecher at the last change, 15 Jan 2026."
        );
    }

    #[test]
    fn a_busy_quarter_year_stays_small() {
        let samples: Vec<Sample> = (0..90 * 96)
            .rev()
            .map(|n| Sample {
                at: NOW.plus(-n * 900),
                seeders: (n % 977) as u32,
                leechers: (n % 31) as u32,
            })
            .collect();
        let drawn = svg(&samples, NOW).unwrap();
        assert!(drawn.len() < 24_000, "{} bytes", drawn.len());
    }

    #[test]
    fn what_held_before_the_picture_begins_is_drawn() {
        let samples = [sample(200, 40, 2), sample(10, 4, 1)];
        let points = thinned(&samples, NOW.plus(-LONGEST_S), NOW);
        assert_eq!(points[0].at, NOW.plus(-LONGEST_S));
        assert_eq!(points[0].seeders, 40);
    }

    #[test]
    fn tops_are_round() {
        let tops = [0, 2, 3, 5, 11, 21, 99, u32::MAX].map(nice_top);
        assert_eq!(tops, [2, 2, 4, 10, 20, 40, 100, u32::MAX]);
        assert_eq!(grouped(1_234_567), "1,234,567");
    }
}
