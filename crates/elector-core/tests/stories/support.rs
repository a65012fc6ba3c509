//! A candidate under a microscope: verbs that feed it, and text lines for what it does.

use std::collections::BTreeMap;
use std::time::Duration;

use elector_core::{
    Answer, Candidate, Change, Entropy, Input, Layout, Margins, Moment, OnDisconnect, Output, Refusal,
    Request, RequestId, SessionEnd,
};

pub(crate) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(crate) struct Story {
    pub(crate) candidate: Candidate,
    pub(crate) now: u64,
    pub(crate) connection: u64,
    pub(crate) session: i64,
    pub(crate) timeout: u64,
    /// Requests on the present connection without an answer, and when they went out.
    asked: BTreeMap<RequestId, (Request, u64)>,
    /// The stems of our creates, in the order in which they were sent: A, B, C...
    stems: Vec<String>,
    heard: Vec<String>,
    transcript: Vec<String>,
    in_batch: bool,
    /// Shows the read of the one ahead, instead of answering it without a word.
    pub(crate) shows_look_ahead: bool,
}

impl Story {
    /// Layout latch, T = 10 s, no graces: Δ = 2.75 s, P = 933 ms, D_safe = D_term = base + 9.8 s.
    pub(crate) fn new() -> Story {
        Story::with(Layout::Latch, Margins::default(), OnDisconnect::Hold)
    }

    pub(crate) fn with(layout: Layout, margins: Margins, on_disconnect: OnDisconnect) -> Story {
        // Multiples that make every jitter zero, and yet every guid another one.
        let mut drawn = 0;
        let entropy = Entropy::new(move || {
            drawn += 21_000;
            drawn
        });
        Story {
            candidate: Candidate::new(layout, ms(10_000), margins, on_disconnect, entropy),
            now: 0,
            connection: 0,
            session: 0x51,
            timeout: 10_000,
            asked: BTreeMap::new(),
            stems: Vec::new(),
            heard: Vec::new(),
            transcript: Vec::new(),
            in_batch: false,
            shows_look_ahead: false,
        }
    }

    // Where most stories begin.

    /// Campaigning on a fresh session, and the survey is under way. Connected at 0, now 10.
    pub(crate) fn surveying() -> Story {
        let mut c = Story::new();
        c.campaign();
        c.attach();
        c.restored();
        c.says(&["list"]);
        c
    }

    /// Our create (`A`) is under way. Others were there, or it would expect to be alone.
    pub(crate) fn creating() -> Story {
        let mut c = Story::surveying();
        c.listed("o0");
        c.says(&["create A"]);
        c
    }

    /// Enrolled as `A<number>`, czxid = 100 + number, behind `ahead`; watches are set.
    pub(crate) fn enrolled(ahead: &str, number: u32) -> Story {
        let mut c = Story::creating();
        let own = format!("A{number}");
        c.created(&own, 100 + i64::from(number));
        c.says(&["list"]);
        c.listed(&format!("{ahead} {own}"));
        c.done("watch");
        c.heard.clear();
        c
    }

    /// Alone, as A3, and leading with token 103; its first probe is under way.
    pub(crate) fn leading() -> Story {
        let mut c = Story::enrolled("", 3);
        if c.asks("probe") {
            c.done("probe"); // the one for becoming near
        }
        assert!(c.candidate.deadlines().is_some(), "{}", c.told());
        c.heard.clear();
        c
    }

    // What it is told.

    pub(crate) fn at(&mut self, ms: u64) -> &mut Story {
        assert!(ms >= self.now, "time goes forward: {} after {}", ms, self.now);
        self.now = ms;
        self
    }

    /// One input, and the outputs into the transcript.
    pub(crate) fn tell(&mut self, input: Input) {
        let woken = matches!(input, Input::Wake);
        let drained = !self.in_batch && !matches!(input, Input::Drained | Input::Wake);
        self.transcript.push(format!("{:>8.3} < {input:?}", self.now as f64 / 1_000.0));
        self.candidate.step(moment(self.now), input);
        self.collect();
        // A driver that obeyed this would spin.
        let overdue =
            woken && self.candidate.next_wake(moment(self.now)).is_some_and(|at| at <= moment(self.now));
        assert!(!overdue, "it asks to be woken for what it has just not done\n{}", self.told());
        if drained {
            self.tell(Input::Drained);
        }
    }

    /// Everything told inside comes with one read of the socket.
    pub(crate) fn batch(&mut self, told: impl FnOnce(&mut Story)) {
        self.in_batch = true;
        told(self);
        self.in_batch = false;
        self.tell(Input::Drained);
    }

    pub(crate) fn campaign(&mut self) {
        self.tell(Input::Campaign);
    }

    pub(crate) fn withdraw(&mut self) {
        self.tell(Input::Withdraw);
    }

    pub(crate) fn wake(&mut self) {
        self.tell(Input::Wake);
    }

    /// A new connection whose ConnectRequest went out now; it takes 10 ms.
    pub(crate) fn attach(&mut self) {
        self.attach_again(false);
    }

