//! The answer as it looks, to the letter.

use super::*;
use crate::asking::{Scope, Unknown};

fn at(text: &str) -> Option<SystemTime> {
    Some(text.parse::<Timestamp>().expect("an instant").into())
}

fn term(token: &str, id: &str, from: &str, end: End) -> Term {
    Term {
        token: token.parse().expect("a token"),
        id: Some(id.into()),
        session: Some(0x0200_0a1b_2c3d_0004),
        from: at(from),
        until: None,
        led: None,
        containment: Some("cgroup".into()),
        end,
        nobody_led: None,
    }
}

fn told(how: How, detail: &str) -> End {
    End::Told { how, detail: detail.into() }
}

fn answer(terms: Vec<Term>) -> Answer<Seen> {
    let read = Read { server: "zk2:2181".into(), age: Duration::from_millis(4) };
    Answer {
        election: "/billing".into(),
        scope: Scope::Ensemble(3),
        at: "2026-11-22T11:31:00Z".parse().expect("an instant"),
        seen: Ok(Seen { terms, read }),
        warnings: Vec::new(),
    }
}

fn three() -> Vec<Term> {
    let length = |ms| Some(Duration::from_millis(ms));
    vec![
        term("4294967391", "web3:399", "2026-11-22T11:20:03.872Z", End::Leads),
        Term {
            until: at("2026-11-22T11:20:03.870Z"),
            led: length(7_561_757),
            nobody_led: length(2),
            ..term(
                "4294967388",
                "web2:4711",
                "2026-11-22T09:14:02.113Z",
                told(How::Resigned, "TERM received"),
            )
        },
        Term {
            led: length(40_330_000),
            nobody_led: length(10_850),
            ..term(
                "4294967310",
                "web1:812",
                "2026-11-21T22:01:40Z",
                told(How::SessionExpired, "machine or network"),
            )
        },
    ]
}

#[test]
fn people_see_a_table() {
    assert_eq!(
        answer(three()).text(),
        "TOKEN       LEADER     FROM (UTC)           LED FOR  ENDED BY                              NOBODY LED\n\
         4294967391  web3:399   2026-11-22 11:20:03  leads\n\
         4294967388  web2:4711  2026-11-22 09:14:02  2h 06m   resigned (TERM received)              2 ms\n\
         4294967310  web1:812   2026-11-21 22:01:40  11h 12m  session expired (machine or network)  10.8 s\n"
    );
}

#[test]
fn what_is_inferred_or_unknown_is_said_to_be() {
    let inferred = Term {
        led: Some(Duration::from_secs(40_330)),
        nobody_led: Some(Duration::from_secs(10)),
        ..term("7", "web1:812", "2026-11-21T22:01:40Z", End::Inferred)
    };
    let foreign = Term { from: None, ..term("6", "", "2026-11-21T22:01:40Z", End::NotRecorded) };
    let garbage = Term { id: None, from: None, ..term("5", "", "2026-11-21T22:01:40Z", End::Unreadable) };
    let text = answer(vec![inferred, foreign, garbage]).text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[1],
        "7      web1:812   2026-11-21 22:01:40  ~11h 12m  session expired (killed, machine or network)  ~10.0 s"
    );
    assert_eq!(lines[2], "6      (no name)  ?                    ?         not written down");
    assert_eq!(lines[3], "5      ?          ?                    ?         no record that can be read");
    assert!(lines[4].starts_with("~ inferred: "), "{text}");
}

#[test]
fn scripts_see_every_member_in_its_place() {
    let mut terms = three();
    terms.truncate(2);
    assert_eq!(
        answer(terms).json(),
        "{\"schema\":1,\"election\":\"/billing\",\"scope\":\"ensemble\",\"at\":\"2026-11-22T11:31:00.000Z\",\
         \"terms\":[{\"token\":\"4294967391\",\"id\":\"web3:399\",\"session\":\"0x2000a1b2c3d0004\",\
         \"from\":\"2026-11-22T11:20:03.872Z\",\"until\":null,\"led_ms\":null,\"ended\":null,\
         \"nobody_led_ms\":null,\"containment\":\"cgroup\"},\
         {\"token\":\"4294967388\",\"id\":\"web2:4711\",\"session\":\"0x2000a1b2c3d0004\",\
         \"from\":\"2026-11-22T09:14:02.113Z\",\"until\":\"2026-11-22T11:20:03.870Z\",\"led_ms\":7561757,\
         \"ended\":{\"how\":\"resigned\",\"detail\":\"TERM received\",\"inferred\":false},\
         \"nobody_led_ms\":2,\"containment\":\"cgroup\"}],\
         \"read\":{\"server\":\"zk2:2181\",\"synced\":true,\"age_ms\":4},\"warnings\":[]}\n"
    );
}

#[test]
fn nothing_written_and_nothing_known_are_told_apart() {
    let nothing = answer(Vec::new());
    let line = "/billing: no term is written down; elector run does that\n";
    assert_eq!((nothing.code(), nothing.text().as_str()), (0, line));
    let mut unknown = answer(Vec::new());
    unknown.seen = Err(Unknown { code: "unreachable", message: "no server reached".into() });
    assert_eq!((unknown.code(), unknown.text()), (4, "/billing: unknown: no server reached\n".into()));
    let value: serde_json::Value = serde_json::from_str(&unknown.json()).expect("JSON");
    assert_eq!((&value["error"]["code"], &value["terms"]), (&"unreachable".into(), &serde_json::json!([])));
}

/// Row W19.
#[test]
fn hostile_words_stay_one_harmless_line() {
    let hostile = "\u{1b}[31mx\n\u{9b}2J\"";
    let end = told(How::Other(hostile.into()), hostile);
    let answer = answer(vec![term("7", hostile, "2026-11-22T11:20:03Z", end)]);
    let text = answer.text();
    assert_eq!(text.lines().count(), 2);
    assert!(!text.contains('\u{1b}') && !text.contains('\u{9b}'), "{text}");
    let json = answer.json();
    assert!(!json.contains('\u{9b}') && json.lines().count() == 1);
    let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(value["terms"][0]["ended"]["detail"], hostile);
}
