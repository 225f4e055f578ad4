use super::*;

const NOW: Timestamp = Timestamp(1_700_000_000);
/// Bytes a second: nothing here moves more in a minute.
const LINE: i64 = 1_000;

impl Default for Known {
    fn default() -> Self {
        Self {
            baseline: None,
            purged: false,
            returning: false,
            since: NOW,
            mark: None,
        }
    }
}

fn says(uploaded: i64, downloaded: i64) -> Report {
    Report {
        totals: Some(Totals {
            uploaded,
            downloaded,
        }),
        started: false,
        stopped: false,
        completed: false,
        seeding: false,
        way: 1,
        at: NOW,
    }
}

fn started(uploaded: i64, downloaded: i64) -> Report {
    Report {
        started: true,
        ..says(uploaded, downloaded)
    }
}

fn by_other_way(report: Report) -> Report {
    Report { way: 2, ..report }
}

fn sum(known: &mut Known, reports: &[Report]) -> (i64, i64) {
    reports.iter().fold((0, 0), |(up, down), report| {
        let added = known.take(report, LINE).added;
        (up + added.uploaded, down + added.downloaded)
    })
}

#[test]
fn growth_counts_once() {
    let mut known = Known::default();
    let reports = [started(0, 0), says(100, 10), says(100, 10), says(250, 30)];
    assert_eq!(sum(&mut known, &reports), (250, 30));
}

#[test]
fn a_hybrids_second_hash_adds_nothing() {
    let mut known = Known::default();
    let mut reports = Vec::new();
    for report in [started(0, 0), says(100, 10), says(300, 20)] {
        reports.extend([report, by_other_way(report)]);
    }
    assert_eq!(sum(&mut known, &reports), (300, 20));
}

#[test]
fn an_unknown_session_counts_from_zero() {
    assert_eq!(sum(&mut Known::default(), &[says(700, 70)]), (700, 70));
    assert_eq!(sum(&mut Known::default(), &[started(700, 70)]), (700, 70));
}

#[test]
fn a_sleeper_whose_session_was_purged_is_not_counted_again() {
    let purged = Known {
        purged: true,
        ..Known::default()
    };
    assert_eq!(
        sum(&mut { purged }, &[started(700, 70), says(750, 70)]),
        (50, 0)
    );
    assert_eq!(
        sum(&mut { purged }, &[says(700, 70), says(750, 70)]),
        (50, 0)
    );
    // A new run whose `started` was lost in a kill is no sleeper.
    let killed = Known {
        returning: true,
        ..purged
    };
    assert_eq!(sum(&mut { killed }, &[says(20, 5)]), (20, 5));
    assert_eq!(sum(&mut { killed }, &[started(700, 70)]), (0, 0));
    assert_eq!(sum(&mut { purged }, &[started(0, 0), says(20, 5)]), (20, 5));
}

#[test]
fn a_restart_of_ours_goes_on_from_the_stored_baseline() {
    let mut stored = Known {
        baseline: Some(Totals {
            uploaded: 500,
            downloaded: 50,
        }),
        ..Known::default()
    };
    assert_eq!(sum(&mut stored, &[says(800, 60)]), (300, 10));
}

#[test]
fn pausing_and_going_on_counts_once() {
    let mut known = Known::default();
    let stopped = Report {
        stopped: true,
        ..says(500, 50)
    };
    let reports = [started(0, 0), stopped, started(500, 50), says(600, 50)];
    assert_eq!(sum(&mut known, &reports), (600, 50));
}

#[test]
fn counters_that_fall_count_zero_and_begin_anew() {
    let mut known = Known::default();
    let reports = [started(0, 0), says(500, 50), says(100, 50), says(130, 55)];
    assert_eq!(sum(&mut known, &reports), (530, 55));
    let mut known = Known::default();
    let reports = [started(0, 0), says(500, 50), started(0, 0), says(20, 5)];
    assert_eq!(sum(&mut known, &reports), (520, 55));
}

#[test]
fn a_report_overtaken_on_its_other_way_is_only_late() {
    let mut known = Known::default();
    let reports = [
        says(500, 50),
        by_other_way(says(450, 40)),
        says(600, 60),
        by_other_way(says(600, 60)),
    ];
    assert_eq!(sum(&mut known, &reports), (600, 60));
    // The same fall long after is a client that began anew.
    let mut known = Known::default();
    let later = Report {
        at: NOW.plus(LATE_S + 1),
        ..by_other_way(says(100, 10))
    };
    let on = Report {
        at: NOW.plus(LATE_S + 2),
        ..says(150, 10)
    };
    assert_eq!(sum(&mut known, &[says(500, 50), later, on]), (550, 50));
}

#[test]
fn a_start_after_a_stop_is_never_late() {
    let mut known = Known::default();
    let stopped = Report {
        stopped: true,
        ..says(500, 50)
    };
    let reports = [
        says(400, 40),
        stopped,
        by_other_way(stopped),
        by_other_way(started(0, 0)),
        started(0, 0),
        says(70, 7),
    ];
    assert_eq!(sum(&mut known, &reports), (570, 57));
}

