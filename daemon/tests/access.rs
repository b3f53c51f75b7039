//! Who may see and do what, over the wire: from this machine, from elsewhere, signed in, with a token, in clear and over TLS.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use support::Daemon;
use support::operator::{Browser, FORM, PASSWORD, admin};

/// How a request from the world arrives at [`behind_tls`].
const PUBLIC: [(&str, &str); 2] = [
    ("Host", "voice.example.com"),
    ("X-Forwarded-For", "203.0.113.9"),
];

/// A daemon behind a proxy that ends TLS.
fn behind_tls() -> Daemon {
    let config = support::CONFIG.replace(
        "listen = \"127.0.0.1:0\"",
        "listen = \"127.0.0.1:0\"\npublic_url = \"https://voice.example.com\"",
    );
    let folder = Arc::new(tempfile::tempdir().unwrap());
    std::fs::write(folder.path().join("config.toml"), config).unwrap();
    Daemon::again(&folder)
}

/// A token made on the command line.
#[track_caller]
fn token(daemon: &Daemon, arguments: &[&str]) -> String {
    let (made, said) = admin(daemon, arguments, "");
    let token = said.lines().find(|line| line.starts_with("vst_"));
    token.filter(|_| made).expect(&said).to_owned()
}

#[test]
fn from_elsewhere_the_api_wants_a_sign_in_or_a_token() {
    let daemon = Daemon::start("");
    let far = ("X-Forwarded-For", "203.0.113.9");
    let places = ["/api/calls/", "/audio/api/logs/", "/metrics"];
    for path in places {
        assert_eq!(daemon.send("GET", path, &[], "").status, 200, "{path} here");
        daemon.send("GET", path, &[far], "").problem(403);
        daemon
            .send("GET", path, &[("Host", "voice.example.com")], "")
            .problem(403);
    }
    let token = token(&daemon, &["token", "ci"]);
    let bearer = format!("Bearer {token}");
    for path in places {
        let reply = daemon.send("GET", path, &[far], "");
        assert!(
            reply
                .header("www-authenticate")
                .unwrap()
                .starts_with("Bearer")
        );
        reply.problem(401);
        for wrong in [
            "Bearer vst_guess",
            "Bearer",
            "Basic YTpi",
            &format!("Basic {token}"),
        ] {
            daemon
                .send("GET", path, &[far, ("Authorization", wrong)], "")
                .problem(401);
        }
        let reply = daemon.send("GET", path, &[far, ("Authorization", &bearer)], "");
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        let foreign = [
            far,
            ("Authorization", &bearer),
            ("Sec-Fetch-Site", "cross-site"),
        ];
        daemon.send("GET", path, &foreign, "").problem(403);
    }
    daemon.token("CA00000000000000000000000000000003");
    let path = "/api/calls/CA00000000000000000000000000000003/";
    let json = ("Content-Type", "application/json");
    let body = r#"{"status":"completed"}"#;
    daemon.send("PUT", path, &[far, json], body).problem(401);
    let reply = daemon.send("PUT", path, &[far, json, ("Authorization", &bearer)], body);
    assert_eq!(reply.json()["status"], "completed", "{reply:?}");
    let rules = [("Authorization", bearer.as_str()), json];
    daemon
        .send("POST", "/admin/control/", &rules, r#"{"do":"list"}"#)
        .problem(403);
    assert!(admin(&daemon, &["remove-token", "ci"], "").0);
    daemon
        .send("GET", "/api/calls/", &[far, ("Authorization", &bearer)], "")
        .problem(401);
}

#[test]
fn passwords_do_not_cross_a_network_in_clear() {
    let daemon = Daemon::start(
        "[twilio]\nauth_token = \"0123456789abcdef0123456789abcdef\"\nvalidate_signature = false\n",
    );
    let mut browser = Browser::signed_in(&daemon, &[]);
    assert!(browser.is_in());
    let form = "name=ana&password=correct+horse";
    for host in ["192.0.2.1:8080", "voice.example.com"] {
        let reply = daemon.send("POST", "/admin/sign-in/", &[FORM, ("Host", host)], form);
        assert_eq!(reply.status, 403, "{host}");
        assert!(reply.header("set-cookie").is_none());
        let cookie = browser.cookie.clone();
        let reply = daemon.send(
            "GET",
            "/admin/calls/",
            &[("Host", host), ("Cookie", &cookie)],
            "",
        );
        assert_eq!(reply.status, 303, "nor do cookies count");
    }
}

#[test]
fn over_tls_the_cookie_is_the_strictest_there_is() {
    let daemon = behind_tls();
    assert!(admin(&daemon, &["add", "ana"], PASSWORD).0);
    let public = [
        FORM,
        ("Host", "voice.example.com"),
        ("X-Forwarded-For", "203.0.113.9"),
    ];
    let reply = daemon.send(
        "POST",
        "/admin/sign-in/",
        &public,
        "name=ana&password=correct+horse",
    );
    let cookie = reply.header("set-cookie").unwrap();
    assert!(cookie.starts_with("__Host-voice_session="), "{cookie}");
    for attribute in ["Path=/", "HttpOnly", "SameSite=Lax", "Secure"] {
        assert!(cookie.split("; ").any(|part| part == attribute), "{cookie}");
    }
    assert!(!cookie.contains("Domain"));
    let cookie = cookie.split(';').next().unwrap();
    let headers = [
        ("Host", "voice.example.com"),
        ("X-Forwarded-For", "203.0.113.9"),
        ("Cookie", cookie),
    ];
    assert_eq!(
        daemon.send("GET", "/admin/calls/", &headers, "").status,
        200
    );
    assert_eq!(
        daemon.send("GET", "/api/calls/", &headers, "").status,
        200,
        "the API by sign-in"
    );
    let planted = cookie.replace("__Host-", "");
    let headers = [
        ("Host", "voice.example.com"),
        ("X-Forwarded-For", "203.0.113.9"),
        ("Cookie", &planted),
    ];
    assert_eq!(
        daemon.send("GET", "/admin/calls/", &headers, "").status,
        303
    );
}

/// What a token has to be good for, at one route.
enum Needs {
    /// It makes no difference there.
    NoToken,
    Scope(&'static str),
    /// None is good enough.
    CommandLine,
}
use Needs::{CommandLine, NoToken, Scope};

/// Every route by its name, one request of it that changes little, and what that needs.
const ROUTES: &[(&str, &str, &str, Needs)] = &[
    ("/", "GET", "/", NoToken),
    ("/assets/", "GET", "/assets/1/style.css", NoToken),
    ("/healthz", "GET", "/healthz", NoToken),
    ("/readyz", "GET", "/readyz", NoToken),
    ("/metrics", "GET", "/metrics", Scope("metrics")),
    ("/audio/logs/", "GET", "/audio/logs/", Scope("read")),
    ("/audio/api/logs/", "GET", "/audio/api/logs/", Scope("read")),
    (
        "/audio/api/logs/stream",
        "GET",
        "/audio/api/logs/stream?from=x",
        Scope("read"),
    ),
    ("/api/calls/", "GET", "/api/calls/", Scope("read")),
    ("/api/calls/{sid}/", "GET", "/api/calls/CA1/", Scope("read")),
    (
        "/api/calls/{sid}/",
        "PUT",
        "/api/calls/CA1/",
        Scope("calls"),
    ),
    (
        "/audio/api/call/",
        "POST",
        "/audio/api/call/",
        Scope("calls"),
    ),
    (
        "/audio/api/call/{sid}/resume/",
        "POST",
        "/audio/api/call/WEB1/resume/1/",
        Scope("calls"),
    ),
    (
        "/api/configuration/",
        "GET",
        "/api/configuration/",
        Scope("read"),
    ),
    (
        "/api/configuration/reload/",
        "POST",
        "/api/configuration/reload/",
        Scope("admin"),
    ),
    ("/admin/control/", "POST", "/admin/control/", CommandLine),
    // Pages of people, who sign in.
    ("/admin/", "GET", "/admin/", NoToken),
    ("/admin/sign-in/", "GET", "/admin/sign-in/", NoToken),
    ("/admin/sign-out/", "POST", "/admin/sign-out/", NoToken),
    ("/admin/setup/", "GET", "/admin/setup/", NoToken),
    ("/admin/password/", "GET", "/admin/password/", NoToken),
    ("/admin/calls/", "GET", "/admin/calls/", NoToken),
    ("/admin/calls/{sid}/", "GET", "/admin/calls/CA1/", NoToken),
    (
        "/admin/calls/{sid}/hang-up/",
        "POST",
        "/admin/calls/CA1/hang-up/",
        NoToken,
    ),
    ("/admin/voices/", "GET", "/admin/voices/", NoToken),
    ("/admin/settings/", "GET", "/admin/settings/", NoToken),
    ("/admin/reload/", "POST", "/admin/reload/", NoToken),
    // The carrier's, who signs.
    ("/twilio/stream/", "POST", "/twilio/stream/", NoToken),
    ("/twilio/status/", "POST", "/twilio/status/", NoToken),
    (
        "/twilio/stream-status/",
        "POST",
        "/twilio/stream-status/",
        NoToken,
    ),
    ("/twilio/resume/", "POST", "/twilio/resume/1/", NoToken),
    ("/ws/audio/stream/", "GET", "/ws/audio/stream/", NoToken),
];

/// A token's scopes, the least first.
const SCOPES: [&str; 4] = ["metrics", "read", "calls", "admin"];

#[test]
fn a_token_opens_what_its_scope_says_at_every_route_and_nothing_else() {
    let daemon = Daemon::start("[twilio]\nauth_token = \"0123456789abcdef0123456789abcdef\"\n");
    let made = SCOPES.map(|scope| token(&daemon, &["token", scope, "--scope", scope]));
    let far = ("X-Forwarded-For", "203.0.113.9");
    for (_, method, path, needs) in ROUTES {
        let ask = |more: &[(&str, &str)]| {
            let headers: Vec<_> = std::iter::once(far).chain(more.iter().copied()).collect();
            daemon.send(method, path, &headers, "")
        };
        let stranger = ask(&[]).status;
        for (has, token) in made.iter().enumerate() {
            let reply = ask(&[("Authorization", &format!("Bearer {token}"))]);
            let here = format!("{method} {path} with {}: {reply:?}", SCOPES[has]);
            match needs {
                NoToken => assert_eq!(reply.status, stranger, "{here}"),
                CommandLine => assert_eq!(reply.status, 403, "{here}"),
                Scope(needed) => {
                    assert_eq!(stranger, 401, "{here}");
                    let needs = SCOPES.iter().position(|scope| scope == needed).unwrap();
                    if has >= needs {
                        assert!(![401, 403].contains(&reply.status), "{here}");
                    } else {
                        let words = format!("of scope {}, and this needs {needed}", SCOPES[has]);
                        assert!(reply.problem(403).contains(&words), "{here}");
                    }
                }
            }
        }
    }
    let (_, listed) = admin(&daemon, &["list"], "");
    for scope in SCOPES {
        let line = listed.lines().find(|line| line.trim().starts_with(scope));
        assert_eq!(
            line.unwrap().split_whitespace().nth(1),
            Some(scope),
            "{listed}"
        );
    }
    let (made, why) = admin(&daemon, &["token", "x", "--scope", "everything"], "");
    assert!(
        !made && why.contains("metrics, read, calls, admin"),
        "{why}"
    );
}

#[test]
fn no_route_is_forgotten_above() {
    let files = [
        include_str!("../src/http/mod.rs"),
        include_str!("../src/http/admin/mod.rs"),
    ];
    for file in files {
        let (_, routes) = file.split_once("async fn route(").unwrap();
        let (routes, _) = routes.split_once("\n}\n").unwrap();
        let names = routes.split('"').skip(1).step_by(2);
        let mut found = 0;
        for name in names.filter(|name| name.starts_with('/')) {
            assert!(ROUTES.iter().any(|(route, ..)| *route == name), "{name}");
            found += 1;
        }
        assert!(found > 10, "the file is written in another way by now");
    }
}

#[test]
fn a_stranger_is_led_to_the_door_and_back_and_a_program_is_told() {
    let daemon = behind_tls();
    assert!(admin(&daemon, &["add", "ana"], PASSWORD).0);
    let [host, far] = PUBLIC;
    let html = ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8");
    let page = "/audio/logs/?event=said&text=a+b";
    let reply = daemon.send("GET", page, &[host, far, html], "");
    let door = "/admin/sign-in/?next=%2Faudio%2Flogs%2F%3Fevent%3Dsaid%26text%3Da%2Bb";
    assert_eq!(
        (reply.status, reply.header("location")),
        (303, Some(door)),
        "{reply:?}"
    );
    let form = daemon.send("GET", door, &[host, far, html], "");
    let next = "name=\"next\" value=\"/audio/logs/?event=said&amp;text=a+b\"";
    assert!(form.body.contains(next), "{form:?}");
    let sent =
        "name=ana&password=correct+horse&next=%2Faudio%2Flogs%2F%3Fevent%3Dsaid%26text%3Da%2Bb";
    let reply = daemon.send("POST", "/admin/sign-in/", &[FORM, host, far], sent);
    assert_eq!(
        (reply.status, reply.header("location")),
        (303, Some(page)),
        "{reply:?}"
    );
    let cookie = reply
        .header("set-cookie")
        .unwrap()
        .split(';')
        .next()
        .unwrap();
    let signed_in = [host, far, html, ("Cookie", cookie)];
    assert_eq!(daemon.send("GET", page, &signed_in, "").status, 200);

    for (path, more) in [
        (page, None),
        (page, Some(("Accept", "application/json"))),
        ("/audio/api/logs/", Some(html)),
        ("/audio/api/logs/stream", Some(html)),
    ] {
        let headers: Vec<_> = [host, far].into_iter().chain(more).collect();
        daemon.send("GET", path, &headers, "").problem(401);
    }
    let guess = ("Authorization", "Bearer vst_guess");
    daemon
        .send("GET", page, &[host, far, html, guess], "")
        .problem(401);
    let foreign = ("Sec-Fetch-Site", "cross-site");
    assert_eq!(
        daemon
            .send("GET", page, &[host, far, html, foreign], "")
            .status,
        403
    );
    let reply = daemon.send("GET", "//evil.example/audio/logs/", &[host, far, html], "");
    assert_eq!(reply.status, 404, "{reply:?}");
}
