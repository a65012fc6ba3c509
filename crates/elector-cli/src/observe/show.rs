//! How a sighting looks: one line for people, or one JSON object.
//!
//! Pure. Names of contenders are whatever those wrote, so they are escaped here.

use crate::json::Object;
use crate::text::{escape, shown_name, spaced};
use elector::{ContenderInfo, Sighting, View};

/// Names are set so wide at most that tokens stand below each other; a longer one moves its own line only.
const MAX_WIDTH: usize = 40;

/// Remembers what the line before said, which the next one refers to.
#[derive(Debug)]
pub(super) struct Show {
    election: String,
    json: bool,
    colored: bool,
    /// The longest name so far.
    width: usize,
    before: Option<View>,
}

impl Show {
    pub(super) fn new(election: &str, json: bool, colored: bool) -> Show {
        Show { election: election.to_string(), json, colored, width: 0, before: None }
    }

    /// The line, with its end.
    pub(super) fn line(&mut self, sighting: &Sighting) -> String {
        let at =
            jiff::Timestamp::try_from(sighting.at).map_or_else(|_| String::new(), |at| format!("{at:.3}"));
        let line = if self.json { self.object(sighting, &at) } else { self.text(sighting, &at) };
        self.before = Some(sighting.view.clone());
        line + "\n"
    }

    fn object(&self, sighting: &Sighting, at: &str) -> String {
        let (event, leader) = match &sighting.view {
            View::Leader(leader) => ("leader", Some(leader)),
            View::Vacant { .. } => ("vacant", None),
            _ => ("unknown", None),
        };
        let leader = leader.map_or_else(
            || "null".to_string(),
            |leader| Object::default().text("id", &leader.id).text("token", &leader.token.to_string()).end(),
        );
        let object = Object::default()
            .number("schema", 1)
            .text("at", at)
            .text("election", &self.election)
            .text("event", event)
            .raw("leader", &leader)
            .raw("gap", if sighting.gap { "true" } else { "false" });
        match &sighting.view {
            View::Unknown { why } => object.text("reason", why).end(),
            _ => object.end(),
        }
    }

    fn text(&mut self, sighting: &Sighting, at: &str) -> String {
        let (event, color, what) = match &sighting.view {
            View::Leader(leader) => {
                let name = shown_name(&leader.id);
                self.width = self.width.max(name.chars().count()).min(MAX_WIDTH);
                ("leader", "32", format!("{name:<width$}  token {}", leader.token, width = self.width))
            }
            View::Vacant { gone: Some(gone), .. } => {
                ("vacant", "33", format!("{} gone", shown_name(&gone.id)))
            }
            View::Vacant { exists: true, .. } => ("vacant", "33", "nobody contends".to_string()),
            View::Vacant { exists: false, .. } => ("vacant", "33", "no such path".to_string()),
            View::Unknown { why } => ("unknown", "31", escape(why)),
            _ => ("unknown", "31", "something new".to_string()),
        };
        let event = match self.colored {
            true => format!("\u{1b}[{color}m{event:<7}\u{1b}[0m"),
            false => format!("{event:<7}"),
        };
        match self.remark(sighting) {
            Some(remark) => format!("{at}  {event}  {what}  ({remark})"),
            None => format!("{at}  {event}  {what}"),
        }
    }

    /// What the line says about the time since the one before.
    fn remark(&self, sighting: &Sighting) -> Option<String> {
        let missing = sighting.gap.then_some("changes may be missing");
        let since = match (&self.before, sighting.after) {
            (Some(View::Unknown { .. }), Some(after)) => Some(format!("not seen for {}", spaced(after))),
            (Some(View::Vacant { .. }), Some(after)) if is_led(&sighting.view) => {
                Some(format!("nobody for {}", spaced(after)))
            }
            _ => None,
        };
        match (since, missing) {
            (Some(since), Some(missing)) => Some(format!("{since}: {missing}")),
            (since, missing) => since.or_else(|| missing.map(str::to_string)),
        }
    }
}

