//! Mistakes in what is sent, published and invoked.

// For the others.
mod shop {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Command, Serialize, Deserialize)]
    pub struct Handled;

    #[handler]
    async fn handled(_: Handled) {}

    #[derive(Clone, Command, Serialize, Deserialize)]
    pub struct Forgotten;

    #[derive(Clone, Event, Serialize, Deserialize)]
    pub struct Happened;

    #[derive(Clone, Command, Serialize, Deserialize)]
    #[command(to = "shipping", reply = u8)]
    pub struct Routed;

    #[derive(Clone, Command, Serialize, Deserialize)]
    pub struct Twice;

    #[handler]
    async fn one(_: Twice) {}

    #[handler]
    async fn another(_: Twice) {}

    #[derive(Clone, Command, Serialize, Deserialize)]
    #[command(reply = u32)]
    pub struct Count;

    #[handler]
    async fn count(_: Count) -> Reply<u32> {
        Reply(1)
    }

    #[derive(Clone, Serialize, Deserialize)]
    pub struct Plain;
}

mod send_all_without_a_handler {
    async fn call(bus: jasper::Bus) {
        let _ = bus.send_all(vec![super::shop::Forgotten]).await;
    }
}

mod send_all_of_events {
    async fn call(bus: jasper::Bus) {
        let _ = bus.send_all(vec![super::shop::Happened]).await;
    }
}

mod send_all_with_two_handlers {
    async fn call(bus: jasper::Bus) {
        let _ = bus.send_all(vec![super::shop::Twice]).await;
    }
}

mod send_all_of_no_messages {
    async fn call(bus: jasper::Bus) {
        let _ = bus.send_all(vec![super::shop::Plain]).await;
    }
}

mod send_all_of_one {
    async fn call(bus: jasper::Bus) {
        let _ = bus.send_all(super::shop::Handled).await;
    }
}

mod send_all_of_references {
    async fn call(bus: jasper::Bus, orders: Vec<super::shop::Handled>) {
        let _ = bus.send_all(orders.iter()).await;
    }
}

mod send_stream_without_a_handler {
    async fn call(bus: jasper::Bus) {
        let _ = bus.send_stream(futures_util::stream::iter([super::shop::Forgotten])).await;
    }
}

mod send_stream_of_a_list {
    async fn call(bus: jasper::Bus) {
        let _ = bus.send_stream(vec![super::shop::Handled]).await;
    }
}

mod enlisted_send_without_a_handler {
    async fn call(bus: jasper::Bus, tx: &mut sqlx::Transaction<'static, sqlx::Sqlite>) {
        let _ = bus.enlist(tx).send(super::shop::Forgotten).await;
    }
}

mod enlisted_send_of_an_event {
    async fn call(bus: jasper::Bus, tx: &mut sqlx::Transaction<'static, sqlx::Sqlite>) {
        let _ = bus.enlist(tx).send(super::shop::Happened).await;
    }
}

mod enlisted_send_with_two_handlers {
    async fn call(bus: jasper::Bus, tx: &mut sqlx::Transaction<'static, sqlx::Sqlite>) {
        let _ = bus.enlist(tx).send(super::shop::Twice).await;
    }
}

mod enlisted_send_with_options_without_a_handler {
    use std::time::Duration;

    async fn call(bus: jasper::Bus, tx: &mut sqlx::Transaction<'static, sqlx::Sqlite>) {
        let _ = bus.enlist(tx).send(super::shop::Forgotten).delay(Duration::from_secs(1)).await;
    }
}

mod enlisted_publish_of_a_command {
    async fn call(bus: jasper::Bus, tx: &mut sqlx::Transaction<'static, sqlx::Sqlite>) {
        let _ = bus.enlist(tx).publish(super::shop::Handled).await;
    }
}

mod enlist_of_a_pool {
    async fn call(bus: jasper::Bus, pool: &mut sqlx::SqlitePool) {
        let _ = bus.enlist(pool).send(super::shop::Handled).await;
    }
}

mod publish_of_a_routed_command {
    async fn call(bus: jasper::Bus) {
        let _ = bus.publish(super::shop::Routed).await;
    }
}

mod publish_of_no_message {
    async fn call(bus: jasper::Bus) {
        let _ = bus.publish(super::shop::Plain).await;
    }
}

mod publish_of_a_reference {
    async fn call(bus: jasper::Bus, event: super::shop::Happened) {
        let _ = bus.publish(&event).await;
    }
}

mod builder_publishes_a_command {
    fn call() -> jasper::runtime::Builder {
        jasper::Jasper::builder().publish_to::<super::shop::Handled>("billing")
    }
}

mod send_of_a_list {
    async fn call(bus: jasper::Bus) {
        let _ = bus.send(vec![super::shop::Handled]).await;
    }
}

mod send_of_a_reference {
    async fn call(bus: jasper::Bus, order: super::shop::Handled) {
        let _ = bus.send(&order).await;
    }
}

