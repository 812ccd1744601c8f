//! When long work says how far it has come.

use std::time::{Duration, Instant};

/// The time from the beginning of a work to its first line, and between two lines.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// The lines of one work: work that is done within a second has none.
#[derive(Debug)]
pub(super) struct Pace {
    next: Instant,
}

impl Pace {
    /// The work begins.
    pub(super) fn new() -> Self {
        Self::since(Instant::now())
    }

    fn since(begun: Instant) -> Self {
        let next = begun + LINE_EVERY;
        Self { next }
    }

    /// Whether it is time for a line, which the caller then writes.
    pub(super) fn is_due(&mut self) -> bool {
        self.is_due_at(Instant::now())
    }

    fn is_due_at(&mut self, now: Instant) -> bool {
        let is_due = now >= self.next;
        if is_due {
            self.next = now + LINE_EVERY;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_at_most_once_a_second_and_not_in_the_first() {
        let begun = Instant::now();
        let mut pace = Pace::since(begun);
        let times_ms = [0, 999, 1000, 1001, 1999, 2500, 3000, 3499, 3500];
        let due = times_ms.map(|ms| pace.is_due_at(begun + Duration::from_millis(ms)));
        assert_eq!(
            due,
            [false, false, true, false, false, true, false, false, true]
        );
    }
}