fn later(seconds: i64, report: Report) -> Report {
    Report {
        at: NOW.plus(seconds),
        ..report
    }
}

#[test]
fn what_no_line_can_carry_is_noted_and_not_counted() {
    let mut known = Known {
        since: NOW,
        ..Known::default()
    };
    let burst = LINE * BURST_S;
    let mut take = |report: Report| known.take(&report, LINE);
    assert_eq!(take(started(0, 0)), Taken::default());
    let forged = take(later(100, says(burst + 100 * LINE + 1, 0)));
    assert_eq!((forged.added, forged.too_fast), (Totals::default(), true));
    // The baseline moved: what comes after is counted, and the forged part never.
    let next = take(later(200, says(burst + 100 * LINE + 501, 5)));
    assert_eq!((next.added.uploaded, next.too_fast), (500, false));
    assert_eq!(next.added.downloaded, 5);
    let forged = take(later(201, says(burst + 100 * LINE + 501, 1_000_000)));
    assert!(forged.too_fast, "either direction");
}

#[test]
fn the_burst_is_used_once() {
    let mut known = Known {
        since: NOW,
        ..Known::default()
    };
    let burst = LINE * BURST_S;
    let reports = [
        started(0, 0),
        says(burst, 0),
        later(1, says(burst + LINE, 0)),
        later(2, says(burst + 3 * LINE, 0)),
    ];
    assert_eq!(sum(&mut known, &reports), (burst + LINE, 0));
    let rested = later(2 + BURST_S, says(2 * burst + 3 * LINE, 0));
    assert_eq!(sum(&mut known, &[rested]), (burst, 0));
}

#[test]
fn the_honest_are_counted_however_long_they_were_away() {
    // Stored a day ago, and running at full speed since.
    let away = Known {
        baseline: Some(Totals::default()),
        since: NOW.plus(-86_400),
        ..Known::default()
    };
    let day = 86_400 * LINE;
    assert_eq!(sum(&mut { away }, &[says(day, day)]), (day, day));
    // Its `started` never arrived: it may have run since there was something to run for.
    let unknown = Known {
        baseline: None,
        ..away
    };
    assert_eq!(sum(&mut { unknown }, &[says(day, 0)]), (day, 0));
    assert_eq!(sum(&mut { unknown }, &[says(2 * day, 0)]), (0, 0));
    // Two reports of one client, the first held up on its way.
    let running = Known {
        baseline: Some(Totals::default()),
        since: NOW.plus(-1_800),
        ..Known::default()
    };
    let reports = [
        later(15, says(1_800 * LINE, 0)),
        later(16, says(1_816 * LINE, 0)),
    ];
    assert_eq!(sum(&mut { running }, &reports), (1_816 * LINE, 0));
}

#[test]
fn missing_totals_change_nothing() {
    let mut known = Known::default();
    let silent = Report {
        totals: None,
        ..says(0, 0)
    };
    assert_eq!(
        sum(&mut known, &[says(500, 50), silent, says(600, 50)]),
        (600, 50)
    );
}

#[test]
fn merging_waiting_reports_changes_no_sum() {
    let key = SessionKey {
        torrent: TorrentId(1),
        user: UserId(2),
        peer_id: [3; 20],
        client_key: String::new(),
    };
    let reports = [
        started(0, 0),
        says(10, 1),
        says(20, 2),
        by_other_way(says(20, 2)),
        says(5, 2),
        says(9, 3),
        says(12, 3),
    ];
    let ledger = Ledger::default();
    for report in reports {
        assert_eq!(ledger.note(key.clone(), report).unwrap(), 1);
    }
    let (batch, sessions) = ledger.take();
    assert_eq!((batch, sessions.len(), sessions[0].1.len()), (1, 1, 5));
    assert_eq!(
        sum(&mut Known::default(), &sessions[0].1),
        sum(&mut Known::default(), &reports)
    );
    assert!(ledger.is_empty());
    assert_eq!(ledger.note(key, says(1, 1)).unwrap(), 2);
}

#[test]
fn a_flood_of_one_session_is_refused() {
    let ledger = Ledger::default();
    let key = SessionKey {
        torrent: TorrentId(1),
        user: UserId(2),
        peer_id: [3; 20],
        client_key: String::new(),
    };
    let refused = (0..100)
        .filter(|n| ledger.note(key.clone(), says(100 - n, 0)).is_err())
        .count();
    assert_eq!(refused, 100 - MOST_REPORTS);
}

#[tokio::test]
async fn waiting_ends_with_the_batch_or_with_patience() {
    let ledger = Ledger::default();
    let short = Duration::from_millis(5);
    assert!(!ledger.stored(1, short).await);
    ledger.publish(1);
    assert!(ledger.stored(1, short).await);
    assert!(!ledger.stored(2, short).await);
}
