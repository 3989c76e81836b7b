//! Hours, days, weeks, months and years.

use jiff::Zoned;

/// A kind of period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// An hour of a day.
    Hour,
    /// A day from midnight to midnight.
    Day,
    /// A week, which begins on Monday.
    Week,
    /// A month of a year.
    Month,
    /// A year.
    Year,
}

/// One thing for each kind of period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByPeriod<T> {
    /// For hours.
    pub hourly: T,
    /// For days.
    pub daily: T,
    /// For weeks.
    pub weekly: T,
    /// For months.
    pub monthly: T,
    /// For years.
    pub yearly: T,
}

impl<T: Copy> ByPeriod<T> {
    pub(super) fn each(self) -> [(Period, T); 5] {
        [
            (Period::Hour, self.hourly),
            (Period::Day, self.daily),
            (Period::Week, self.weekly),
            (Period::Month, self.monthly),
            (Period::Year, self.yearly),
        ]
    }
}

impl Period {
    /// The period that a time is in: the same numbers for all times of a period.
    pub(super) fn of(self, time: &Zoned) -> (i32, i32) {
        let month = i32::from(time.year()) * 12 + i32::from(time.month());
        let day = month * 31 + i32::from(time.day());
        match self {
            Self::Hour => (day, i32::from(time.hour())),
            Self::Day => (0, day),
            Self::Week => {
                let week = time.date().iso_week_date();
                (i32::from(week.year()), i32::from(week.week()))
            }
            Self::Month => (0, month),
            Self::Year => (0, i32::from(time.year())),
        }
    }
}
