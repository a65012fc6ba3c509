use super::super::words;
use super::*;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Three in their places, the first leading with token 7 since the start.
fn settled() -> (Story, Instant) {
    let start = Instant::now();
    let mut story = Story::new(start);
    lead(&mut story, 0, 7, start);
    for who in [1, 2] {
        story.hear(who, Said::Waiting, start);
    }
    assert!(story.is_settled());
    (story, start)
}

fn lead(story: &mut Story, who: usize, token: u64, at: Instant) {
    story.hear(who, Said::Leading { token }, at);
    story.hear(who, Said::Wrote { token }, at);
}

fn last(story: &Story) -> String {
    story.lines_from(0).0.next_back().expect("a line").text.clone()
}

#[test]
fn a_kill_counts_from_the_kill_to_the_next_terms_first_write() {
    let (mut story, start) = settled();
    story.struck(0, Blow::Kill, start + ms(1000));
    assert_eq!(story.leader(), None);
    assert_eq!(story.ahead(1), Some(1), "the dead one's session holds its place");
    // What was on its way counts as a write, and revives nobody.
    story.hear(0, Said::Wrote { token: 7 }, start + ms(1001));
    story.hear(0, Said::Waiting, start + ms(1001));
    assert_eq!(story.leader(), None);
    lead(&mut story, 1, 9, start + ms(3900));
    assert_eq!((story.leader(), story.ahead(2), story.ahead(0)), (Some(1), Some(1), None));
    assert_eq!(story.hand_overs, [HandOver { blow: Some(Blow::Kill), took: ms(2900) }]);
    assert_eq!(last(&story), "web2 leads with token 9, 2.90 s after web1 was killed");
    assert_eq!(story.due(start + ms(4999)), None);
    assert_eq!(story.due(start + ms(5000)), Some((0, Duty::Start)));
    story.started(0);
    story.hear(0, Said::Waiting, start + ms(5100));
    assert!(story.is_settled() && story.ahead(0) == Some(2));
}

#[test]
fn a_frozen_leaders_late_write_is_refused() {
    let (mut story, start) = settled();
    story.struck(0, Blow::Freeze, start);
    lead(&mut story, 1, 9, start + ms(3000));
    assert_eq!(story.due(start + FROZEN), Some((0, Duty::Resume)));
    story.resumed(0, start + FROZEN);
    story.hear(0, Said::Wrote { token: 7 }, start + FROZEN);
    assert_eq!(last(&story), "refused: web1 writes with token 7, but 9 was seen");
    story.hear(0, Said::Lost, start + FROZEN);
    assert_eq!(last(&story), "web1 learns that it lost: its program is dead, 1 late write refused");
    assert_eq!((story.leader(), story.storage.refused), (Some(1), 1));
}

#[test]
fn one_that_is_frozen_for_a_moment_leads_on_and_blames_nobody_later() {
    let (mut story, start) = settled();
    story.struck(0, Blow::Freeze, start);
    story.resumed(0, start + ms(500));
    assert_eq!(story.leader(), Some(0));
    assert!(last(&story).ends_with("goes on after 500 ms"), "{}", last(&story));
    story.hear(0, Said::Wrote { token: 7 }, start + ms(600));
    lead(&mut story, 1, 9, start + ms(1000));
    assert_eq!(story.hand_overs, [HandOver { blow: None, took: ms(400) }]);
    assert_eq!(last(&story), "web2 leads with token 9, 400 ms after the last write");
}

#[test]
fn a_planned_stop_ends_in_good_order_and_a_strange_end_is_told() {
    let (mut story, start) = settled();
    story.struck(0, Blow::Stop, start);
    story.hear(0, Said::Resigned, start + ms(5));
    // The program may be heard before the log.
    story.hear(1, Said::Wrote { token: 9 }, start + ms(9));
    assert_eq!(
        (story.leader(), last(&story).as_str()),
        (Some(1), "web2 leads with token 9, 9 ms after web1 was told to stop")
    );
    story.hear(1, Said::Enrolling, start + ms(10));
    story.hear(1, Said::Leading { token: 9 }, start + ms(10));
    assert_eq!(words::doing(&story, 1, start).1, "LEADS   with token 9, write 1");
    story.ended(0, Some(0), start + ms(10));
    assert!(last(&story).starts_with("web2"), "an end as planned needs no line");
    story.ended(2, Some(125), start + ms(11));
    assert_eq!(last(&story), "web3 ended by itself with 125");
    assert_eq!(story.due(start + ms(10) + AWAY), Some((0, Duty::Start)));
}

#[test]
fn what_is_remembered_has_bounds_and_lines_are_numbered_for_ever() {
    let (mut story, start) = settled();
    for token in 8..1000 {
        lead(&mut story, usize::from(token % 2 == 0), token, start);
    }
    assert_eq!((story.lines.len(), story.hand_overs.len()), (MAX_LINES, MAX_HAND_OVERS));
    let (lines, told) = story.lines_from(0);
    assert_eq!((lines.count(), told), (MAX_LINES, 3 + 992));
    let (lines, _) = story.lines_from(told - 2);
    assert_eq!(lines.count(), 2);
}
