//! A worker whose writes carry its fencing token, so that a stale leader's write is refused.
//!
//! The store stands for any storage that keeps the highest token it has seen; here it is a file.
//! `cargo run -p elector --example fenced_worker -- 127.0.0.1:2181`

use std::fs;
use std::io;
use std::time::Duration;

use elector::Token;

/// Keeps one value and the token of whoever wrote it last.
struct Store(std::path::PathBuf);

impl Store {
    /// Writes, unless somebody with a higher token did before. A real store checks and writes in
    /// one transaction: `UPDATE … WHERE fence <= :token`.
    fn write(&self, token: Token, value: u64) -> io::Result<()> {
        let last = fs::read_to_string(&self.0).unwrap_or_default();
        let seen = last.split(' ').next().and_then(|text| text.parse().ok());
        if seen.is_some_and(|seen: Token| seen > token) {
            return Err(io::Error::other(format!("token {token} is stale: {last:?} was written")));
        }
        fs::write(&self.0, format!("{token} {value}"))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let servers = std::env::args().nth(1).unwrap_or("127.0.0.1:2181".to_owned());
    let store = Store(std::env::temp_dir().join("fenced-worker-example"));
    let elector = elector::connect(&servers, "/fenced-worker").await?;
    let leadership = elector.campaign().await?;
    println!("leading with token {}", leadership.token());
    for value in 0..5 {
        if !leadership.check() {
            break; // saves the refusal; the store would not take it either
        }
        store.write(leadership.token(), value)?;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    leadership.resign().await?;
    elector.close().await;
    println!("done");
    Ok(())
}