fn is_led(view: &View) -> bool {
    matches!(view, View::Leader(ContenderInfo { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    fn leader(id: &str, token: &str) -> View {
        let token = token.parse().unwrap();
        View::Leader(ContenderInfo { id: id.into(), token, session: 1, name: String::new() })
    }

    fn gone(id: &str) -> View {
        let View::Leader(gone) = leader(id, "1") else { unreachable!() };
        View::Vacant { gone: Some(gone), exists: true }
    }

    fn sighting(ms: u64, view: View, gap: bool, after: Option<u64>) -> Sighting {
        let at = UNIX_EPOCH + Duration::from_millis(1_795_346_261_204 + ms);
        Sighting { at, view, gap, after: after.map(Duration::from_millis) }
    }

    /// The reference's own example.
    #[test]
    fn people_see_each_change_and_how_long_it_took() {
        let mut show = Show::new("/billing", false, false);
        let story = [
            sighting(0, leader("web2:4711", "4294967388"), false, None),
            sighting(142_666, gone("web2:4711"), false, Some(142_666)),
            sighting(142_668, leader("web3:399", "4294967391"), false, Some(2)),
            sighting(808_798, View::Unknown { why: "zk2:2181 lost".into() }, false, Some(666_130)),
            sighting(811_206, leader("web4:1", "4294967399"), true, Some(2408)),
            sighting(811_300, View::Unknown { why: "zk3:2181 lost".into() }, false, Some(94)),
            sighting(811_900, leader("web4:1", "4294967399"), false, Some(600)),
        ];
        let lines: String = story.iter().map(|sighting| show.line(sighting)).collect();
        assert_eq!(
            lines,
            "2026-11-22T11:17:41.204Z  leader   web2:4711  token 4294967388\n\
             2026-11-22T11:20:03.870Z  vacant   web2:4711 gone\n\
             2026-11-22T11:20:03.872Z  leader   web3:399   token 4294967391  (nobody for 2 ms)\n\
             2026-11-22T11:31:10.002Z  unknown  zk2:2181 lost\n\
             2026-11-22T11:31:12.410Z  leader   web4:1     token 4294967399  \
             (not seen for 2.4 s: changes may be missing)\n\
             2026-11-22T11:31:12.504Z  unknown  zk3:2181 lost\n\
             2026-11-22T11:31:13.104Z  leader   web4:1     token 4294967399  (not seen for 600 ms)\n"
        );
    }

    #[test]
    fn scripts_see_the_same_with_every_member_in_its_place() {
        let mut show = Show::new("/billing", true, false);
        assert_eq!(
            show.line(&sighting(142_668, leader("web3:399", "4294967391"), false, None)),
            "{\"schema\":1,\"at\":\"2026-11-22T11:20:03.872Z\",\"election\":\"/billing\",\"event\":\"leader\",\
             \"leader\":{\"id\":\"web3:399\",\"token\":\"4294967391\"},\"gap\":false}\n"
        );
        let vacant = show.line(&sighting(0, gone("x"), true, Some(1)));
        assert!(vacant.ends_with("\"event\":\"vacant\",\"leader\":null,\"gap\":true}\n"), "{vacant}");
        let unknown = show.line(&sighting(0, View::Unknown { why: "zk2:2181 lost".into() }, false, Some(1)));
        let end = "\"event\":\"unknown\",\"leader\":null,\"gap\":false,\"reason\":\"zk2:2181 lost\"}\n";
        assert!(unknown.ends_with(end), "{unknown}");
    }

    #[test]
    fn a_hostile_name_stays_within_its_line() {
        let mut show = Show::new("/billing", false, false);
        let hostile = leader(&format!("\u{1b}[2J\n{}", "x".repeat(100_000)), "7");
        let line = show.line(&sighting(0, hostile, false, None));
        assert!(line.len() < 400 && line.matches('\n').count() == 1 && !line.contains('\u{1b}'), "{line}");
        let line = show.line(&sighting(0, leader("", "8"), true, Some(1)));
        assert!(line.contains("leader   (no name)") && line.ends_with("token 8  (changes may be missing)\n"));
    }
}