    /// The same, and perhaps to a server that had just closed the connection before.
    pub(crate) fn attach_again(&mut self, taken_back: bool) {
        self.connection += 1;
        let connect_sent = moment(self.now);
        self.now += 10;
        self.tell(Input::Attached {
            connection: self.connection,
            session: self.session,
            timeout: ms(self.timeout),
            connect_sent,
            taken_back,
        });
    }

    pub(crate) fn restored(&mut self) {
        self.tell(Input::Restored { connection: self.connection });
    }

    /// A fresh session on a fresh connection, ready for requests.
    pub(crate) fn new_session(&mut self, session: i64) {
        self.session = session;
        self.attach();
        self.restored();
    }

    /// The connection is lost; whatever was asked may have happened.
    pub(crate) fn lose_connection(&mut self) {
        self.detach(true);
    }

    pub(crate) fn detach(&mut self, sent: bool) {
        let was_in_batch = std::mem::replace(&mut self.in_batch, true);
        for (id, _) in std::mem::take(&mut self.asked) {
            self.tell(Input::Unanswered { id, sent });
        }
        self.in_batch = was_in_batch;
        self.tell(Input::Detached);
    }

    pub(crate) fn session_ended(&mut self, end: SessionEnd) {
        self.asked.clear();
        self.tell(Input::SessionEnded(end));
    }

    pub(crate) fn deleted(&mut self, name: &str) {
        let name = self.real(name);
        self.tell(Input::Event { name, change: Change::Deleted });
    }

    pub(crate) fn touched(&mut self, name: &str) {
        let name = self.real(name);
        self.tell(Input::Event { name, change: Change::Touched });
    }

    /// A ping that went out at `sent` is answered now.
    pub(crate) fn pong(&mut self, sent: u64) {
        let now = moment(self.now);
        self.tell(Input::Pong { connection: self.connection, sent: moment(sent), received: now });
    }

    // Answers to what it asked; the request is named by the beginning of its line.

    pub(crate) fn reply(&mut self, asked: &str, outcome: Result<Answer, Refusal>) {
        let found = self.asked.iter().find(|(_, (request, _))| self.line(request).starts_with(asked));
        let Some((&id, &(_, sent))) = found else { panic!("nobody asked {asked:?}\n{}", self.told()) };
        self.asked.remove(&id);
        let (sent, received) = (moment(sent), moment(self.now));
        self.tell(Input::Reply { id, connection: self.connection, sent, received, outcome });
    }

    pub(crate) fn done(&mut self, asked: &str) {
        self.reply(asked, Ok(Answer::Done));
    }

    /// The znodes of whose end it asks to be told before others are.
    pub(crate) fn told_first(&self) -> Vec<String> {
        let nearest = self.asked.values().filter_map(|(request, _)| match request {
            Request::Watch { nearest, .. } => nearest.as_deref(),
            _ => None,
        });
        nearest.map(|name| self.label(name)).collect()
    }

    pub(crate) fn refuse(&mut self, asked: &str, refusal: Refusal) {
        self.reply(asked, Err(refusal));
    }

    pub(crate) fn created(&mut self, name: &str, czxid: i64) {
        let (name, owner) = (self.real(name), self.session);
        self.reply("create", Ok(Answer::Created { name, czxid, owner }));
    }

    /// Answers `list` or `audit` with these children.
    pub(crate) fn listed(&mut self, children: &str) {
        let asked = if self.asks("audit") { "audit" } else { "list" };
        let children = children.split_whitespace().map(|name| self.real(name)).collect();
        self.reply(asked, Ok(Answer::Listed(children)));
    }

    pub(crate) fn node(&mut self, asked: &str, czxid: i64, owner: i64) {
        self.reply(asked, Ok(Answer::Node { czxid, owner }));
    }

    /// Goes on until `end`: wakes it when it asked to be woken and answers its probes 5 ms later.
    pub(crate) fn answering_probes_until(&mut self, end: u64) {
        loop {
            if self.asks("probe") {
                self.at(self.now + 5).done("probe");
            }
            match self.wakes_at() {
                Some(at) if at <= end => {
                    self.at(at.max(self.now));
                    self.wake();
                }
                _ => break,
            }
            assert!(self.transcript.len() < 20_000, "it never rests");
        }
        self.at(end.max(self.now));
    }

    // What it does.

    /// Everything that it did since the last look, line by line.
    #[track_caller]
    pub(crate) fn says(&mut self, expected: &[&str]) {
        let heard = std::mem::take(&mut self.heard);
        assert!(heard == expected, "expected {expected:#?}\n   heard {heard:#?}\n{}", self.told());
    }

    /// The same, for outputs that belong to another story.
    pub(crate) fn skip(&mut self) {
        self.heard.clear();
    }

    /// What it did since the last look, without its probes.
    #[track_caller]
    pub(crate) fn says_besides_probes(&mut self, expected: &[&str]) {
        self.heard.retain(|line| !line.starts_with("probe"));
        self.says(expected);
    }

    /// How many probes it sent since the last look.
    pub(crate) fn probes(&mut self) -> usize {
        std::mem::take(&mut self.heard).iter().filter(|line| line.starts_with("probe")).count()
    }

