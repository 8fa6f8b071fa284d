//! When a provider asks to be tried again.

use std::time::Duration;

use http::HeaderMap;
use http::header::RETRY_AFTER;
use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// Longest wait that is believed.
const LONGEST: Duration = Duration::from_secs(3600);

/// In any of its forms: `retry-after-ms`, and `retry-after` in seconds or as a date. `None` where none makes sense.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    at(headers, Timestamp::now())
}

fn at(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name: &str| Some(headers.get(name)?.to_str().ok()?.trim());
    let milliseconds = text("retry-after-ms").and_then(|ms| ms.parse::<f64>().ok()).map(|ms| ms / 1000.0);
    let seconds = || text(RETRY_AFTER.as_str())?.parse::<f64>().ok();
    let date = || {
        let date = rfc2822::DateTimeParser::new().parse_timestamp(text(RETRY_AFTER.as_str())?).ok()?;
        Some(date.duration_since(now).as_secs_f64().max(0.0))
    };
    let wait = milliseconds.or_else(seconds).or_else(date)?;
    // Not for what is no number, either.
    (0.0..=LONGEST.as_secs_f64()).contains(&wait).then(|| Duration::from_secs_f64(wait))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn every_form_is_read_and_nonsense_is_none() {
        let now: Timestamp = "1994-11-06T08:49:30Z".parse().unwrap();
        let read = |name: &'static str, value: &'static str| {
            at(&HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_static(value))]), now)
        };
        assert_eq!(read("retry-after", "2"), Some(Duration::from_secs(2)));
        assert_eq!(read("retry-after", " 0.5 "), Some(Duration::from_millis(500)));
        assert_eq!(read("retry-after-ms", "250"), Some(Duration::from_millis(250)));
        assert_eq!(read("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(7)));
        assert_eq!(read("retry-after", "Sun, 06 Nov 1994 08:49:00 GMT"), Some(Duration::ZERO), "that is over");
        for nonsense in ["-1", "soon", "1e9", "NaN", "Sun, 06 Nov 1995 08:49:37 GMT", ""] {
            assert_eq!(read("retry-after", nonsense), None, "{nonsense}");
        }
    }
}
