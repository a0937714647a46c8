//! Each test has tables of its own, so that all of them run at the same time.

use std::sync::Arc;

use jasper::store::memory::MemoryStore;
use jasper::testing::assert_routes;
use small_shop::{AskForReview, OrderPlaced, PlaceOrder, place_order, shop};

use crate::fixture::{Fixture, Mails};

fn order(id: u32, email: &str) -> PlaceOrder {
    PlaceOrder { id, email: email.to_owned() }
}

/// A handler is a function.
#[tokio::test]
async fn an_order_without_an_address_is_refused() {
    let error = place_order(order(1, "")).await.unwrap_err();
    assert_eq!(error.to_string(), "no e-mail address");
}

#[tokio::test]
async fn an_order_is_confirmed_at_once_and_a_review_asked_for_later() -> anyhow::Result<()> {
    let Fixture { app, mails, .. } = &Fixture::start().await?;
    let tracked = app.track().send(order(7, "ada@example.org")).await?;
    tracked.assert_no_failures();
    assert_eq!(tracked.assert_handled::<OrderPlaced>(1)[0].id, 7);
    assert_eq!(tracked.assert_scheduled::<AskForReview>(1)[0].id, 7);
    assert_eq!(mails.take(), ["ada@example.org: thank you for order 7"]);
    Ok(())
}

#[tokio::test]
async fn a_confirmation_is_tried_again() -> anyhow::Result<()> {
    let Fixture { app, mails, .. } = &Fixture::start().await?;
    mails.fail(2);
    let tracked = app.track().send(order(8, "ada@example.org")).await?;
    tracked.assert_failed::<OrderPlaced>(2);
    tracked.assert_handled::<OrderPlaced>(1);
    assert_eq!(mails.take().len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_confirmation_that_never_succeeds_is_a_dead_letter() -> anyhow::Result<()> {
    let Fixture { app, mails, .. } = &Fixture::start().await?;
    mails.fail(u32::MAX);
    let tracked = app.track().send(order(9, "ada@example.org")).await?;
    assert_eq!(tracked.assert_dead_lettered::<OrderPlaced>(1)[0].id, 9);
    Ok(())
}

#[tokio::test]
async fn several_orders_are_one_session() -> anyhow::Result<()> {
    let Fixture { app, mails, .. } = &Fixture::start().await?;
    let session = app.track().send(order(1, "ada@example.org")).send(order(2, "eve@example.org"));
    session.await?.assert_handled::<OrderPlaced>(2);
    assert_eq!(mails.take().len(), 2);

    // Within a test, too, all that was stored can be dropped.
    app.rebuild_message_schema().await?;
    let ((), tracked) = app.track().invoke(order(3, "ada@example.org")).await?;
    tracked.assert_handled::<OrderPlaced>(1);
    Ok(())
}

#[test]
fn the_shop_can_start() {
    assert_routes!(shop(MemoryStore::new(), Arc::new(Mails::default())));
}
