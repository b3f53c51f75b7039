//! The page of logs over the wire: its headers, its assets, the stream of rows, and calls from a browser. What a browser
//! makes of them is in `browser/`.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod support;

use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use support::{DEADLINE, Daemon, Raw, request, until};

/// Head and body of an answer.
fn get(daemon: &Daemon, path: &str, headers: &str) -> (u16, BTreeMap<String, String>, String) {
    let mut stream = TcpStream::connect(daemon.address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let text =
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(text.as_bytes()).unwrap();
    let mut reader = BufReader::new(stream);
    let (status, head) = head(&mut reader);
    let mut body = Vec::new();
    std::io::Read::read_to_end(&mut reader, &mut body).unwrap();
    (status, head, String::from_utf8_lossy(&body).into_owned())
}

fn head(reader: &mut impl BufRead) -> (u16, BTreeMap<String, String>) {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).unwrap().parse().unwrap();
    let mut head = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            return (status, head);
        };
        head.insert(name.to_lowercase(), value.to_owned());
    }
}

/// A reader of server-sent events that remembers the last id, as browsers do.
struct Follower {
    lines: BufReader<TcpStream>,
    last_id: Option<u64>,
}

impl Follower {
    fn open(address: SocketAddr, query: &str, last_id: Option<u64>) -> Follower {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let known = last_id.map_or(String::new(), |id| format!("Last-Event-ID: {id}\r\n"));
        let text =
            format!("GET /audio/api/logs/stream{query} HTTP/1.1\r\nHost: localhost\r\n{known}\r\n");
        stream.write_all(text.as_bytes()).unwrap();
        let mut lines = BufReader::new(stream);
        let (status, head) = head(&mut lines);
        assert_eq!(status, 200);
        assert!(
            head["content-type"].starts_with("text/event-stream"),
            "{head:?}"
        );
        Follower { lines, last_id }
    }

    /// The next event's name and data.
    fn next(&mut self) -> (String, Value) {
        let mut name = String::new();
        loop {
            let mut line = String::new();
            assert!(
                self.lines.read_line(&mut line).unwrap() > 0,
                "the stream ended"
            );
            if let Some(id) = line.strip_prefix("id: ") {
                self.last_id = Some(id.trim().parse().unwrap());
            } else if let Some(event) = line.strip_prefix("event: ") {
                event.trim().clone_into(&mut name);
            } else if let Some(data) = line.strip_prefix("data: ") {
                return (name, serde_json::from_str(data).unwrap());
            }
        }
    }

    fn next_row(&mut self) -> Value {
        loop {
            let (name, data) = self.next();
            if name == "row" {
                return data;
            }
        }
    }
}

/// Makes one row, `call_opened`, of a call with this number.
fn ring(daemon: &Daemon, number: usize) -> String {
    let sid = format!("CA{number:032}");
    let (status, body) = daemon.webhook("/twilio/stream/", &sid, "+15550101");
    assert_eq!(status, 200, "{body}");
    sid
}

const MORE_CALLS: &str = "[limits]\ncalls_per_caller = 1000\n";

#[test]
fn a_reader_that_comes_back_has_no_gap_and_nothing_twice() {
    let daemon = Daemon::start(MORE_CALLS);
    let mut follower = Follower::open(daemon.address, "?after=0", None);
    let mut told = Vec::new();
    for round in 0..10 {
        for number in 0..5 {
            ring(&daemon, round * 5 + number);
        }
        // Cut in the middle of what is told: the rest comes to the next stream.
        for _ in 0..3 {
            told.push(follower.next_row());
        }
        follower = Follower::open(daemon.address, "?after=0", follower.last_id);
    }
    while told.len() < 50 {
        told.push(follower.next_row());
    }
    let sids: Vec<&str> = told
        .iter()
        .map(|row| row["twilio_sid"].as_str().unwrap())
        .collect();
    let wanted: Vec<String> = (0..50).map(|number| format!("CA{number:032}")).collect();
    assert_eq!(sids, wanted);
    let ids: Vec<u64> = told.iter().map(|row| row["id"].as_u64().unwrap()).collect();
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "{ids:?}");
}

