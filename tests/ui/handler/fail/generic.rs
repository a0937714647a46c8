use jasper::prelude::*;
use jasper::Message;

#[handler]
async fn any<M: Message>(_: M) {}

fn main() {}
