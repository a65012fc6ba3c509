//! How an answer looks: lines for people, or one JSON object.
//!
//! Pure. Names of contenders are whatever those wrote, so they are escaped here.

use crate::asking::{Answer, Read, Scope, Tell};
use crate::exit;
use crate::json::{self, Object};
use crate::text::{escape, ordinal, session, shown_name, spaced};
use jiff::Timestamp;
use std::fmt::Write;
use std::time::Duration;

/// One contender, in the order of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Contender {
    pub(super) id: String,
    pub(super) token: String,
    pub(super) session: i64,
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) contenders: Vec<Contender>,
    /// The layout to which all contenders belong, if there is one.
    pub(super) layout: Option<String>,
    /// Where from; none where nobody is there to be read, which is how it is known that nobody leads.
    pub(super) read: Option<Read>,
    /// Of the leader, where somebody wrote it down.
    pub(super) term: Option<Term>,
}

/// What is written down about the leader's term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Term {
    /// When it began, by the servers' clock.
    pub(super) since: Timestamp,
    /// What holds the program's processes together.
    pub(super) containment: Option<String>,
}

impl Tell for Answer<Seen> {
    fn code(&self) -> u8 {
        match (&self.seen, self.leader()) {
            (Err(_), _) => exit::UNKNOWN,
            (Ok(_), None) => exit::VACANT,
            (Ok(_), Some(_)) => exit::OK,
        }
    }

    fn text(&self) -> String {
        let mut out = format!("{}: ", escape(&self.election));
        match (&self.seen, self.leader()) {
            (Err(unknown), _) => {
                out.push_str("unknown: ");
                out.push_str(&unknown.message);
                out.push('\n');
                return out;
            }
            (Ok(_), None) => out.push_str("nobody leads\n"),
            (Ok(_), Some(leader)) => {
                let led = self.led_for().map_or_else(String::new, |led| format!(", for {}", spaced(led)));
                let _ = writeln!(out, "led by {}, token {}{led}", shown_name(&leader.id), leader.token);
            }
        }
        if let Ok(seen) = &self.seen {
            self.queue(&mut out, seen);
        }
        out
    }

    fn json(&self) -> String {
        let seen = self.seen.as_ref().ok();
        let state = match (seen, self.leader()) {
            (None, _) => "unknown",
            (Some(_), None) => "vacant",
            (Some(_), Some(_)) => "led",
        };
        let leader = self.leader().map_or_else(
            || "null".into(),
            |leader| {
                let term = self.term();
                let since = term.map(|term| format!("{:.3}", term.since));
                Object::default()
                    .text("id", &leader.id)
                    .text("token", &leader.token)
                    .text("session", &session(leader.session))
                    .optional("since", since.as_deref())
                    .optional("containment", term.and_then(|term| term.containment.as_deref()))
                    .end()
            },
        );
        let contenders = seen.map_or(&[][..], |seen| &seen.contenders);
        let contenders = contenders.iter().enumerate().map(|(at, contender)| {
            Object::default()
                .text("id", &contender.id)
                .number("position", at as u64)
                .text("token", &contender.token)
                .text("session", &session(contender.session))
                .end()
        });
        let read = seen.and_then(|seen| seen.read.as_ref()).map_or_else(|| "null".into(), Read::json);
        let idle = self.idle();
        let warnings = self.warnings.iter().chain(&idle);
        let object = Object::default()
            .number("schema", 1)
            .text("election", &self.election)
            .text("state", state)
            .optional("layout", seen.and_then(|seen| seen.layout.as_deref()))
            .text("scope", self.scope.word())
            .text("at", &format!("{:.3}", self.at))
            .raw("leader", &leader)
            .raw("contenders", &json::array(contenders))
            .raw("read", &read)
            .raw("warnings", &json::array(warnings.map(|warning| json::text(warning))));
        let object = match &self.seen {
            Ok(_) => object,
            Err(unknown) => object.raw("error", &unknown.json()),
        };
        object.end() + "\n"
    }
}

impl Answer<Seen> {
    fn leader(&self) -> Option<&Contender> {
        self.seen.as_ref().ok().and_then(|seen| seen.contenders.first())
    }

    fn term(&self) -> Option<&Term> {
        self.seen.as_ref().ok().and_then(|seen| seen.term.as_ref())
    }

