//! The calendar: which batches fall due on a day, where a newcomer's batch is, when a day begins.
//!
//! Calendar mode is the seed's (客户管理篇 三.2, 三.3): on day D of the month, 1 to 30, 营销D and
//! 阅读((D-1) mod 10 + 1); nothing on the 31st. A marketing cycle shorter than 30 leaves the days
//! after its end without a marketing batch; numbers above 30 have no day, so that a longer cycle
//! needs rolling mode. A reading cycle of any length is counted anew from the first of each month.
//! Rolling mode knows no months: every cycle turns by itself from its epoch.

use std::collections::BTreeSet;
use std::ops::Range;

use chrono::{Datelike, NaiveTime, TimeDelta, TimeZone, Timelike};

use crate::book::contact::{Day, Moment};
use crate::book::tag::{Series, SeriesKind};

/// The calendar's month: what lies behind its 30th day has no batch.
const MONTH: u8 = 30;
/// No gap in any zone's local time is longer (Samoa left out the whole of 2011-12-30).
const GAP_MINUTES_MAX: u16 = 2 * 24 * 60;

/// What becomes of the batches that February has no day for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ShortMonth {
    /// They have no round in that month, as in the seed.
    #[default]
    Skip,
    /// They go out on the month's last day, both series.
    LastDay,
}

/// How batch numbers meet days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CadenceMode {
    /// Batch D on day D of the month.
    Calendar {
        /// What February does.
        short_month: ShortMonth,
    },
    /// Batch 1 on the epoch, the next one on the next day, and round again.
    Rolling {
        /// The day of batch 1.
        epoch: Day,
    },
}

/// The rhythm of one house: the mode, and how long its cycles are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cadence {
    /// How batch numbers meet days.
    pub mode: CadenceMode,
    /// The series with their cycle lengths.
    pub series: Series,
}

impl Cadence {
    /// The batches due on `day`: marketing before reading, each in ascending order.
    #[must_use]
    pub fn due(&self, day: Day) -> Vec<(SeriesKind, u8)> {
        let mut due = Vec::new();
        for kind in [SeriesKind::Marketing, SeriesKind::Reading] {
            let mut numbers: Vec<u8> = match self.mode {
                CadenceMode::Calendar { short_month } => {
                    days_of_month(day, short_month).filter_map(|d| self.on(kind, d)).collect()
                }
                CadenceMode::Rolling { epoch } => vec![self.turn(kind, day.since(epoch))],
            };
            numbers.sort_unstable();
            numbers.dedup();
            due.extend(numbers.into_iter().map(|no| (kind, no)));
        }
        due
    }

    /// The batch of an import without a number: that of the day; where the day has none (the 31st,
    /// or after the end of a shorter cycle), 01.
    #[must_use]
    pub fn batch_of_today(&self, day: Day, kind: SeriesKind) -> u8 {
        match self.mode {
            CadenceMode::Calendar { .. } => {
                days_of_month(day, ShortMonth::Skip).find_map(|d| self.on(kind, d)).unwrap_or(1)
            }
            CadenceMode::Rolling { epoch } => self.turn(kind, day.since(epoch)),
        }
    }

    /// The first day after `after` on which batch `no` is due; `None` if it never is.
    #[must_use]
    pub fn next_due(&self, kind: SeriesKind, no: u8, after: Day) -> Option<Day> {
        // A month that skips the batch lies between two that have it: 62 days hold them all.
        let reach = i32::from(self.series.cycle(kind)).max(62);
        (1..=reach).map(|n| after.plus(n)).find(|day| self.due(*day).contains(&(kind, no)))
    }

    /// The reading batch that readers of marketing batch `marketing_no` move to: 营销01, 11 and 21
    /// all lead to 阅读01.
    #[must_use]
    pub fn reading_of(&self, marketing_no: u8) -> u8 {
        self.turn(SeriesKind::Reading, i32::from(marketing_no) - 1)
    }

    /// The batch of day `day_of_month` (1 to 30) in calendar mode.
    fn on(&self, kind: SeriesKind, day_of_month: u8) -> Option<u8> {
        match kind {
            SeriesKind::Marketing => {
                Some(day_of_month).filter(|no| *no <= self.series.cycle(SeriesKind::Marketing))
            }
            SeriesKind::Reading => Some(self.reading_of(day_of_month)),
        }
    }

    /// The batch `steps` days after batch 1.
    fn turn(&self, kind: SeriesKind, steps: i32) -> u8 {
        let cycle = i32::from(self.series.cycle(kind).max(1));
        u8::try_from(steps.rem_euclid(cycle) + 1).unwrap_or(1)
    }
}