mod send_of_an_option {
    async fn call(bus: jasper::Bus) {
        let _ = bus.send(Some(super::shop::Handled)).await;
    }
}

mod send_of_a_pair {
    async fn call(bus: jasper::Bus) {
        let _ = bus.send((super::shop::Handled, super::shop::Handled)).await;
    }
}

mod send_of_a_delayed_message {
    use std::time::Duration;

    use jasper::MessageExt;

    async fn call(bus: jasper::Bus) {
        let _ = bus.send(super::shop::Handled.delayed(Duration::from_secs(1))).await;
    }
}

mod send_of_a_box {
    async fn call(bus: jasper::Bus) {
        let _ = bus.send(Box::new(super::shop::Handled)).await;
    }
}

mod send_of_the_type_only {
    async fn call(bus: jasper::Bus) {
        let _ = bus.send::<super::shop::Handled>(super::shop::Handled).await;
    }
}

mod invoke_of_the_type_only {
    async fn call(bus: jasper::Bus) {
        let _ = bus.invoke::<super::shop::Count>(super::shop::Count).await;
    }
}

mod invoke_of_no_message {
    async fn call(bus: jasper::Bus) {
        let _ = bus.invoke(super::shop::Plain).await;
    }
}

mod reply_of_a_send {
    async fn call(bus: jasper::Bus) -> Result<u32, jasper::SendError> {
        let count: u32 = bus.send(super::shop::Count).await?;
        Ok(count)
    }
}

mod reply_of_another_type_is_expected {
    async fn call(bus: jasper::Bus) -> Result<String, jasper::InvokeError> {
        bus.invoke(super::shop::Count).await
    }
}

mod generic_send_without_the_bound {
    async fn send_it<M: jasper::Message>(bus: jasper::Bus, message: M) {
        let _ = bus.send(message).await;
    }
}

mod generic_send_all_without_the_bound {
    async fn send_them<M: jasper::Message>(bus: jasper::Bus, messages: Vec<M>) {
        let _ = bus.send_all(messages).await;
    }
}

mod generic_publish_without_the_bound {
    async fn publish_it<M: jasper::Message>(bus: jasper::Bus, message: M) {
        let _ = bus.publish(message).await;
    }
}

mod generic_invoke_without_the_bound {
    async fn invoke_it<M: jasper::Message>(bus: jasper::Bus, message: M) {
        let _ = bus.invoke(message).await;
    }
}

mod generic_send_of_any_type {
    async fn send_it<M>(bus: jasper::Bus, message: M) {
        let _ = bus.send(message).await;
    }
}

mod generic_send_called_without_a_handler {
    use jasper::{Bus, Sendable, runtime::Sending};

    fn send_it<M: Sendable<H>, H>(bus: &Bus, message: M) -> Sending<'static> {
        bus.send(message)
    }

    async fn call(bus: Bus) {
        let _ = send_it(&bus, super::shop::Forgotten).await;
    }
}

mod generic_send_called_with_an_event {
    use jasper::{Bus, Sendable, runtime::Sending};

    fn send_it<M: Sendable<H>, H>(bus: &Bus, message: M) -> Sending<'static> {
        bus.send(message)
    }

    async fn call(bus: Bus) {
        let _ = send_it(&bus, super::shop::Happened).await;
    }
}

mod generic_publish_called_with_a_command {
    use jasper::{Bus, Publishable, runtime::Sending};

    fn announce(bus: &Bus, message: impl Publishable) -> Sending<'static> {
        bus.publish(message)
    }

    async fn call(bus: Bus) {
        let _ = announce(&bus, super::shop::Handled).await;
    }
}

mod generic_invoke_called_with_an_event {
    use jasper::{Bus, Invocable};

    fn ask<M: Invocable<H>, H>(bus: &Bus, message: M) {
        drop(bus.invoke(message));
    }

    fn call(bus: Bus) {
        ask(&bus, super::shop::Happened);
    }
}

mod options_after_the_send {
    use std::time::Duration;

    async fn call(bus: jasper::Bus) {
        let _ = bus.send(super::shop::Handled).await.delay(Duration::from_secs(1));
    }
}

mod delay_as_text {
    async fn call(bus: jasper::Bus) {
        let _ = bus.send(super::shop::Handled).delay("10s").await;
    }
}

mod fake_of_an_event {
    fn call() -> jasper::runtime::Builder {
        jasper::Jasper::builder().fake(|_: super::shop::Happened| async {})
    }
}

mod fake_of_a_routed_command {
    fn call() -> jasper::runtime::Builder {
        jasper::Jasper::builder().fake(|_: super::shop::Routed| async { jasper::Reply(7_u8) })
    }
}

mod fake_without_a_handler {
    fn call() -> jasper::runtime::Builder {
        jasper::Jasper::builder().fake(|_: super::shop::Forgotten| async {})
    }
}

mod enlist_of_a_connection {
    async fn call(bus: jasper::Bus, db: &mut sqlx::SqliteConnection) {
        let _ = bus.enlist(db).send(super::shop::Handled).await;
    }
}

fn main() {}
