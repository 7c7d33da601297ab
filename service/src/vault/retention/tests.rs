//! Two years of nightly backups with gaps and failures, and what a table of dates says that is left of them.

use super::*;

const DAY: i64 = 86_400;

fn at(text: &str) -> Timestamp {
    let text = if text.contains('T') { format!("{text}:00Z") } else { format!("{text}T03:00:00Z") };
    text.parse().unwrap()
}

fn left(times: &[Timestamp], keep: &Keep, now: Timestamp) -> Vec<Timestamp> {
    let judged = judge(times.iter().map(|time| (*time, *time)).collect(), &[keep], now);
    judged.into_iter().filter(|verdict| !verdict.kept_by.is_empty()).map(|verdict| verdict.backup).collect()
}

/// Every night at three, but for a fortnight in which the machine was away, the whole of February 2026, and every ninth night, whose
/// backup failed and is none. Each night is followed by a prune.
#[test]
fn two_years_of_nights_leave_what_the_table_says() {
    let keep = Keep {
        last: 3,
        daily: 7,
        weekly: 5,
        monthly: 12,
        yearly: 2,
        minimum_age: Duration::from_secs(2 * 86_400),
        hourly: 0,
    };
    let first = at("2024-11-21");
    let (mut kept, mut most) = (Vec::new(), 0);
    let away = at("2025-07-01")..at("2025-07-15");
    let broken = at("2026-02-01")..at("2026-03-01");
    for night in 0..=730 {
        let now = Timestamp::from_second(first.as_second() + night * DAY).unwrap();
        let failed = night % 9 == 4;
        if !failed && !away.contains(&now) && !broken.contains(&now) {
            kept.push(now);
        }
        kept = left(&kept, &keep, now);
        most = most.max(kept.len());
    }
    let expected = [
        // last 3 and daily 7; the night of the 15th failed
        "2026-11-21",
        "2026-11-20",
        "2026-11-19",
        "2026-11-18",
        "2026-11-17",
        "2026-11-16",
        "2026-11-14",
        // weekly 5: the last night of this week and of each of the four before, the first two of which are above
        "2026-11-08",
        "2026-11-01",
        "2026-10-25",
        // monthly 12, and yearly 2 with them: of February there is none, and the last night of January failed
        "2026-10-31",
        "2026-09-30",
        "2026-08-31",
        "2026-07-31",
        "2026-06-30",
        "2026-05-31",
        "2026-04-30",
        "2026-03-31",
        "2026-01-30",
        "2025-12-31",
        "2025-11-30",
    ];
    let mut expected: Vec<_> = expected.iter().map(|day| at(day)).collect();
    expected.sort_unstable_by(|a, b| b.cmp(a));
    assert_eq!(kept, expected);
    assert!(most <= 3 + 7 + 5 + 12 + 2 + 2, "{most}");
}

#[test]
fn each_rule_keeps_the_newest_of_its_period() {
    let times =
        ["2026-03-01T10:10", "2026-03-01T10:50", "2026-03-01T11:00", "2026-02-28T23:59", "2025-12-31T00:00"].map(at);
    let now = at("2026-03-01T12:00");
    for (keep, expected) in [
        (Keep { last: 1, ..Keep::default() }, vec!["2026-03-01T11:00"]),
        (Keep { hourly: 2, ..Keep::default() }, vec!["2026-03-01T11:00", "2026-03-01T10:50"]),
        (Keep { daily: 9, ..Keep::default() }, vec!["2026-03-01T11:00", "2026-02-28T23:59", "2025-12-31T00:00"]),
        // The last of February and the first of March 2026 are a Saturday and a Sunday.
        (Keep { weekly: 2, ..Keep::default() }, vec!["2026-03-01T11:00", "2025-12-31T00:00"]),
        (Keep { monthly: 2, ..Keep::default() }, vec!["2026-03-01T11:00", "2026-02-28T23:59"]),
        (Keep { yearly: 5, ..Keep::default() }, vec!["2026-03-01T11:00", "2025-12-31T00:00"]),
        (
            Keep { last: 1, minimum_age: Duration::from_secs(4_201), ..Keep::default() },
            vec!["2026-03-01T11:00", "2026-03-01T10:50"],
        ),
    ] {
        assert_eq!(left(&times, &keep, now), expected.into_iter().map(at).collect::<Vec<_>>(), "{keep:?}");
    }
}

#[test]
fn the_last_good_one_stays_whatever_the_rules_and_the_clock_say() {
    let times = ["2020-01-01", "2020-01-02"].map(at);
    assert_eq!(left(&times, &Keep::default(), at("2040-01-01")), [times[1]]);
    // A clock that stands years back or ahead makes nothing go that is not to go.
    let keep = Keep { daily: 2, ..Keep::default() };
    assert_eq!(left(&times, &keep, at("2000-01-01")).len(), 2);
    // One of the future takes no other's place.
    let times = ["2020-01-01", "2020-01-02", "2099-01-01"].map(at);
    assert_eq!(left(&times, &Keep { last: 1, ..Keep::default() }, at("2020-01-03")), [times[2], times[1]]);
    assert_eq!(left(&times, &keep, at("2099-01-01")).len(), 2);
    assert!(Keep::default().check().is_err() && keep.check().is_ok());
}

#[test]
fn two_schedules_keep_what_either_keeps_and_none_keeps_all() {
    let times = ["2026-01-01", "2026-01-02", "2026-01-03", "2025-05-05"].map(at);
    let backups = || times.iter().map(|time| (*time, ())).collect::<Vec<_>>();
    let (last, yearly) = (Keep { last: 2, ..Keep::default() }, Keep { yearly: 2, ..Keep::default() });
    let judged = judge(backups(), &[&last, &yearly], at("2026-01-04"));
    assert_eq!(judged.iter().map(|verdict| verdict.kept_by.len()).collect::<Vec<_>>(), [2, 1, 0, 1]);
    assert!(judge(backups(), &[], at("2026-01-04")).iter().all(|verdict| !verdict.kept_by.is_empty()));
}