#[test]
fn a_stream_tells_what_its_filter_asks_for_and_how_the_configuration_stands() {
    let daemon = Daemon::start(MORE_CALLS);
    let wanted = format!("CA{:032}", 7);
    let mut follower = Follower::open(daemon.address, &format!("?call={wanted}"), None);
    let (name, standing) = follower.next();
    assert_eq!(
        (name.as_str(), &standing["error"]),
        ("configuration", &Value::Null)
    );
    for number in 0..10 {
        ring(&daemon, number);
    }
    assert_eq!(follower.next_row()["twilio_sid"], wanted.as_str());
    assert_eq!(daemon.get("/audio/api/logs/stream?from=yesterday").0, 400);
}

#[test]
fn events_are_found_by_text_and_time_and_error() {
    let daemon = Daemon::start(MORE_CALLS);
    let sid = ring(&daemon, 3);
    let rows = |query: &str| {
        let logs = daemon.json(&format!("/audio/api/logs/?{query}"));
        logs["logs"].as_array().unwrap().len()
    };
    until("the row is there", || {
        (rows(&format!("call={sid}")) == 1).then_some(())
    });
    assert_eq!(rows("text=CALL_OPEN"), 1);
    assert_eq!(rows("text=nowhere"), 0);
    assert_eq!(rows("errors=1"), 0);
    assert_eq!(rows("from=2020-01-01"), 1);
    assert_eq!(rows("until=2020-01-01"), 0);
    assert_eq!(daemon.get("/audio/api/logs/?until=soon").0, 400);
}

#[test]
fn a_page_and_all_it_loads_are_served_with_their_headers() {
    let daemon = Daemon::start("");
    let (status, head, page) = get(&daemon, "/audio/logs/", "Accept-Language: es\r\n");
    assert_eq!(status, 200);
    assert!(head["content-security-policy"].contains("require-trusted-types-for 'script'"));
    assert!(head["permissions-policy"].contains("microphone=(self)"));
    assert!(page.contains("<h1 id=\"title\">Historial de logs de audio</h1>"));
    let loaded: Vec<&str> = page
        .split('"')
        .filter(|text| text.starts_with("/assets/"))
        .collect();
    assert!(loaded.len() >= 4, "{loaded:?}");
    for path in loaded {
        let (status, head, _) = get(&daemon, path, "");
        assert_eq!(status, 200, "{path}");
        assert!(head["cache-control"].contains("immutable"), "{path}");
    }
    let (status, head, _) = get(&daemon, "/", "");
    assert_eq!((status, head["location"].as_str()), (303, "/audio/logs/"));
}

#[test]
fn strangers_get_neither_page_nor_stream_nor_call() {
    let daemon = Daemon::start("");
    for (method, path) in [
        ("GET", "/audio/logs/"),
        ("GET", "/audio/api/logs/stream"),
        ("POST", "/audio/api/call/"),
    ] {
        for headers in [
            "Host: evil.example\r\n",
            "Host: localhost\r\nX-Forwarded-For: 192.0.2.1\r\n",
        ] {
            let text = format!(
                "{method} {path} HTTP/1.1\r\n{headers}Connection: close\r\nContent-Length: 0\r\n\r\n"
            );
            let (status, body) = request(daemon.address, &text);
            assert_eq!(status, 403, "{path} {headers}: {body}");
        }
    }
}

/// What a page of ours sends to start a call; further headers.
fn web_call(daemon: &Daemon, headers: &str) -> (u16, Value) {
    let text = format!(
        "POST /audio/api/call/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n{headers}\r\n"
    );
    let (status, body) = request(daemon.address, &text);
    (status, serde_json::from_str(&body).unwrap())
}

