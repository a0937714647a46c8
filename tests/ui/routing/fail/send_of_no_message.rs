use jasper::prelude::*;

async fn application(bus: Bus) {
    let _ = bus.send("charge".to_owned()).await;
}

fn main() {}
