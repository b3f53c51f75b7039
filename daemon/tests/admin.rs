//! `/admin/` as a browser and as an attacker see it: the first account, the door, every form's token, what is shown and
//! what never is; and the command line that makes accounts.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use support::operator::{Browser, FORM, PASSWORD, admin, admin_in, field};
use support::{Daemon, Raw, binary, frame_payload, until};
use voice_streamer::accounts::{ABSOLUTE_MS, Clock, IDLE_MS};

#[test]
fn the_first_account_is_made_by_a_link_that_works_once() {
    let daemon = Daemon::start("");
    let mut browser = Browser::at(&daemon);
    assert!(!browser.is_in());
    assert!(browser.page("/admin/sign-in/").contains("admin link"));
    let (made, link) = admin(&daemon, &["link"], "");
    assert!(made, "{link}");
    let link = link.trim();
    let (_, path) = link.split_once(&daemon.address.to_string()).expect(link);
    assert!(!daemon.log().contains(link), "links stay out of the log");

    assert_eq!(browser.get("/admin/setup/?token=guess").status, 403);
    let page = browser.page(path);
    let token = field(&page, "token");
    let short = browser.post(
        "/admin/setup/",
        &format!("token={token}&name=ana&password=short"),
    );
    assert_eq!(short.status, 422, "the link is still good: {short:?}");
    let form = format!("token={token}&name=ana&password=correct+horse");
    let foreign = browser.send(
        "POST",
        "/admin/setup/",
        &[FORM, ("Origin", "https://evil.example")],
        &form,
    );
    assert_eq!(foreign.status, 403);
    let made = browser.post("/admin/setup/", &form);
    assert_eq!(
        (made.status, made.header("location")),
        (303, Some("/admin/")),
        "{made:?}"
    );
    assert!(browser.is_in(), "and he is signed in at once");

    let again = Browser::at(&daemon).post("/admin/setup/", &form);
    assert_eq!(again.status, 403, "{again:?}");
    assert_eq!(browser.get(path).status, 403);
    let (more, why) = admin(&daemon, &["link"], "");
    assert!(!more && why.contains("an account already"), "{why}");
    daemon.is_whole();
}

#[test]
fn every_sign_in_is_a_new_session_and_signing_out_ends_it() {
    let daemon = Daemon::start("");
    let mut browser = Browser::signed_in(&daemon, &[]);
    let first = browser.cookie.clone();
    assert!(first.starts_with("voice_session="), "{first}");
    assert!(browser.is_in());
    // An id that somebody planted before is not taken over.
    let planted = format!("voice_session={}", "a".repeat(64));
    browser.cookie = planted.clone();
    assert!(!browser.is_in());
    browser.sign_in("ana", PASSWORD);
    assert_ne!(browser.cookie, planted);
    let second = browser.cookie.clone();
    browser.sign_in("ana", PASSWORD);
    let third = browser.cookie.clone();
    browser.cookie = second;
    assert!(
        !browser.is_in(),
        "signing in again ended the session before"
    );
    browser.cookie = third.clone();
    let token = browser.form_token();
    let out = browser.post("/admin/sign-out/", &format!("form_token={token}"));
    assert!(
        out.header("set-cookie").unwrap().contains("Max-Age=0"),
        "{out:?}"
    );
    browser.cookie = third;
    assert!(!browser.is_in());
    browser.cookie = first;
    assert!(browser.is_in(), "another browser's session goes on");
    let reply = browser.get("/admin/calls/?status=completed");
    assert_eq!(reply.status, 200);
    let lost = Browser::at(&daemon).get("/admin/calls/?status=completed");
    assert_eq!(
        lost.header("location"),
        Some("/admin/sign-in/?next=%2Fadmin%2Fcalls%2F%3Fstatus%3Dcompleted")
    );
}