    /// By our clock and the servers'; nothing where these disagree about what comes first.
    fn led_for(&self) -> Option<Duration> {
        let since = self.term()?.since;
        Duration::try_from(self.at.duration_since(since)).ok()
    }

    fn queue(&self, out: &mut String, seen: &Seen) {
        let rows: Vec<[String; 3]> = seen
            .contenders
            .iter()
            .enumerate()
            .map(|(at, contender)| [ordinal(at + 1), shown_name(&contender.id), contender.token.clone()])
            .collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths = [width(0), width(1), width(2)];
        for (row, contender) in rows.iter().zip(&seen.contenders) {
            let [place, id, token] = row;
            let _ = writeln!(
                out,
                "  {place:<a$}  {id:<b$}  {token:<c$}  session {}",
                session(contender.session),
                a = widths[0],
                b = widths[1],
                c = widths[2],
            );
        }
        out.push_str(&self.source(seen));
        out.push('\n');
    }

    /// The last line: where all this is from, and how fresh it is.
    fn source(&self, seen: &Seen) -> String {
        let mut layout = seen.layout.as_ref().map_or_else(String::new, |layout| format!("; layout {layout}"));
        layout.push_str(match self.term().and_then(|term| term.containment.as_deref()) {
            Some("cgroup") => "; its program in a control group",
            Some("process-group") => "; its program in a process group",
            _ => "",
        });
        match (&self.scope, &seen.read) {
            (Scope::Local(_), None) => self.idle().unwrap_or_default(),
            (Scope::Local(directory), Some(read)) => {
                let age = read.age.as_millis();
                format!(
                    "this machine only, read from the host in {}, {age} ms ago{layout}",
                    escape(directory)
                )
            }
            (Scope::Ensemble(servers), read) => {
                let servers = if *servers == 1 { "1 server".into() } else { format!("{servers} servers") };
                let read = read.as_ref().map_or_else(String::new, |read| {
                    let age = read.age.as_millis();
                    format!(", read from {} after a sync, {age} ms ago", escape(&read.server))
                });
                format!("{servers} given{read}{layout}")
            }
        }
    }

