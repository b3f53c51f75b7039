//! Accounts with a store and a clock that a test moves.

#![cfg(test)]

use super::*;
use crate::store::EventQuery;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;

const IP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));
const PASSWORD: &str = "correct horse";

struct World {
    folder: TempDir,
    now_ms: Arc<AtomicU64>,
    accounts: Accounts,
    store: Store,
}

impl World {
    fn new() -> World {
        World::at(tempfile::tempdir().unwrap(), 1_000_000)
    }

    fn at(folder: TempDir, ms: u64) -> World {
        let store = Store::open(folder.path(), ms).unwrap();
        let now_ms = Arc::new(AtomicU64::new(ms));
        let told = Arc::clone(&now_ms);
        let clock = Clock::of(move || told.load(Ordering::Relaxed));
        let accounts = Accounts::open(store.clone(), clock).unwrap();
        World {
            folder,
            now_ms,
            accounts,
            store,
        }
    }

    fn later(&self, ms: u64) {
        self.now_ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// The daemon ends and starts again.
    fn restarted(self) -> World {
        let World {
            folder,
            now_ms,
            accounts,
            store,
        } = self;
        drop(accounts);
        store.close();
        World::at(folder, now_ms.load(Ordering::Relaxed))
    }

    async fn sign_in(&self, name: &str, password: &str) -> Result<String, SignInError> {
        self.accounts.sign_in(name, password, IP).await
    }
}

#[tokio::test]
async fn names_are_tidied_and_passwords_are_not() {
    let world = World::new();
    world.accounts.add(" Ana ", PASSWORD).await.unwrap();
    assert_eq!(world.accounts.list()[0].name, "ana");
    for (name, password, right) in [
        ("ana", PASSWORD, true),
        ("ANA ", PASSWORD, true),
        ("ana", "Correct horse", false),
        ("ana", " correct horse", false),
        ("ana", "", false),
        ("", PASSWORD, false),
        ("ben", PASSWORD, false),
    ] {
        assert_eq!(
            world.sign_in(name, password).await.is_ok(),
            right,
            "{name} {password}"
        );
    }
    let long = format!("{}x", "p".repeat(PASSWORD_BYTES_MOST));
    world.accounts.add("ben", &long[1..]).await.unwrap();
    assert!(
        world.sign_in("ben", &long).await.is_err(),
        "one byte too many"
    );
    assert!(world.sign_in("ben", &long[1..]).await.is_ok());
}

#[tokio::test]
async fn what_is_refused_is_refused_with_a_reason() {
    let world = World::new();
    for (name, password) in [
        ("", PASSWORD),
        ("ana maria", PASSWORD),
        ("<b>", PASSWORD),
        ("ñ", PASSWORD),
        (&"a".repeat(65), PASSWORD),
        ("ana", "short"),
        ("ana", &"p".repeat(257)),
    ] {
        let refused = world.accounts.add(name, password).await;
        assert!(
            matches!(refused, Err(ChangeError::Refused(_))),
            "{name} {password}"
        );
    }
    world.accounts.add("ana", PASSWORD).await.unwrap();
    let again = world.accounts.add("ANA", "another password").await;
    assert_eq!(again, Err(ChangeError::Exists("ana".into())));
    assert!(
        world.sign_in("ana", PASSWORD).await.is_ok(),
        "it is as it was"
    );
    let unknown = Err(ChangeError::Unknown("ben".into()));
    assert_eq!(world.accounts.remove("ben").await, unknown);
    assert_eq!(world.accounts.set_password("ben", PASSWORD).await, unknown);
}

#[tokio::test]
async fn unknown_names_and_wrong_passwords_get_the_same_answers() {
    let world = World::new();
    world.accounts.add("ana", PASSWORD).await.unwrap();
    let mut answers = vec![];
    for name in ["ana", "nobody"] {
        let mut heard = vec![];
        for _ in 0..6 {
            heard.push(
                world
                    .sign_in(name, "wrong password")
                    .await
                    .unwrap_err()
                    .to_string(),
            );
        }
        answers.push(heard);
    }
    assert_eq!(answers[0], answers[1]);
    assert!(answers[0][5].contains("wait 2 s"), "{answers:?}");
}

#[tokio::test]
async fn a_guesser_waits_and_the_right_password_waits_too() {
    let world = World::new();
    world.accounts.add("ana", PASSWORD).await.unwrap();
    for _ in 0..5 {
        assert_eq!(
            world.sign_in("ana", "wrong password").await,
            Err(SignInError::Wrong)
        );
    }
    assert_eq!(
        world.sign_in("ana", PASSWORD).await,
        Err(SignInError::Wait { secs: 2 })
    );
    let elsewhere = world.accounts.sign_in("ana", PASSWORD, HERE).await;
    assert!(elsewhere.is_ok(), "from another address there is no wait");
    world.later(2000);
    assert!(world.sign_in("ana", PASSWORD).await.is_ok());
    assert_eq!(
        world.sign_in("ana", "wrong password").await,
        Err(SignInError::Wrong)
    );
}

#[tokio::test]
async fn a_session_outlasts_a_restart_and_its_id_is_nowhere_on_the_disk() {
    let world = World::new();
    world.accounts.add("ana", PASSWORD).await.unwrap();
    let id = world.sign_in("ana", PASSWORD).await.unwrap();
    let form_token = world.accounts.session(&id).unwrap().form_token;
    let world = world.restarted();
    let signed_in = world.accounts.session(&id).unwrap();
    assert_eq!(signed_in.account, "ana");
    assert!(signed_in.made(&form_token) && !signed_in.made("") && !signed_in.made(&id));
    world.later(IDLE_MS);
    assert_eq!(world.accounts.session(&id), None);
    let world = world.restarted();
    let bytes = std::fs::read(world.folder.path().join("calls.redb")).unwrap();
    for secret in [id.as_str(), PASSWORD, &form_token] {
        let found = bytes
            .windows(secret.len())
            .any(|piece| piece == secret.as_bytes());
        assert!(!found, "{secret}");
    }
}

#[tokio::test]
async fn a_session_ends_with_sign_out_new_password_and_the_account() {
    let world = World::new();
    world.accounts.add("ana", PASSWORD).await.unwrap();
    let first = world.sign_in("ana", PASSWORD).await.unwrap();
    let second = world.sign_in("ana", PASSWORD).await.unwrap();
    assert_ne!(first, second);
    world.accounts.sign_out(&first);
    assert!(world.accounts.session(&first).is_none() && world.accounts.session(&second).is_some());
    let accounts = &world.accounts;
    let changed = accounts
        .change_password("ana", "wrong password", "battery staple", IP)
        .await;
    assert_eq!(changed, Err(SignInError::Wrong));
    let changed = accounts.change_password("ana", PASSWORD, "short", IP).await;
    assert!(matches!(changed, Ok(Err(ChangeError::Refused(_)))));
    assert!(accounts.session(&second).is_some(), "nothing has changed");
    let changed = accounts
        .change_password("ana", PASSWORD, "battery staple", IP)
        .await;
    assert_eq!(changed, Ok(Ok(())));
    assert_eq!(accounts.session(&second), None);
    assert!(world.sign_in("ana", PASSWORD).await.is_err());
    let third = world.sign_in("ana", "battery staple").await.unwrap();
    accounts.remove("ana").await.unwrap();
    assert_eq!(accounts.session(&third), None);
    let world = world.restarted();
    assert_eq!(world.accounts.session(&third), None);
    assert!(world.accounts.list().is_empty());
}

#[tokio::test]
async fn the_first_account_is_made_by_link_once() {
    let world = World::new();
    let void = world.accounts.offer_setup().unwrap();
    let link = world.accounts.offer_setup().unwrap();
    let set_up = |link: String, name: &'static str| {
        let accounts = &world.accounts;
        async move { accounts.set_up(&link, name, PASSWORD, IP).await }
    };
    assert_eq!(set_up(void, "ana").await, Err(ChangeError::BadLink));
    let refused = world.accounts.set_up(&link, "ana", "short", IP).await;
    assert!(
        matches!(refused, Err(ChangeError::Refused(_))),
        "and the link is still good"
    );
    let (one, other) = tokio::join!(set_up(link.clone(), "ana"), set_up(link.clone(), "ben"));
    assert_eq!([one, other].iter().filter(|made| made.is_ok()).count(), 1);
    assert_eq!(set_up(link, "cora").await, Err(ChangeError::BadLink));
    assert_eq!(world.accounts.list().len(), 1);
    assert_eq!(world.accounts.offer_setup(), None);
}