#[test]
fn a_form_without_its_token_or_from_elsewhere_changes_nothing() {
    let daemon = Daemon::start("");
    let mut browser = Browser::signed_in(&daemon, &[]);
    let token = browser.form_token();
    let mut other = Browser::at(&daemon);
    other.sign_in("ana", PASSWORD);
    let foreign_token = other.form_token();
    let sid = "CA00000000000000000000000000000001";
    let mut raw = Raw::call(&daemon, sid);
    raw.echoes(1, &frame_payload(1));
    let hang_up = format!("/admin/calls/{sid}/hang-up/");
    let good = format!("form_token={token}");
    for path in [
        hang_up.as_str(),
        "/admin/reload/",
        "/admin/sign-out/",
        "/admin/password/",
    ] {
        for body in [
            "",
            "form_token=",
            "form_token=guess",
            &format!("form_token={foreign_token}"),
        ] {
            assert_eq!(browser.post(path, body).status, 403, "{path} {body}");
        }
        for header in [
            ("Origin", "https://evil.example"),
            ("Origin", "null"),
            ("Sec-Fetch-Site", "cross-site"),
            ("Sec-Fetch-Site", "same-site"),
        ] {
            let reply = browser.send("POST", path, &[FORM, header], &good);
            assert_eq!(reply.status, 403, "{path} {header:?}");
        }
        let reply = browser.send("POST", path, &[("Content-Type", "text/plain")], &good);
        assert_eq!(reply.status, 415, "{path}");
        assert_eq!(
            browser.get(path).status,
            if path == "/admin/password/" { 200 } else { 405 }
        );
    }
    // The API by cookie wants the token too.
    let json = ("Content-Type", "application/json");
    let path = format!("/api/calls/{sid}/");
    let body = r#"{"status":"completed"}"#;
    browser.send("PUT", &path, &[json], body).problem(403);
    browser
        .send(
            "PUT",
            &path,
            &[json, ("X-Form-Token", &foreign_token)],
            body,
        )
        .problem(403);
    raw.echoes(2, &frame_payload(2));
    assert!(browser.is_in());
    let put = browser.send("PUT", &path, &[json, ("X-Form-Token", &token)], body);
    assert_eq!(put.json()["ended_reason"], "operator", "{put:?}");
}

#[test]
fn the_hang_up_button_ends_the_call_and_the_log_says_who_pressed_it() {
    let daemon = Daemon::start("");
    let mut browser = Browser::signed_in(&daemon, &[]);
    let sid = "CA00000000000000000000000000000002";
    let mut raw = Raw::call(&daemon, sid);
    raw.echoes(1, &frame_payload(1));
    let page = browser.page("/admin/calls/?search=000002");
    assert!(page.contains(sid) && page.contains("Hang up"), "{page}");
    let token = field(&page, "form_token");
    let reply = browser.post(
        &format!("/admin/calls/{sid}/hang-up/"),
        &format!("form_token={token}"),
    );
    let there = format!("/admin/calls/{sid}/");
    assert_eq!(reply.header("location"), Some(there.as_str()), "{reply:?}");
    assert_eq!(raw.close_code(), Some(1000));
    assert_eq!(
        daemon.json(&format!("/api/calls/{sid}/"))["ended_reason"],
        "operator"
    );
    until("the page tells it", || {
        let page = browser.page(&there);
        let told =
            page.contains("call_hung_up_by") && page.contains("ana") && page.contains("operator");
        (told && !page.contains("Hang up")).then_some(())
    });
    assert_eq!(browser.get("/admin/calls/CAnobody/").status, 404);
    let page = browser.page("/admin/calls/?status=busy");
    assert!(!page.contains(sid));
}