    /// Said where nobody leads because nobody is there at all.
    fn idle(&self) -> Option<String> {
        match (&self.scope, &self.seen) {
            (Scope::Local(directory), Ok(Seen { read: None, .. })) => {
                Some(format!("nothing is running in {}", escape(directory)))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asking::Unknown;

    fn contender(id: &str, token: &str, session: i64) -> Contender {
        Contender { id: id.into(), token: token.into(), session }
    }

    fn answer(contenders: Vec<Contender>) -> Answer<Seen> {
        Answer {
            election: "/billing".into(),
            scope: Scope::Ensemble(3),
            at: "2026-11-22T11:17:41.204Z".parse().expect("an instant"),
            seen: Ok(Seen {
                term: None,
                layout: (!contenders.is_empty()).then(|| "latch".into()),
                contenders,
                read: Some(Read { server: "zk2:2181".into(), age: Duration::from_millis(4) }),
            }),
            warnings: Vec::new(),
        }
    }

    #[test]
    fn people_see_the_leader_the_queue_and_how_fresh_it_is() {
        let answer = answer(vec![
            contender("web2:4711", "4294967388", 0x0200_0a1b_2c3d_0004),
            contender("web3:399", "4294967391", 0x0300_0a1b_2c3d_0001),
        ]);
        assert_eq!(
            answer.text(),
            "/billing: led by web2:4711, token 4294967388\n  \
             1st  web2:4711  4294967388  session 0x2000a1b2c3d0004\n  \
             2nd  web3:399   4294967391  session 0x3000a1b2c3d0001\n\
             3 servers given, read from zk2:2181 after a sync, 4 ms ago; layout latch\n"
        );
        assert_eq!(answer.code(), 0);
    }

    #[test]
    fn scripts_see_the_same_with_every_member_in_its_place() {
        let answer = answer(vec![contender("web2:4711", "4294967388", 0x0200_0a1b_2c3d_0004)]);
        assert_eq!(
            answer.json(),
            "{\"schema\":1,\"election\":\"/billing\",\"state\":\"led\",\"layout\":\"latch\",\
             \"scope\":\"ensemble\",\"at\":\"2026-11-22T11:17:41.204Z\",\
             \"leader\":{\"id\":\"web2:4711\",\"token\":\"4294967388\",\
             \"session\":\"0x2000a1b2c3d0004\",\"since\":null,\"containment\":null},\
             \"contenders\":[{\"id\":\"web2:4711\",\"position\":0,\"token\":\"4294967388\",\
             \"session\":\"0x2000a1b2c3d0004\"}],\
             \"read\":{\"server\":\"zk2:2181\",\"synced\":true,\"age_ms\":4},\"warnings\":[]}\n"
        );
    }

    #[test]
    fn what_is_written_down_about_the_term_is_shown() {
        let mut answer = answer(vec![contender("web2:4711", "4294967388", 1)]);
        let since = "2026-11-22T09:14:02.113Z";
        let term = |containment: &str| {
            let since = since.parse().expect("an instant");
            Some(Term { since, containment: Some(containment.into()) })
        };
        if let Ok(seen) = &mut answer.seen {
            seen.term = term("cgroup");
        }
        let text = answer.text();
        assert!(text.starts_with("/billing: led by web2:4711, token 4294967388, for 2h 03m\n"), "{text}");
        assert!(text.ends_with("; layout latch; its program in a control group\n"), "{text}");
        let value: serde_json::Value = serde_json::from_str(&answer.json()).unwrap();
        assert_eq!(
            (&value["leader"]["since"], &value["leader"]["containment"]),
            (&since.into(), &"cgroup".into())
        );
        // A clock that is behind the servers' knows no duration, and a word of others is not shown.
        answer.at = "2026-11-22T09:00:00Z".parse().expect("an instant");
        if let Ok(seen) = &mut answer.seen {
            seen.term = term("\u{1b}[2J");
        }
        let text = answer.text();
        assert!(text.starts_with("/billing: led by web2:4711, token 4294967388\n"), "{text}");
        assert!(text.ends_with("; layout latch\n"), "{text}");
    }

    #[test]
    fn nobody_leads_and_not_known_are_told_apart() {
        let vacant = answer(Vec::new());
        assert_eq!((vacant.code(), vacant.text().lines().next()), (3, Some("/billing: nobody leads")));
        let value: serde_json::Value = serde_json::from_str(&vacant.json()).unwrap();
        assert_eq!((&value["state"], &value["leader"]), (&"vacant".into(), &serde_json::Value::Null));

        let mut unknown = answer(Vec::new());
        unknown.seen = Err(Unknown { code: "unreachable", message: "no server reached".into() });
        assert_eq!((unknown.code(), unknown.text()), (4, "/billing: unknown: no server reached\n".into()));
        let value: serde_json::Value = serde_json::from_str(&unknown.json()).unwrap();
        assert_eq!((&value["state"], &value["error"]["code"]), (&"unknown".into(), &"unreachable".into()));
        assert_eq!(value["read"], serde_json::Value::Null);
    }

    #[test]
    fn an_election_of_this_machine_says_so() {
        let mut local = answer(vec![contender("web2:4711", "1793452301", 7)]);
        local.scope = Scope::Local("/home/u/x".into());
        let last = local.text().lines().last().map(str::to_string);
        let expected = "this machine only, read from the host in /home/u/x, 4 ms ago; layout latch";
        assert_eq!(last.as_deref(), Some(expected));
        local.seen = Ok(Seen::default());
        assert_eq!(local.text(), "/billing: nobody leads\nnothing is running in /home/u/x\n");
        let value: serde_json::Value = serde_json::from_str(&local.json()).unwrap();
        assert_eq!((&value["scope"], &value["state"]), (&"local".into(), &"vacant".into()));
        assert_eq!((&value["read"], local.code()), (&serde_json::Value::Null, 3));
        assert_eq!(value["warnings"][0], "nothing is running in /home/u/x");
    }

    #[test]
    fn a_hostile_name_stays_one_harmless_cell() {
        let hostile = "\u{1b}[31mx\n\u{9b}2J\"";
        let answer = answer(vec![contender(hostile, "1", 1), contender("", "2", 2)]);
        let text = answer.text();
        assert_eq!(text.lines().count(), 4);
        assert!(!text.contains('\u{1b}') && !text.contains('\u{9b}') && text.contains("(no name)"));
        let json = answer.json();
        assert!(!json.contains('\u{9b}') && json.lines().count() == 1);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["leader"]["id"], hostile);
    }
}
