//! A node of the bank.

use jasper::Jasper;

use crate::Outcome;
use crate::arguments::Arguments;
use crate::bank::{Bank, Node};

/// Starts a node and says so, in the one line that it prints.
///
/// It is named after its process, so that the test that kills the process can name the node.
pub(crate) async fn start(bank: &impl Bank, arguments: &Arguments) -> Outcome<Jasper> {
    let name = format!("bank-{}", std::process::id());
    let application = bank.application().service(&*name).lease(arguments.lease);
    let app = application.state(Node(name)).start().await?;
    println!("ready");
    Ok(app)
}

pub(crate) async fn serve(bank: &impl Bank, arguments: &Arguments) -> Outcome<()> {
    let app = start(bank, arguments).await?;
    Ok(app.run_until_shutdown().await?)
}