#[test]
fn a_new_password_ends_every_session() {
    let daemon = Daemon::start("");
    let mut one = Browser::signed_in(&daemon, &[]);
    let mut other = Browser::at(&daemon);
    other.sign_in("ana", PASSWORD);
    let token = one.form_token();
    let wrong = one.post(
        "/admin/password/",
        &format!("form_token={token}&old=wrong+one&password=battery+staple"),
    );
    assert_eq!(wrong.status, 403);
    assert!(one.is_in() && other.is_in());
    let form = format!("form_token={token}&old=correct+horse&password=battery+staple");
    assert_eq!(one.post("/admin/password/", &form).status, 303);
    assert!(!one.is_in() && !other.is_in());
    assert_eq!(one.sign_in("ana", PASSWORD).status, 403);
    assert_eq!(one.sign_in("ana", "battery staple").status, 303);
    // The same from the command line.
    assert!(admin(&daemon, &["passwd", "ana"], "a third password\n").0);
    assert!(!one.is_in());
    assert_eq!(one.sign_in("ana", "a third password").status, 303);
    assert!(admin(&daemon, &["remove", "ana"], "").0);
    assert!(!one.is_in());
}

#[test]
fn secrets_are_on_no_page_and_text_is_never_markup() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    std::fs::write(
        folder.path().join(".env"),
        "TOKEN=canary-env-000000000000000000\n",
    )
    .unwrap();
    std::fs::write(folder.path().join("secret.txt"), "canary-file-1111").unwrap();
    let twilio = "[twilio]\nauth_token = \"${env:TOKEN}\"\nvalidate_signature = false\nbusy_text = \"${file:secret.txt}\"\n";
    std::fs::write(
        folder.path().join("config.toml"),
        format!("{}\n{twilio}", support::CONFIG),
    )
    .unwrap();
    let daemon = Daemon::again(&folder);
    let mut browser = Browser::signed_in(&daemon, &[]);
    let payloads = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "'-alert(1)-'",
        "javascript:alert(1)",
    ];
    for (number, payload) in payloads.iter().enumerate() {
        let from: String = payload.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let body = format!(
            "AccountSid=AC1&CallSid=CA{number:032x}&CallStatus=ringing&From={from}&To=%2B15550101"
        );
        let reply = daemon.send("POST", "/twilio/stream/", &[FORM], &body);
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    let control = std::fs::read_to_string(folder.path().join("state/control.json")).unwrap();
    let control: serde_json::Value = serde_json::from_str(&control).unwrap();
    let secrets = [
        "canary-",
        PASSWORD,
        "$argon2id",
        browser.cookie.clone().trim_start_matches("voice_session="),
        control["secret"].as_str().unwrap(),
    ]
    .map(str::to_owned);
    for path in [
        "/admin/calls/",
        "/admin/calls/?search=%3Cscript%3Ealert(1)%3C/script%3E&from=%22%3E%3Cimg",
        "/admin/calls/CA00000000000000000000000000000001/",
        "/admin/voices/",
        "/admin/settings/",
        "/admin/password/",
        "/audio/logs/",
    ] {
        for language in ["?lang=en", "?lang=es"] {
            let path = if path.contains('?') {
                path.to_owned()
            } else {
                format!("{path}{language}")
            };
            let page = browser.page(&path);
            for secret in &secrets {
                assert!(!page.contains(secret), "{secret} in {path}");
            }
            assert!(
                !page.contains("<script>") && !page.contains("<img src=x"),
                "{path}: {page}"
            );
            assert!(!page.contains("href=\"javascript:"), "{path}");
        }
    }
    for path in [
        "/readyz?verbose",
        "/api/calls/",
        "/audio/api/logs/",
        "/metrics",
    ] {
        let reply = daemon.send("GET", path, &[], "");
        assert!(!reply.body.contains("canary-"), "{path}: {reply:?}");
    }
    assert!(!daemon.log().contains("canary-"));
    assert!(
        browser
            .page("/admin/settings/")
            .contains("twilio.auth_token")
    );
    assert!(
        browser
            .page("/admin/calls/")
            .contains("&lt;script&gt;alert(1)&lt;/script&gt;")
    );
}

