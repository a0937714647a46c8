//! The test broker of Service Bus as a program: `servicebus_broker PORT ENTITY...` starts it on
//! 127.0.0.1 and prints its connection string. It ends with Ctrl-C, and what it held is gone then.
//!
//! An entity is `NAME` for a queue, `NAME:sessions` for a queue with sessions, or
//! `TOPIC/SUBSCRIPTION`. Port 0 is any free port. For tests only: it has no security to speak of.

use std::collections::BTreeSet;

use anyhow::Context;
use jasper::testing::servicebus::{Broker, EntitySettings};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().context("usage: servicebus_broker PORT ENTITY...")?;
    let port = port.parse().with_context(|| format!("`{port}` is not a port"))?;
    let broker = Broker::builder().port(port).start().await?;
    let mut topics = BTreeSet::new();
    for entity in arguments {
        create(&broker, &entity, &mut topics)?;
    }
    println!("{}", broker.connection_string());
    tokio::signal::ctrl_c().await?;
    Ok(())
}

fn create(broker: &Broker, entity: &str, topics: &mut BTreeSet<String>) -> anyhow::Result<()> {
    let settings = EntitySettings::new();
    if let Some((topic, subscription)) = entity.split_once('/') {
        if topics.insert(topic.to_owned()) {
            broker.create_topic(topic, settings.clone())?;
        }
        broker.create_subscription(topic, subscription, settings)?;
    } else if let Some(queue) = entity.strip_suffix(":sessions") {
        broker.create_queue(queue, settings.requires_session())?;
    } else {
        broker.create_queue(entity, settings)?;
    }
    Ok(())
}
