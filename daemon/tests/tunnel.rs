//! `tunnel`: the number points here for as long as the tunnel is open, and is left as it was found, whatever happens.
//!
//! Twilio is played by a stand-in that checks every request; the daemon and the command are the real ones.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use support::{CONFIG, Daemon, phone, until};

/// A call of which only the webhook is asked.
const CALL: &str = "CA00000000000000000000000000000001";

/// A daemon that checks signatures and has no public address of its own.
fn daemon_without_address() -> Daemon {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let config = format!("{CONFIG}\n[twilio]\nauth_token = \"12345\"\n");
    std::fs::write(folder.path().join("config.toml"), config).unwrap();
    Daemon::again(&folder)
}

#[test]
fn a_tunnel_lends_its_address_for_as_long_as_it_is_open() {
    let daemon = daemon_without_address();
    let own = format!("http://{}", daemon.address);
    let lent = "https://lent.example";
    let asked_by = |url: &str| phone(daemon.live().signed("12345", url).webhook(CALL));
    let refused = |url: &str| asked_by(url).is_err_and(|error| error.to_string().contains("403"));

    let unsigned = daemon.webhook("/twilio/stream/", CALL, "+15550101").0;
    assert_eq!(unsigned, 403, "no address is no reason to let anybody in");
    assert!(refused(lent));
    assert!(
        asked_by(&own).is_ok(),
        "somebody on this machine who has the token"
    );

    let file = daemon.folder().path().join("state/tunnel.url");
    std::fs::write(&file, lent).unwrap();
    let twiml = until("the lent address counts", || {
        let call = "CA00000000000000000000000000000002";
        phone(daemon.live().signed("12345", lent).webhook(call)).ok()
    });
    assert!(
        twiml.contains("wss://lent.example/ws/audio/stream/"),
        "{twiml}"
    );
    assert!(refused(&own), "one address at a time");
    let unsigned = daemon.webhook("/twilio/stream/", CALL, "+15550101").0;
    assert_eq!(unsigned, 403);

    std::fs::remove_file(&file).unwrap();
    until("the lent address is forgotten", || asked_by(&own).ok());
    assert!(refused(lent));
    daemon.is_whole();
}
