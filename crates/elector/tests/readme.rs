//! The README's Rust is what compiles here, and the test that it shows is run.

/// Both as they stand, to be compared.
const README: &str = include_str!("../../../README.md");
const HERE: &str = include_str!("readme.rs");
const LIBRARY: &str = include_str!("../src/lib.rs");

/// As the README shows it: with a `main` that nobody calls here.
#[allow(dead_code)]
#[rustfmt::skip]
mod the_library {
    async fn bill(_token: elector::Token) {}

    #[tokio::main]
    async fn main() -> Result<(), Box<dyn std::error::Error>> {
        let elector = elector::connect("zk1:2181,zk2:2181,zk3:2181", "/billing").await?;
        loop {
            let leadership = elector.campaign().await?; // waits its turn
            match leadership.guard(bill(leadership.token())).await { // dropped when the lease ends
                Ok(()) => return Ok(leadership.resign().await?),
                Err(lost) => eprintln!("no longer leading: {lost}"), // contend again
            }
        }
    }
}

#[rustfmt::skip]
mod a_test {
    #[tokio::test]
    async fn one_leads() -> Result<(), Box<dyn std::error::Error>> {
        let server = zk_embedded::testing::TestServer::start()?; // a ZooKeeper server in this process, in a millisecond
        let elector = elector::connect(&server.connect_string(), "/billing").await?;
        assert!(elector.campaign().await?.check());
        Ok(())
    }
}

/// The lines without what depends on where they stand.
fn plain(text: &str) -> String {
    let lines = text.lines().map(|line| line.trim_start().trim_start_matches("//! ").trim());
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_readme_shows_what_compiles_here() {
    let blocks: Vec<String> = README
        .split("```rust\n")
        .skip(1)
        .map(|rest| plain(rest.split("```").next().unwrap_or_default()))
        .collect();
    assert_eq!(blocks.len(), 2, "a block that is not compiled here, or none");
    for block in &blocks {
        assert!(plain(HERE).contains(block), "differs from what compiles here:\n{block}");
    }
    assert!(plain(LIBRARY).contains(&blocks[0]), "differs from the library's own page:\n{}", blocks[0]);
}