#[test]
fn a_call_from_a_browser_is_a_call_like_any_other() {
    let daemon = Daemon::start("");
    let (status, admitted) = web_call(&daemon, "Origin: http://localhost\r\n");
    assert_eq!(status, 200, "{admitted}");
    let sid = admitted["call_sid"].as_str().unwrap();
    let token = admitted["token"].as_str().unwrap();
    assert!(sid.starts_with("WEB") && sid.len() == 35, "{sid}");
    let mut raw = Raw::open(&daemon);
    raw.start(sid, token);
    let (_, sound) = raw.next().unwrap();
    assert!(
        String::from_utf8(sound)
            .unwrap()
            .contains("\"event\":\"media\""),
        "no greeting"
    );
    raw.stop();
    let mut closes = 0;
    while let Some((opcode, payload)) = raw.next() {
        if opcode == 8 {
            closes += 1;
            raw.frame(0x88, &payload);
        }
    }
    assert_eq!(closes, 1, "browsers take a second close for an error");
    let call = until("the call is closed", || {
        let call = daemon.json(&format!("/api/calls/{sid}/"));
        (call["status"] == "completed").then_some(call)
    });
    assert_eq!(call["direction"], "web");
    assert_eq!(call["from_number"], "web:127.0.0.1");
    let mut again = Raw::open(&daemon);
    again.start(sid, token);
    assert_eq!(again.close_code(), Some(1008), "a token opens one stream");
}

/// What a page asks when this stream of its call is over.
fn after(daemon: &Daemon, sid: &str, stream: u32, token: &str, headers: &str) -> (u16, Value) {
    let text = format!(
        "POST /audio/api/call/{sid}/resume/{stream}/?token={token} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n{headers}\r\n"
    );
    let (status, body) = request(daemon.address, &text);
    (status, serde_json::from_str(&body).unwrap())
}

/// A call from a browser whose greeting has begun and whose connection then broke; its name and its token.
fn broken_call(daemon: &Daemon) -> (String, String) {
    let (_, admitted) = web_call(daemon, "Origin: http://localhost\r\n");
    let text = |key: &str| admitted[key].as_str().unwrap().to_owned();
    let (sid, token) = (text("call_sid"), text("token"));
    let mut raw = Raw::open_at(daemon, &text("path"));
    raw.start(&sid, &token);
    raw.next().expect("no greeting");
    drop(raw);
    (sid, token)
}

#[test]
fn a_call_from_a_browser_goes_on_after_its_connection_broke() {
    let daemon = Daemon::start("");
    let (sid, token) = broken_call(&daemon);
    until("the call is away", || {
        let rows = daemon.json(&format!("/audio/api/logs/?event=departed&call={sid}"));
        (!rows["logs"].as_array().unwrap().is_empty()).then_some(())
    });
    let stranger = "00112233445566778899aabbccddeeff";
    assert_eq!(after(&daemon, &sid, 1, stranger, "").0, 404, "not its own");
    assert_eq!(after(&daemon, "WEB1", 1, &token, "").0, 404, "another call");
    let foreign = "Origin: https://evil.example\r\n";
    assert_eq!(after(&daemon, &sid, 1, &token, foreign).0, 403);

    let (status, ticket) = after(&daemon, &sid, 1, &token, "");
    assert_eq!((status, &ticket["stream"]), (200, &2.into()), "{ticket}");
    assert_eq!(after(&daemon, &sid, 1, &token, "").1, ticket, "asked twice");
    let second = ticket["token"].as_str().unwrap();
    let mut raw = Raw::open_at(&daemon, ticket["path"].as_str().unwrap());
    raw.stream_sid = "MZ2".into();
    raw.start(&sid, second);
    let (_, sound) = raw.next().unwrap();
    assert!(
        String::from_utf8(sound).unwrap().contains("MZ2"),
        "the agent does not speak on"
    );
    raw.stop();
    raw.close_code();
    assert_eq!(after(&daemon, &sid, 2, second, "").1["then"], "over");
    until("the call is closed", || {
        let call = daemon.json(&format!("/api/calls/{sid}/"));
        (call["ended_reason"] == "caller_hung_up").then_some(())
    });
}

