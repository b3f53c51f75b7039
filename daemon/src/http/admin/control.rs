//! `POST /admin/control/`: what `voice-streamer admin …` asks of the running daemon. Only the command line of the daemon's
//! own user gets in, on this machine, with the secret of `STATE/control.json`.

use crate::accounts::{Accounts, ChangeError, Scope};
use crate::http::access::{Wish, admit};
use crate::http::answer::{Answer, json, problem};
use crate::http::body;
use crate::http::desk::Desk;
use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;

/// One wish. `do` names it.
#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
enum Order {
    Add { name: String, password: String },
    Passwd { name: String, password: String },
    Remove { name: String },
    List,
    Link,
    AddToken { name: String, scope: String },
    RemoveToken { name: String },
}

/// `POST /admin/control/`
pub(super) async fn obey(desk: &Arc<Desk>, peer: SocketAddr, request: Request<Incoming>) -> Answer {
    if let Err(answer) = admit(desk, peer, &request, Wish::Administer) {
        return *answer;
    }
    let body = match body(request).await {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let order = match serde_json::from_slice(&body) {
        Ok(order) => order,
        Err(error) => return problem(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let done = match order {
        Order::Link => return link(desk),
        order => carry_out(&desk.accounts, order).await,
    };
    match done {
        Ok(answer) => json(&answer),
        Err(error) => {
            let status = match &error {
                ChangeError::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
                ChangeError::Unknown(_) => StatusCode::NOT_FOUND,
                ChangeError::Exists(_) | ChangeError::BadLink => StatusCode::CONFLICT,
                ChangeError::Hash(_) | ChangeError::Store(_) | ChangeError::NoRandomness => {
                    StatusCode::SERVICE_UNAVAILABLE
                }
            };
            problem(status, &error.to_string())
        }
    }
}

async fn carry_out(accounts: &Accounts, order: Order) -> Result<Value, ChangeError> {
    match order {
        Order::Add { name, password } => accounts.add(&name, &password).await?,
        Order::Passwd { name, password } => accounts.set_password(&name, &password).await?,
        Order::Remove { name } => accounts.remove(&name).await?,
        Order::RemoveToken { name } => accounts.remove_token(&name).await?,
        Order::AddToken { name, scope } => {
            let scope = Scope::of(&scope).ok_or_else(|| {
                ChangeError::Refused(format!("\"{scope}\" is no scope of a token"))
            })?;
            return Ok(json!({"token": accounts.add_token(&name, scope).await?}));
        }
        Order::List | Order::Link => return Ok(accounts.as_json()),
    }
    Ok(json!({}))
}

fn link(desk: &Desk) -> Answer {
    match desk.setup_link() {
        Some(link) => json(&json!({"link": link})),
        None => problem(
            StatusCode::CONFLICT,
            "there is an account already; add more with: voice-streamer admin add NAME",
        ),
    }
}
