//! Writes into the ensemble that holds the election, each only while the writer's term lasts.
//!
//! `cargo run -p elector --example guarded_write -- 127.0.0.1:2181`

use elector::{Leadership, Write, WriteError};

/// Notes the last invoice that was sent. [`Leadership::write`] puts a check of this term's znode in front, in one
/// transaction; nothing else is needed.
pub(crate) async fn note(leadership: &Leadership, last_invoice: u64) -> Result<(), WriteError> {
    let data = last_invoice.to_string().into_bytes();
    leadership.write(vec![Write::Set { path: "/last-invoice".into(), data, version: None }]).await
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let servers = std::env::args().nth(1).unwrap_or("127.0.0.1:2181".to_owned());
    let elector = elector::connect(&servers, "/billing").await?;
    let leadership = elector.campaign().await?;
    println!("leading with token {}", leadership.token());
    let made = vec![Write::Create { path: "/last-invoice".into(), data: Vec::new() }];
    match leadership.write(made).await {
        Ok(()) => println!("made /last-invoice"),
        Err(WriteError::Refused { .. }) => println!("/last-invoice is there"),
        Err(error) => return Err(error.into()),
    }
    for invoice in 1..=5 {
        note(&leadership, invoice).await?;
    }
    leadership.resign().await?;
    elector.close().await;
    Ok(())
}