#[test]
fn the_reload_button_reloads_and_a_broken_file_is_drawn_on_the_page() {
    let daemon = Daemon::start("");
    let mut browser = Browser::signed_in(&daemon, &[]);
    let token = browser.form_token();
    let file = daemon.folder().path().join("config.toml");
    let good = std::fs::read_to_string(&file).unwrap();
    std::fs::write(
        &file,
        good.replace("end_of_turn_ms = 700", "end_of_turn_ms = 800"),
    )
    .unwrap();
    let reply = browser.post("/admin/reload/", &format!("form_token={token}"));
    assert_eq!(
        reply.header("location"),
        Some("/admin/settings/"),
        "{reply:?}"
    );
    let page = browser.page("/admin/settings/");
    assert!(
        page.contains("agents.default.turn.end_of_turn_ms"),
        "{page}"
    );
    assert!(page.contains("800"));
    std::fs::write(
        &file,
        good.replace("end_of_turn_ms = 700", "end_of_turn_ms = \"soon\""),
    )
    .unwrap();
    browser.post("/admin/reload/", &format!("form_token={token}"));
    let page = browser.page("/admin/settings/");
    assert!(
        page.contains("role=\"alert\"") && page.contains("soon"),
        "{page}"
    );
    let rows = until("the log says who asked", || {
        let rows = daemon.json("/audio/api/logs/?event=reloaded_by")["logs"].clone();
        (rows.as_array().unwrap().len() == 2).then_some(rows)
    });
    assert_eq!(
        rows[0]["detail"],
        json!({"by": "ana", "outcome": "refused"})
    );
    let page = browser.page("/admin/voices/");
    for shown in ["responder-echo", "tts-pico", "english", "+15550101"] {
        assert!(page.contains(shown), "{shown}");
    }
}

#[test]
fn the_command_line_works_beside_a_daemon_and_without_one() {
    let daemon = Daemon::start("");
    let folder = Arc::clone(daemon.folder());
    let run = |arguments: &[&str], stdin: &str| admin_in(folder.path(), &[], arguments, stdin);
    assert!(run(&["add", "ana"], PASSWORD).0);
    let (again, why) = run(&["add", "ana"], PASSWORD);
    assert!(!again && why.contains("exists already"), "{why}");
    let (short, why) = run(&["add", "ben"], "short");
    assert!(!short && why.contains("at least 10 characters"), "{why}");
    assert!(run(&["list"], "").1.contains("ana"));
    daemon.kill();
    // The secret of the daemon that was killed is still there; nobody answers.
    assert!(folder.path().join("state/control.json").exists());
    assert!(run(&["add", "ben"], PASSWORD).0);
    let (_, listed) = run(&["list"], "");
    assert!(listed.contains("ana") && listed.contains("ben"), "{listed}");
    let (link, why) = run(&["link"], "");
    assert!(!link && why.contains("no daemon runs"), "{why}");
    let daemon = Daemon::again(&folder);
    assert_eq!(Browser::at(&daemon).sign_in("ben", PASSWORD).status, 303);
    // Being on this machine is not enough, and neither is another secret.
    let order = r#"{"do":"remove","name":"ana"}"#;
    daemon
        .send("POST", "/admin/control/", &[], order)
        .problem(403);
    let guess = ("Authorization", "Bearer guess");
    daemon
        .send("POST", "/admin/control/", &[guess], order)
        .problem(401);
    assert!(run(&["list"], "").1.contains("ana"));
}

