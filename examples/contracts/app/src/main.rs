//! The program around messages and handlers of two other crates: `cargo run -p shop`.

use jasper::Jasper;
use shop_handlers::Stock;
use shop_messages::Reserve;

// The linker drops the handlers of a crate that is not named. This names it.
jasper::handlers_of!(shop_handlers);

#[tokio::main]
async fn main() -> Result<(), jasper::Error> {
    let stock = Stock::default();
    if let Ok(mut stock) = stock.0.lock() {
        stock.insert("mug".into(), 5);
    }
    let app = Jasper::builder().service("shop").state(stock).start().await?;
    for quantity in [3, 2, 4, 20] {
        let reserve = Reserve { sku: "mug".into(), quantity };
        match app.bus().invoke(reserve).await {
            Ok(left) => println!("{quantity} reserved, {} left", left.0),
            Err(error) => println!("{quantity} not reserved: {error}"),
        }
        app.until_idle().await?;
    }
    app.stop().await
}
