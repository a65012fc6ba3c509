//! The plain "create the master znode, watch it, create it again" program, beside those that exist.
//!
//! It elects in layout `single` at `/test04/master`, so it takes turns with such programs, and it
//! knows when it lost: `cargo run -p elector --example master -- 127.0.0.1:2181`

use std::time::Duration;

use elector::{Elector, Layout};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let servers = std::env::args().nth(1).unwrap_or("127.0.0.1:2181".to_owned());
    let builder = Elector::builder(&servers, "/test04/master").layout(Layout::Single);
    let elector = builder.session_timeout(Duration::from_secs(5)).connect().await?;
    loop {
        println!("waiting");
        let leadership = elector.campaign().await?;
        println!("leading with token {}", leadership.token());
        let why = leadership.guard(business()).await.unwrap_err();
        println!("lost: {why}");
    }
}

async fn business() -> std::convert::Infallible {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await; // the business
    }
}