/// A daemon in this process, whose sessions go by a clock of the test's.
fn with_clock(now_ms: &Arc<AtomicU64>, run: impl FnOnce(std::net::SocketAddr)) {
    use voice_streamer::config::{self, Env};
    use voice_streamer::daemon::{Daemon, Overrides};
    let folder = tempfile::tempdir().unwrap();
    let mut text = support::CONFIG.to_owned();
    for name in ["responder_echo", "tts_pico"] {
        let library = binary().with_file_name(format!("lib{name}.so"));
        text = text.replace(
            &format!("\"{name}\""),
            &format!("\"{}\"", library.display()),
        );
    }
    let config = config::parse(&text, &folder.path().join("config.toml"), &Env::default()).unwrap();
    let told = Arc::clone(now_ms);
    let overrides = Overrides {
        state: Some(folder.path().join("state")),
        clock: Some(Clock::of(move || told.load(Ordering::Relaxed))),
        ..Overrides::default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let daemon = runtime.block_on(Daemon::start(config, overrides)).unwrap();
    let link = daemon.setup_link().unwrap();
    let (_, token) = link.split_once("?token=").unwrap();
    let address = daemon.address();
    let form = format!("token={token}&name=ana&password=correct+horse");
    assert_eq!(
        support::send(address, "POST", "/admin/setup/", &[FORM], &form).status,
        303
    );
    run(address);
    runtime.block_on(daemon.drain(std::time::Duration::ZERO, std::future::pending()));
}

#[test]
fn sessions_end_when_unused_and_after_half_a_day_and_delays_pass() {
    let now_ms = Arc::new(AtomicU64::new(1_800_000_000_000));
    let clock = Arc::clone(&now_ms);
    with_clock(&now_ms, |address| {
        let later = |ms| clock.fetch_add(ms, Ordering::Relaxed);
        let try_in = |password: &str| {
            let form = format!("name=ana&password={password}");
            support::send(address, "POST", "/admin/sign-in/", &[FORM], &form)
        };
        let sign_in = || {
            let reply = try_in("correct+horse");
            let cookie = reply.header("set-cookie").expect("signed in");
            cookie.split(';').next().unwrap().to_owned()
        };
        let is_in = |cookie: &str| {
            support::send(address, "GET", "/admin/calls/", &[("Cookie", cookie)], "").status == 200
        };
        let cookie = sign_in();
        later(IDLE_MS - 1);
        assert!(is_in(&cookie), "used just in time");
        later(IDLE_MS);
        assert!(!is_in(&cookie), "unused too long");
        let cookie = sign_in();
        let mut lived = 0;
        while is_in(&cookie) {
            later(IDLE_MS / 2);
            lived += IDLE_MS / 2;
        }
        assert_eq!(lived, ABSOLUTE_MS, "in use all the time");
        for _ in 0..5 {
            assert_eq!(try_in("a+wrong+guess").status, 403);
        }
        assert_eq!(try_in("correct+horse").status, 429);
        later(2000);
        assert_eq!(try_in("correct+horse").status, 303);
    });
}

#[test]
fn guessing_gets_slow_and_never_learns_who_exists() {
    let now_ms = Arc::new(AtomicU64::new(1_800_000_000_000));
    with_clock(&now_ms, |address| {
        let try_in = |name: &str, password: &str| {
            let form = format!("name={name}&password={password}");
            support::send(address, "POST", "/admin/sign-in/", &[FORM], &form)
        };
        let mut told = vec![];
        for name in ["ana", "nobody"] {
            let tries = (0..6).map(|_| {
                let reply = try_in(name, "a+wrong+guess");
                (reply.status, reply.body.replace(name, "NAME"))
            });
            told.push(tries.collect::<Vec<_>>());
        }
        assert_eq!(told[0], told[1], "the same answers for both");
        let codes: Vec<_> = told[0].iter().map(|(status, _)| *status).collect();
        assert_eq!(codes, [403, 403, 403, 403, 403, 429]);
        let right = try_in("ana", "correct+horse");
        assert_eq!(right.status, 429, "the right one waits too");
        assert_eq!(right.header("retry-after"), Some("2"));
        let rows = until("the failures are written down", || {
            let path = "/audio/api/logs/?event=admin_sign_in_failed&limit=99";
            let rows = support::send(address, "GET", path, &[], "").json()["logs"].clone();
            (rows.as_array().unwrap().len() == 10).then_some(rows)
        });
        assert!(!rows.to_string().contains("nobody"), "{rows}");
    });
}