#[tokio::test]
async fn tokens_are_seen_once_and_outlast_a_restart() {
    let world = World::new();
    let token = world.accounts.add_token("ci", Scope::Read).await.unwrap();
    assert!(token.starts_with("vst_"));
    assert_eq!(
        world.accounts.add_token("CI", Scope::Read).await,
        Err(ChangeError::Exists("ci".into()))
    );
    let world = world.restarted();
    assert_eq!(
        world.accounts.bearer(&token),
        Some(Bearer::Program {
            name: "ci".into(),
            scope: Scope::Read,
        })
    );
    assert_eq!(world.accounts.bearer("vst_"), None);
    world.accounts.remove_token("ci").await.unwrap();
    assert_eq!(world.accounts.bearer(&token), None);
    assert_eq!(world.restarted().accounts.bearer(&token), None);
}

#[tokio::test]
async fn the_event_log_says_who_came_and_hides_what_may_be_a_password() {
    let world = World::new();
    world.accounts.add("ana", PASSWORD).await.unwrap();
    world.sign_in("ana", PASSWORD).await.unwrap();
    world.sign_in("ana", "wrong password").await.unwrap_err();
    world.sign_in(PASSWORD, "ana").await.unwrap_err();
    assert!(world.store.flush().await);
    let query = EventQuery {
        limit: 9,
        ..EventQuery::default()
    };
    let rows = world.store.events(query).unwrap().rows;
    let rows: Vec<_> = rows
        .iter()
        .rev()
        .map(|row| (row.event.as_str(), &row.detail["account"]))
        .collect();
    assert_eq!(
        rows,
        [
            ("admin_account_made", &json!("ana")),
            ("admin_signed_in", &json!("ana")),
            ("admin_sign_in_failed", &json!("ana")),
            ("admin_sign_in_failed", &Value::Null),
        ]
    );
}

#[tokio::test]
async fn a_token_from_before_there_were_scopes_may_what_it_might() {
    let world = World::new();
    for (scope, may) in [
        ("", Some(Scope::Admin)),
        ("metrics", Some(Scope::Metrics)),
        ("what a later version has", None),
    ] {
        let kept = ApiToken {
            name: "old".into(),
            digest: secret::digest("vst_old"),
            scope: scope.into(),
            created_at_ms: 1,
        };
        let change = AccountChange::Token(kept.clone());
        world.accounts.durable(change).await.unwrap();
        world.accounts.book().tokens.insert("old".into(), kept);
        let carries = match world.accounts.bearer("vst_old") {
            Some(Bearer::Program { scope, .. }) => Some(scope),
            _ => None,
        };
        assert_eq!(carries, may, "{scope:?}");
        assert_eq!(world.accounts.tokens()[0].scope, may);
    }
    let kept: ApiToken = serde_json::from_str("{\"name\":\"old\",\"digest\":\"d\"}").unwrap();
    assert_eq!(kept.scope, "");
}