    /// Whether a request that begins so is without an answer.
    pub(crate) fn asks(&self, line: &str) -> bool {
        self.asked.values().any(|(request, _)| self.line(request).starts_with(line))
    }

    pub(crate) fn wakes_at(&self) -> Option<u64> {
        let at = self.candidate.next_wake(moment(self.now))?;
        Some(at.since_origin().as_micros().div_ceil(1_000) as u64)
    }

    /// D_term and D_safe.
    pub(crate) fn deadlines(&self) -> Option<(u64, u64)> {
        let ms = |m: Moment| m.since_origin().as_millis() as u64;
        self.candidate.deadlines().map(|d| (ms(d.term), ms(d.safe)))
    }

    /// The name on the wire of the znode that the stories call `label`; other names stand for
    /// themselves.
    pub(crate) fn real(&self, label: &str) -> String {
        let letters = label.trim_end_matches(|c: char| c.is_ascii_digit());
        let Ok(number) = label[letters.len()..].parse::<u64>() else { return label.to_owned() };
        match letters.as_bytes() {
            [own @ b'A'..=b'Z'] => format!("{}{number:010}", self.stems[usize::from(own - b'A')]),
            [b'a'..=b'z'] => format!("_c_{letters}-latch-{number:010}"),
            _ => label.to_owned(),
        }
    }

    /// The stem of our `label`th create, as it went out.
    pub(crate) fn stem(&self, label: char) -> &str {
        &self.stems[label as usize - 'A' as usize]
    }

    /// The read of the one ahead, once in a session, which only the story about it wants to see.
    fn is_look_ahead(&self, request: &Request) -> bool {
        let Request::Read { name, watch: false } = request else { return false };
        !self.shows_look_ahead && self.label(name).starts_with(char::is_lowercase)
    }

    fn collect(&mut self) {
        let mut ahead = None;
        while let Some(output) = self.candidate.next_output() {
            if let Output::Send(id, request) = &output {
                if self.is_look_ahead(request) {
                    ahead = Some(*id);
                    continue;
                }
                if let Request::Create { name } = request {
                    self.stems.push(name.clone());
                }
                self.asked.insert(*id, (request.clone(), self.now));
            }
            let line = match &output {
                Output::Send(_, request) => self.line(request),
                Output::Lead { token } => format!("LEAD {token}"),
                Output::Stopping { token, why } => format!("STOPPING {token}: {why}"),
                Output::Lost { token, why } => format!("LOST {token}: {why}"),
                Output::GiveUpConnection => "give up the connection".to_owned(),
                Output::CloseSession => "close the session".to_owned(),
                Output::Left => "left".to_owned(),
                Output::Fail(error) => format!("FAIL: {error}"),
                Output::Warn(warning) => format!("warn: {warning}"),
            };
            self.transcript.push(format!("{:>8.3}   > {line}", self.now as f64 / 1_000.0));
            self.heard.push(line);
        }
        if let Some(id) = ahead {
            let (sent, received) = (moment(self.now), moment(self.now));
            let outcome = Ok(Answer::Node { czxid: 1, owner: 1 });
            // On no connection of ours, so that no lease builds on it.
            let answer = Input::Reply { id, connection: u64::MAX, sent, received, outcome };
            self.candidate.step(received, answer);
            self.collect();
        }
    }

    fn line(&self, request: &Request) -> String {
        match request {
            Request::EnsureParents => "ensure parents".to_owned(),
            Request::Create { name } => format!("create {}", self.label(name)),
            Request::List { audit: false } => "list".to_owned(),
            Request::List { audit: true } => "audit".to_owned(),
            Request::Sync => "sync".to_owned(),
            Request::Watch { nearest, others } => {
                let names: Vec<_> = nearest.iter().chain(others).map(|name| self.label(name)).collect();
                format!("watch {}", names.join(" "))
            }
            Request::Read { name, watch: true } => format!("read {} watching", self.label(name)),
            Request::Read { name, watch: false } => format!("read {}", self.label(name)),
            Request::Probe { name } => format!("probe {}", self.label(name)),
            Request::Delete { name } => format!("delete {}", self.label(name)),
        }
    }

    fn label(&self, name: &str) -> String {
        if name.is_empty() {
            return "the znode".to_owned();
        }
        let letter = |i: usize| char::from(b'A' + i as u8);
        for (i, stem) in self.stems.iter().enumerate().filter(|(_, stem)| !stem.is_empty()) {
            if let Some(number) = name.strip_prefix(stem.as_str()) {
                return format!("{}{}", letter(i), number.trim_start_matches('0'));
            }
        }
        match name.strip_prefix("_c_").and_then(|rest| rest.split_once("-latch-")) {
            Some((who, number)) => format!("{who}{}", number.trim_start_matches('0')),
            None => name.to_owned(),
        }
    }

    fn told(&self) -> String {
        let from = self.transcript.len().saturating_sub(60);
        format!("the story so far:\n{}", self.transcript[from..].join("\n"))
    }
}

pub(crate) fn moment(at: u64) -> Moment {
    Moment::from_origin(ms(at))
}
