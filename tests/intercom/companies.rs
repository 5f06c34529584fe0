//! Companies that go, come back, or seem to.

use ingest::sandbox::{Change, Settings};

use crate::support::world::{HOUR, World, of};
use crate::support::wrapped::Moment;

const COMPANIES: &[&str] = &["companies"];

#[tokio::test(flavor = "multi_thread")]
async fn a_company_is_stamped_once_its_own_address_says_that_it_is_gone() {
    let world = World::start(Settings { companies: 230, ..Settings::default() }).await;
    world.load(COMPANIES).await;
    let ids = world.ids("companies");
    for id in [&ids[3], &ids[150]] {
        world.delete("companies", id);
    }
    world.sandbox.advance(HOUR);
    let report = world.load(COMPANIES).await;
    assert_eq!(of(&report, "companies").committed.stamped, 2);
    world.assert_nothing_lost(COMPANIES, "deletions aside");
    assert_eq!(world.differences("companies").stamped, [ids[3].as_str(), ids[150].as_str()]);
    for id in [&ids[3], &ids[150]] {
        let asked = world.requests(&format!("/companies/{id}"));
        assert_eq!(asked.iter().map(|request| request.status).collect::<Vec<_>>(), [404]);
    }

    let stamp = world.cell("companies", &ids[3], "_deleted_at");
    let report = world.load(COMPANIES).await;
    assert_eq!(of(&report, "companies").committed.stamped, 0, "a stamp stays as it is");
    assert_eq!(world.cell("companies", &ids[3], "_deleted_at"), stamp);

    // It comes back exactly as it was, its date included.
    world.sandbox.change(Change::Restore { table: "companies".into(), id: ids[3].clone() });
    world.load(COMPANIES).await;
    assert_eq!(world.cell("companies", &ids[3], "_deleted_at"), None);
    assert_eq!(world.differences("companies").stamped, [ids[150].as_str()]);
    world.assert_nothing_lost(COMPANIES, "deletions aside");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absence_that_its_own_address_denies_is_no_deletion() {
    let world = World::start(Settings { companies: 230, ..Settings::default() }).await;
    world.load(COMPANIES).await;
    let id = world.ids("companies").remove(199);
    world.delete("companies", &id);
    let (sandbox, back) = (world.sandbox.clone(), id.clone());
    // It returns after the scroll went by its place, and before anybody asks for it.
    let returns = move |moment| {
        if moment == Moment::After(0) {
            sandbox.change(Change::Restore { table: "companies".into(), id: back.clone() });
        }
    };
    let report = world.run().tables(COMPANIES).watching(returns).go().await;
    assert_eq!(of(&report, "companies").committed.stamped, 0);
    assert_eq!(world.requests(&format!("/companies/{id}")).len(), 1);
    world.assert_truth(COMPANIES);
}

#[tokio::test(flavor = "multi_thread")]
async fn companies_that_go_by_the_hundred_are_stamped_in_the_next_run() {
    let world = World::start(Settings { companies: 350, ..Settings::default() }).await;
    world.load(COMPANIES).await;
    let ids = world.ids("companies");
    for id in &ids[100..201] {
        world.delete("companies", id);
    }
    let report = world.load(COMPANIES).await;
    assert_eq!(of(&report, "companies").committed.stamped, 101);
    assert_eq!(world.differences("companies").extra, [""; 0]);
    // Whatever goes, where none is left that has to be there, so many look-ups prove nothing.
    for id in world.ids("companies") {
        world.delete("companies", &id);
    }
    let report = world.load(COMPANIES).await;
    let companies = of(&report, "companies");
    assert_eq!(companies.committed.stamped, 0);
    assert!(
        companies.notes.iter().any(|note| note.contains("249 companies of 249")),
        "{:?}",
        companies.notes
    );
    world.insert("companies");
    let report = world.load(COMPANIES).await;
    assert_eq!(of(&report, "companies").committed.stamped, 249, "one is enough");
}