/// The days of the month that are sent on `day`: itself, none on the 31st, and with `last-day` on
/// February's last all up to the 30th.
fn days_of_month(day: Day, short_month: ShortMonth) -> Range<u8> {
    let date = day.date();
    let today = u8::try_from(date.day()).unwrap_or(MONTH + 1);
    let is_last = date.succ_opt().is_some_and(|next| next.day() == 1);
    let end = match short_month {
        ShortMonth::LastDay if is_last => MONTH + 1,
        ShortMonth::LastDay | ShortMonth::Skip => (today + 1).min(MONTH + 1),
    };
    today..end
}

/// The Monday of the ISO week that `day` lies in.
#[must_use]
pub fn week_start(day: Day) -> Day {
    let back = day.date().weekday().num_days_from_monday();
    day.plus(-i32::try_from(back).unwrap_or(0))
}

/// The zone in which days begin and windows open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone(pub chrono_tz::Tz);

impl Zone {
    /// The calendar day that `moment` falls on.
    #[must_use]
    pub fn day_of(self, moment: Moment) -> Day {
        Day::from_date(moment.utc().with_timezone(&self.0).date_naive())
    }

    /// The first moment of `day`.
    #[must_use]
    pub fn start_of(self, day: Day) -> Moment {
        self.at(day, NaiveTime::MIN)
    }

    /// The moment the clocks show `time` on `day`: a time that DST skips is the next minute that
    /// exists, one that occurs twice is its first.
    #[must_use]
    pub fn at(self, day: Day, time: NaiveTime) -> Moment {
        let mut local = day.date().and_time(time);
        for _ in 0..GAP_MINUTES_MAX {
            if let Some(found) = self.0.from_local_datetime(&local).earliest() {
                return Moment::from_utc(found.to_utc());
            }
            local += TimeDelta::seconds(60 - i64::from(local.second()));
        }
        Moment::from_utc(local.and_utc())
    }
}

/// The hours of a day in which letters are sent. The default is the whole day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    opens: NaiveTime,
    /// Midnight stands for 24:00.
    closes: NaiveTime,
}

/// The hours of sending over the week, and the days without any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hours {
    /// Monday to Sunday; `None` is a day without sending.
    pub week: [Option<Window>; 7],
    /// Holidays: days without sending, whatever the weekday.
    pub closed: BTreeSet<Day>,
}

impl Hours {
    /// The same hours on every day.
    #[must_use]
    pub fn daily(window: Window) -> Self {
        Self { week: [Some(window); 7], closed: BTreeSet::new() }
    }

    /// The window of a day, if it has one.
    #[must_use]
    pub fn of(&self, day: Day) -> Option<Window> {
        let weekday = day.date().weekday().num_days_from_monday();
        let weekday = usize::try_from(weekday).unwrap_or(0);
        self.week.get(weekday).copied().flatten().filter(|_| !self.closed.contains(&day))
    }
}

/// Why two times are no window.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// Not `HH:MM`.
    #[error("{0:?} is no time of day; write HH:MM, from 00:00 to 24:00")]
    Time(String),
    /// Closes before it opens, or at once.
    #[error("a window from {opens} to {closes} never opens; it must close later on the same day")]
    Order {
        /// As typed.
        opens: String,
        /// As typed.
        closes: String,
    },
}

impl Window {
    /// Reads `09:00` and `18:00`; `24:00` closes with the day.
    ///
    /// # Errors
    /// A [`WindowError`] when one of them is no time or the window would never be open.
    pub fn parse(opens: &str, closes: &str) -> Result<Self, WindowError> {
        let time = |typed: &str| {
            NaiveTime::parse_from_str(typed.trim(), "%H:%M")
                .map_err(|_| WindowError::Time(typed.to_owned()))
        };
        let opens_at = time(opens)?;
        let closes_at = match closes.trim() {
            "24:00" => return Ok(Self { opens: opens_at, closes: NaiveTime::MIN }),
            typed => time(typed)?,
        };
        if closes_at <= opens_at {
            return Err(WindowError::Order { opens: opens.to_owned(), closes: closes.to_owned() });
        }
        Ok(Self { opens: opens_at, closes: closes_at })
    }

    /// The moment it opens on `day`.
    #[must_use]
    pub fn opens(self, zone: Zone, day: Day) -> Moment {
        zone.at(day, self.opens)
    }

    /// The first moment on `day` (or of the next one) at which it is closed again.
    #[must_use]
    pub fn closes(self, zone: Zone, day: Day) -> Moment {
        if self.closes == NaiveTime::MIN {
            return zone.start_of(day.plus(1));
        }
        zone.at(day, self.closes)
    }

    /// Whether it is open at `moment`.
    #[must_use]
    pub fn contains(self, zone: Zone, moment: Moment) -> bool {
        let day = zone.day_of(moment);
        self.opens(zone, day) <= moment && moment < self.closes(zone, day)
    }
}
