//! How the text of a setting is read: once, into a type that cannot be wrong.

use std::{net::SocketAddr, thread::available_parallelism, time::Duration};

/// A day: no request, connection attempt or shutdown of ours sensibly takes longer.
const LONGEST_TIMEOUT: u64 = 86_400;
/// A year: the longest life or idleness of a connection that can be asked for.
const LONGEST_LIFETIME: u64 = 31_536_000;

/// Why the text of a setting was refused.
#[derive(Debug, thiserror::Error)]
pub enum NotAllowed {
    /// No whole number, or one out of range.
    #[error("must be a whole number from {least} to {most}")]
    #[expect(missing_docs, reason = "the names say it")]
    Whole { least: u64, most: u64 },
    /// Neither true nor false.
    #[error("must be true or false")]
    YesOrNo,
    /// No time that a request may take.
    #[error(
        "must be a number of seconds, more than 0 and at most {LONGEST_TIMEOUT}, such as 3 or 0.5"
    )]
    Timeout,
    /// No time that a connection may live.
    #[error(
        "must be a number of seconds, at most {LONGEST_LIFETIME}, such as 600, or 0 for no limit"
    )]
    Lifetime,
    /// No address to listen on.
    #[error("must be an IP address and a port, such as 127.0.0.1:8080, 0.0.0.0:8080 or [::1]:8080")]
    ListenAddress,
}

/// A whole number in a range.
pub fn whole<T: TryFrom<u64>>(
    least: u64,
    most: u64,
) -> impl Fn(&str) -> Result<T, NotAllowed> + Clone + Send + Sync {
    move |text| {
        let number = text
            .parse()
            .ok()
            .filter(|number| (least..=most).contains(number));
        number
            .and_then(|number| T::try_from(number).ok())
            .ok_or(NotAllowed::Whole { least, most })
    }
}

/// `true` or `false`.
///
/// # Errors
/// For any other text.
pub fn yes_or_no(text: &str) -> Result<bool, NotAllowed> {
    text.parse().map_err(|_| NotAllowed::YesOrNo)
}

/// A time that something may take: more than nothing, at most a day.
///
/// # Errors
/// For any other text.
pub fn timeout(text: &str) -> Result<Duration, NotAllowed> {
    match seconds(text, LONGEST_TIMEOUT) {
        Some(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(NotAllowed::Timeout),
    }
}

/// A time that something may last: at most a year; 0 for no limit.
///
/// # Errors
/// For any other text.
pub fn lifetime(text: &str) -> Result<Duration, NotAllowed> {
    seconds(text, LONGEST_LIFETIME).ok_or(NotAllowed::Lifetime)
}

fn seconds(text: &str, most: u64) -> Option<Duration> {
    let duration = Duration::try_from_secs_f64(text.parse().ok()?).ok()?;
    (duration <= Duration::from_secs(most)).then_some(duration)
}

/// An address and a port.
///
/// # Errors
/// For any other text.
pub fn listen_address(text: &str) -> Result<SocketAddr, NotAllowed> {
    text.parse().map_err(|_| NotAllowed::ListenAddress)
}

/// How many threads run at once here.
pub fn cores() -> usize {
    available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_within_bounds() {
        assert_eq!(timeout("0.5").expect("good"), Duration::from_millis(500));
        assert_eq!(lifetime("0").expect("good"), Duration::ZERO);
        for text in ["", "0", "-1", "86401", "1e300", "NaN", "inf", "3s", " 3"] {
            assert!(timeout(text).is_err(), "{text}");
        }
        assert!(lifetime("31536001").is_err());
    }
}
