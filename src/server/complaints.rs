//! How often the log complains of the clients of one address: whoever sends nonsense a thousand times a second must not
//! fill the disk with lines, nor bury those about others. What is beyond the limit goes to the log at debug level.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Lines about one address in a period.
const LINES_MAX: u32 = 10;

/// A period: it ends with the first sweep after it.
const PERIOD: Duration = Duration::from_secs(10);

/// Addresses that are counted apart; those beyond share one count.
const ADDRESSES_MAX: usize = 1024;

/// The count that addresses beyond [`ADDRESSES_MAX`] share.
const OTHERS: IpAddr = IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED);

/// How loud a line may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Volume {
    Warn,
    Debug,
}

/// What has been said of whom.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    periods: Mutex<HashMap<IpAddr, Period>>,
}

#[derive(Debug)]
struct Period {
    begun: Instant,
    lines: u32,
}

impl Complaints {
    /// How loud the next line about a client of `ip` is to be.
    pub(super) fn volume(&self, ip: IpAddr, now: Instant) -> Volume {
        let mut periods = self.lock();
        let known = periods.len() < ADDRESSES_MAX || periods.contains_key(&ip);
        let period = periods
            .entry(if known { ip } else { OTHERS })
            .or_insert(Period {
                begun: now,
                lines: 0,
            });
        period.lines = period.lines.saturating_add(1);
        match period.lines {
            ..=LINES_MAX => Volume::Warn,
            _ => Volume::Debug,
        }
    }

    /// Ends the periods that are over: each address with how many lines about it were not loud.
    pub(super) fn end_periods(&self, now: Instant) -> Vec<(IpAddr, u32)> {
        let mut periods = self.lock();
        let over = periods.extract_if(|_, period| now.duration_since(period.begun) >= PERIOD);
        let quiet = over.map(|(ip, period)| (ip, period.lines.saturating_sub(LINES_MAX)));
        quiet.filter(|(_, lines)| *lines > 0).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Period>> {
        // Nothing that holds this lock can leave the map half changed.
        self.periods.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u32) -> IpAddr {
        IpAddr::from((0x7f00_0000 + last).to_be_bytes())
    }

    #[test]
    fn an_address_is_complained_of_so_often_in_a_period() {
        let complaints = Complaints::default();
        let begin = Instant::now();
        let volume = |last| complaints.volume(ip(last), begin);
        assert!((0..LINES_MAX).all(|_| volume(1) == Volume::Warn));
        assert!((0..5).all(|_| volume(1) == Volume::Debug));
        assert_eq!(volume(2), Volume::Warn, "another address");
        assert!(complaints.end_periods(begin).is_empty(), "none is over");
        assert_eq!(complaints.end_periods(begin + PERIOD), [(ip(1), 5)]);
        assert_eq!(volume(1), Volume::Warn, "a new period");
    }

    #[test]
    fn addresses_beyond_the_limit_share_a_count() {
        let complaints = Complaints::default();
        let begin = Instant::now();
        let addresses = u32::try_from(ADDRESSES_MAX).expect("few") + LINES_MAX;
        assert!((0..addresses).all(|last| complaints.volume(ip(last), begin) == Volume::Warn));
        assert_eq!(complaints.volume(ip(addresses), begin), Volume::Debug);
        assert_eq!(complaints.volume(ip(0), begin), Volume::Warn, "a known one");
        assert_eq!(complaints.end_periods(begin + PERIOD), [(OTHERS, 1)]);
    }
}
