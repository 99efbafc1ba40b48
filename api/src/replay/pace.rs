//! When each position of a trace is due: its time in the trace, divided by the speed, and never more at once than a
//! receiver's socket can hold.

use ingest::clock::Millis;

/// Datagrams that may go out at once. A socket's buffer, as small as systems have them (208 KiB), holds four times as
/// many.
pub const BURST: u32 = 64;

/// The rhythm of a run.
#[derive(Debug)]
pub struct Pace {
    first_s: i64,
    speed: f64,
    began: Millis,
    per_ms: f64,
    /// Datagrams that may go out now.
    credit: f64,
    credited: Millis,
}

impl Pace {
    /// A run that begins at `now` with the position of `first_s`: `speed` seconds of the trace in one, and no more
    /// than `per_second` datagrams.
    pub fn new(first_s: i64, speed: f64, per_second: u32, now: Millis) -> Self {
        let per_ms = f64::from(per_second) / 1000.0;
        Self { first_s, speed, began: now, per_ms, credit: f64::from(BURST), credited: now }
    }

    /// In how many milliseconds to ask again whether the position of `at_s` may go out; 0: it may, and counts as
    /// sent. To be asked in the order of time.
    pub fn wait_ms(&mut self, at_s: i64, now: Millis) -> u64 {
        let early_ms = self.due(at_s).since(now);
        if early_ms > 0 {
            return early_ms.unsigned_abs();
        }
        #[expect(clippy::cast_precision_loss, reason = "milliseconds since the last position")]
        let passed_ms = now.since(self.credited).max(0) as f64;
        self.credited = now;
        self.credit = (self.credit + passed_ms * self.per_ms).min(f64::from(BURST));
        if self.credit < 1.0 {
            return whole_ms((1.0 - self.credit) / self.per_ms).max(1);
        }
        self.credit -= 1.0;
        0
    }

    /// How much later than its time the position of `at_s` goes out now, in milliseconds.
    pub fn late_ms(&self, at_s: i64, now: Millis) -> u64 {
        now.since(self.due(at_s)).max(0).unsigned_abs()
    }

    fn due(&self, at_s: i64) -> Millis {
        #[expect(clippy::cast_precision_loss, reason = "seconds of a trace, far below 2^53")]
        let after_ms = (at_s - self.first_s) as f64 * 1000.0 / self.speed;
        self.began.plus(i64::try_from(whole_ms(after_ms)).unwrap_or(i64::MAX))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast saturates; none is negative"
)]
fn whole_ms(ms: f64) -> u64 {
    ms.ceil() as u64
}

#[cfg(test)]
mod tests {
    use ingest::clock::Clock;

    use super::*;

    const BEGAN: Millis = Millis(1_790_000_000_000);

    /// When each goes out, in milliseconds since the beginning, by a clock that moves as it is told to wait.
    fn run(mut pace: Pace, times_s: impl IntoIterator<Item = i64>) -> Vec<i64> {
        let clock = Clock::manual(BEGAN);
        let mut sent = Vec::new();
        for at_s in times_s {
            loop {
                match pace.wait_ms(at_s, clock.now()) {
                    0 => break,
                    ms => clock.advance(i64::try_from(ms).unwrap()),
                }
            }
            sent.push(clock.now().since(BEGAN));
        }
        sent
    }

    #[test]
    fn intervals_are_those_of_the_trace_divided_by_the_speed() {
        let times = [1000, 1000, 1015, 1030, 1061];
        assert_eq!(run(Pace::new(1000, 100.0, 5000, BEGAN), times), [0, 0, 150, 300, 610]);
        assert_eq!(run(Pace::new(1000, 1.0, 5000, BEGAN), times), [0, 0, 15_000, 30_000, 61_000]);
        assert_eq!(run(Pace::new(1000, 0.5, 5000, BEGAN), [1000, 1001]), [0, 2000]);
    }

    #[test]
    fn what_is_due_at_once_goes_out_in_small_parts() {
        let sent = run(Pace::new(0, 1e9, 1000, BEGAN), vec![0; 5000]);
        let burst = usize::try_from(BURST).unwrap();
        assert_eq!(sent[burst - 1], 0);
        for (n, at) in sent.iter().enumerate() {
            let within_10_ms = sent[n..].iter().take_while(|later| **later < at + 10).count();
            assert!(within_10_ms <= burst + 10, "{within_10_ms} from {at} ms on");
        }
        assert_eq!(*sent.last().unwrap(), 5000 - i64::from(BURST), "one a millisecond");
    }

    #[test]
    fn a_run_that_was_held_up_catches_up_without_a_burst() {
        let (mut pace, clock) = (Pace::new(0, 1.0, 1000, BEGAN), Clock::manual(BEGAN));
        assert_eq!(pace.wait_ms(0, clock.now()), 0);
        clock.advance(60_000);
        let at_once = (1..=60).flat_map(|s| [s, s, s]).take_while(|s| pace.wait_ms(*s, clock.now()) == 0);
        assert_eq!(at_once.count(), 64);
        assert_eq!(pace.late_ms(22, clock.now()), 38_000);
        assert_eq!(pace.late_ms(99, clock.now()), 0);
    }

    #[test]
    fn a_clock_that_steps_back_only_makes_it_wait() {
        let mut pace = Pace::new(0, 1.0, 1000, BEGAN);
        assert_eq!(pace.wait_ms(0, BEGAN), 0);
        assert_eq!(pace.wait_ms(0, BEGAN.plus(-5000)), 5000);
    }
}
