//! Contact search cuts dates to days of the workspace's time zone; no change may fall between two of them.

use std::time::Duration;

use ingest::sandbox::{Comparison, Settings};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::support::world::{DATED, DAY, HOUR, World};

const SECOND: Duration = Duration::from_secs(1);

/// One workspace: its zone, the local time of its first load, and how `>` and `<` read where seconds count.
struct Place {
    zone: TimeZone,
    morning: DateTime,
    comparison: Comparison,
}

impl Place {
    fn at(&self, days: i64, hour: i8, minute: i8, second: i8) -> Timestamp {
        let day = self.morning.date().checked_add(days.days()).unwrap();
        day.at(hour, minute, second, 0).to_zoned(self.zone.clone()).unwrap().timestamp()
    }

    async fn open(&self) -> World {
        let settings = Settings {
            started_at: self.morning.to_zoned(self.zone.clone()).unwrap().timestamp(),
            time_zone: self.zone.clone(),
            comparison: self.comparison,
            ..Settings::default()
        };
        World::start(settings).await
    }
}

/// Changes a few rows and makes one in every searched table.
fn change(world: &World) {
    for table in DATED {
        world.update_some(table, 3);
        world.insert(table);
    }
}

async fn read(world: &World, moment: &str, place: &Place) {
    world.load(&DATED).await;
    let context = format!("{moment}, {:?}, {:?}", place.zone.iana_name(), place.comparison);
    world.assert_nothing_lost(&DATED, &context);
}

async fn no_moment_of_the_day_loses_a_change(place: Place) {
    let world = place.open().await;
    read(&world, "first load at nine", &place).await;

    change(&world);
    world.advance_to(place.at(0, 10, 30, 0));
    change(&world);
    world.advance_to(place.at(0, 17, 0, 0));
    read(&world, "in the checkpoint's second, and later on its day", &place).await;

    world.advance_to(place.at(0, 23, 59, 58));
    change(&world);
    world.sandbox.advance(SECOND);
    read(&world, "read in the last second of a day", &place).await;

    change(&world);
    world.advance_to(place.at(1, 0, 0, 0));
    change(&world);
    world.sandbox.advance(SECOND);
    read(&world, "on both sides of midnight", &place).await;

    world.advance_to(place.at(2, 9, 0, 0));
    change(&world);
    world.sandbox.advance(3 * DAY + 5 * HOUR);
    change(&world);
    read(&world, "after days without a run", &place).await;
    world.assert_truth(&DATED);
}

async fn everywhere(comparison: Comparison, places: &[(&str, &str)]) {
    for (zone, morning) in places {
        let (zone, morning) = (TimeZone::get(zone).unwrap(), morning.parse().unwrap());
        no_moment_of_the_day_loses_a_change(Place { zone, morning, comparison }).await;
    }
}

/// Far west, east, and beyond the date line.
const PLACES: &[(&str, &str)] = &[
    ("America/Los_Angeles", "2026-01-15T09:00"),
    ("Asia/Tokyo", "2026-01-15T09:00"),
    ("Pacific/Kiritimati", "2026-01-15T09:00"),
];

#[tokio::test(flavor = "multi_thread")]
async fn no_zone_loses_a_change_where_greater_means_greater() {
    everywhere(Comparison::Exclusive, PLACES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_zone_loses_a_change_where_greater_means_greater_or_equal() {
    everywhere(Comparison::Inclusive, PLACES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_change_is_lost_over_days_of_25_and_23_hours() {
    let places = [("America/Los_Angeles", "2025-10-31T09:00"), ("America/Los_Angeles", "2026-03-06T09:00")];
    everywhere(Comparison::Exclusive, &places).await;
}