#[test]
fn a_call_from_a_browser_that_nobody_waits_for_is_over() {
    let daemon = Daemon::start("[limits]\nreturn_secs = 0\n");
    let (sid, token) = broken_call(&daemon);
    until("the call is closed", || {
        let call = daemon.json(&format!("/api/calls/{sid}/"));
        (call["ended_reason"] == "stream_lost").then_some(())
    });
    assert_eq!(after(&daemon, &sid, 1, &token, "").1["then"], "fault");
}

#[test]
fn pages_of_other_sites_start_no_call() {
    let daemon = Daemon::start("");
    for headers in [
        "Origin: https://evil.example\r\n",
        "Origin: null\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
    ] {
        assert_eq!(web_call(&daemon, headers).0, 403, "{headers}");
    }
    assert_eq!(daemon.json("/api/calls/")["calls"], serde_json::json!([]));
}

#[test]
fn calls_from_one_address_are_bounded_and_the_page_is_told_why() {
    let daemon = Daemon::start("[limits]\ncalls_per_caller = 2\n");
    for _ in 0..2 {
        assert_eq!(web_call(&daemon, "").0, 200);
    }
    let (status, problem) = web_call(&daemon, "");
    assert_eq!(status, 503);
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("limits.calls_per_caller")
    );
}

#[test]
fn where_carriers_sign_a_page_brings_the_token_of_its_own_call() {
    let daemon = Daemon::start("[twilio]\nauth_token = \"12345\"\n");
    let (_, admitted) = web_call(&daemon, "Origin: http://localhost\r\n");
    let path = admitted["path"].as_str().unwrap();
    let upgrade = |path: &str, origin: &str| {
        let text = Raw::handshake(origin).replace("/ws/audio/stream/", path);
        let mut stream = TcpStream::connect(daemon.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        head(&mut BufReader::new(stream)).0
    };
    let ours = "Origin: http://localhost\r\n";
    assert_eq!(upgrade("/ws/audio/stream/", ours), 403, "no token");
    assert_eq!(
        upgrade(
            "/ws/audio/stream/?token=00112233445566778899aabbccddeeff",
            ours
        ),
        403,
        "a token nobody gave out"
    );
    assert_eq!(upgrade(path, ""), 403, "no browser");
    assert_eq!(
        upgrade(path, "Origin: https://evil.example\r\n"),
        403,
        "another site's page"
    );
    assert_eq!(upgrade(path, ours), 101);
}

#[test]
fn an_address_without_a_page_is_told_to_people_in_a_page_and_to_programs_in_json() {
    let daemon = Daemon::start("");
    let html = "Accept: text/html,application/xhtml+xml\r\n";
    for (accept, kind, words) in [
        (html, "text/html; charset=utf-8", "There is no such page"),
        (
            "",
            "application/problem+json",
            "there is nothing at /nonesuch",
        ),
    ] {
        let (status, head, body) = get(&daemon, "/nonesuch", accept);
        assert_eq!((status, head["content-type"].as_str()), (404, kind));
        assert!(body.contains(words), "{body}");
    }
}

#[test]
fn the_numbers_come_in_the_format_that_is_asked_for() {
    let daemon = Daemon::start("");
    for (accept, kind) in [
        (
            "Accept: application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3\r\n",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
        ("", "text/plain; version=0.0.4; charset=utf-8"),
    ] {
        let (status, head, body) = get(&daemon, "/metrics", accept);
        assert_eq!((status, head["content-type"].as_str()), (200, kind));
        assert_eq!(body.ends_with("# EOF\n"), kind.starts_with("application"));
    }
}
