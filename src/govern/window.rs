//! Calendar windows in UTC: how long a budget lasts before it starts anew.

use jiff::Timestamp;
use jiff::tz::TimeZone;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// How long a budget lasts. Windows begin on the hour, at midnight or on the first of the month, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Window {
    /// From one full hour to the next.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From the first of a month to the first of the next.
    Month,
    /// Never starts anew.
    Forever,
}

impl Window {
    /// The name used in policies and in a budget's series.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
            Self::Forever => "forever",
        }
    }

    /// When the window that holds `now` began.
    pub fn start(self, now: Timestamp) -> Timestamp {
        Timestamp::from_second(self.bounds(now.as_second()).0).unwrap_or(Timestamp::MIN)
    }

    /// First second of the window that holds the Unix second `now`, and first second after it.
    pub(super) fn bounds(self, now: i64) -> (i64, i64) {
        match self {
            Self::Hour => aligned(now, HOUR),
            Self::Day => aligned(now, DAY),
            // A second that came from a timestamp goes back into one.
            Self::Month => month(now).unwrap_or_else(|| aligned(now, DAY)),
            Self::Forever => (i64::MIN, i64::MAX),
        }
    }
}

fn aligned(now: i64, length: i64) -> (i64, i64) {
    let start = now.div_euclid(length) * length;
    (start, start + length)
}

fn month(now: i64) -> Option<(i64, i64)> {
    let date = TimeZone::UTC.to_datetime(Timestamp::from_second(now).ok()?).date();
    let start = aligned(now, DAY).0 - (i64::from(date.day()) - 1) * DAY;
    Some((start, start + i64::from(date.days_in_month()) * DAY))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn windows_begin_on_the_hour_at_midnight_and_on_the_first_in_utc() {
        let now = at("2028-02-29T23:59:59.999Z");
        assert_eq!(Window::Hour.start(now), at("2028-02-29T23:00:00Z"));
        assert_eq!(Window::Day.start(now), at("2028-02-29T00:00:00Z"));
        assert_eq!(Window::Month.start(now), at("2028-02-01T00:00:00Z"));
        assert_eq!(Window::Forever.start(now), Timestamp::MIN);
    }

    #[test]
    fn a_window_ends_where_the_next_begins() {
        for window in [Window::Hour, Window::Day, Window::Month] {
            let mut now = at("2026-11-24T09:12:03Z").as_second();
            for _ in 0..40 {
                let (start, end) = window.bounds(now);
                assert!(start <= now && now < end);
                assert_eq!(window.bounds(end).0, end);
                now = end;
            }
        }
    }
}
