//! A program that sends a command to an endpoint that is not configured.

use jasper::prelude::*;
use jasper::{Config, Problem};
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
#[command(name = "unconfigured.ship", to = "shipping")]
struct Ship;

#[derive(Command, Serialize, Deserialize)]
#[command(name = "unconfigured.bill", to = "tcp://127.0.0.1:1")]
struct Bill;

#[test]
fn an_endpoint_that_nothing_here_handles_must_be_configured() {
    let problems = Jasper::builder().check().unwrap_err();
    let [Problem::UnknownEndpoint { endpoint, .. }] = problems.problems() else {
        panic!("{problems}");
    };
    assert_eq!(endpoint, "shipping");
    let mend = "add `.endpoint(\"shipping\", \"…\")`";
    assert!(problems.to_string().contains(mend), "{problems}");
    Jasper::builder().endpoint("shipping", "tcp://127.0.0.1:1").check().unwrap();
}

#[test]
fn the_environment_may_configure_what_the_builder_does_not() {
    let variable = ("JASPER_ENDPOINT_SHIPPING".to_owned(), "tcp://127.0.0.1:1".to_owned());
    Jasper::builder().config(Config::from_vars([variable])).check().unwrap();
}

#[tokio::test]
async fn an_address_in_the_place_of_a_name_is_an_endpoint() {
    let app = Jasper::builder().endpoint("shipping", "tcp://127.0.0.1:1").start().await.unwrap();
    app.bus().send(Bill).await.unwrap();
    let asked = app.bus().invoke(Ship).await;
    assert!(asked.unwrap_err().to_string().contains("`tcp://127.0.0.1:1` cannot be reached"));
    drop(app);
}
