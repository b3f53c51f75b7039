//! `admin`: who may sign in to `/admin/`, and which programs may use the API.
//!
//! Asks the running daemon, by the secret in its state folder; when none runs, opens the store itself. Passwords come from
//! the terminal, unseen, or from stdin; never from the arguments, which every process of the machine can read.

use super::{Failure, load, runtime};
use crate::accounts::{Accounts, Alone, AloneError, ChangeError, Control, Scope};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A daemon that takes longer is stuck; hashing takes some 20 ms.
const ANSWER_SECS: u64 = 10;

/// Longer input is no password.
const STDIN_BYTES: u64 = 4096;

#[derive(Debug, Args)]
pub(super) struct AdminArguments {
    #[command(subcommand)]
    what: What,

    /// The daemon's state folder instead of store.path
    #[arg(long, global = true, value_name = "DIR")]
    state: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make an account; the password is asked for, or read from stdin
    Add { name: String },
    /// Give an account a new password; all its sessions end
    Passwd { name: String },
    /// Remove an account; all its sessions end
    Remove { name: String },
    /// The accounts and the tokens
    List,
    /// Print a one-time link that makes the first account; good for an hour
    Link,
    /// Make a token for a program that uses the API; it is shown once
    Token {
        name: String,
        /// What it is good for, from the least to the most: the numbers at /metrics; to see calls and events; to change
        /// calls; to reload the configuration, too
        #[arg(long, value_name = "SCOPE", default_value = "admin", value_parser = scope)]
        scope: Scope,
    },
    /// Make a token worthless
    RemoveToken { name: String },
}

pub(super) fn admin(path: &Path, arguments: &AdminArguments) -> Result<(), Failure> {
    let state = match &arguments.state {
        Some(state) => state.clone(),
        None => load(path)?.store.path,
    };
    let order = match &arguments.what {
        What::Add { name } => json!({"do": "add", "name": name, "password": password()?}),
        What::Passwd { name } => json!({"do": "passwd", "name": name, "password": password()?}),
        What::Remove { name } => json!({"do": "remove", "name": name}),
        What::List => json!({"do": "list"}),
        What::Link => json!({"do": "link"}),
        What::Token { name, scope } => {
            json!({"do": "add_token", "name": name, "scope": scope.as_str()})
        }
        What::RemoveToken { name } => json!({"do": "remove_token", "name": name}),
    };
    let done = runtime()?.block_on(async {
        match ask(&state, &order).await? {
            Some(done) => Ok(done),
            None => alone(&state, &arguments.what, &order).await,
        }
    })?;
    match &arguments.what {
        What::Add { name } => eprintln!("the account {name} is made; sign in at /admin/"),
        What::Passwd { name } => eprintln!("{name} has a new password; every session is over"),
        What::Remove { name } => eprintln!("the account {name} is gone; every session is over"),
        What::RemoveToken { name } => eprintln!("the token {name} is worthless now"),
        What::Link => say!("{}", text(&done, "link")),
        What::Token { name, scope } => {
            eprintln!(
                "the token {name}, of scope {scope}; it is shown this once. Send it as Authorization: Bearer …"
            );
            say!("{}", text(&done, "token"));
        }
        What::List => {
            for kind in ["accounts", "tokens"] {
                say!("{kind}");
                for row in done[kind].as_array().into_iter().flatten() {
                    let (name, made) = (text(row, "name"), text(row, "created_at"));
                    match kind {
                        "tokens" => say!("  {name:32}  {:8}made {made}", text(row, "scope")),
                        _ => say!("  {name:32}  made {made}"),
                    }
                }
            }
        }
    }
    Ok(())
}

fn scope(word: &str) -> Result<Scope, String> {
    let known = Scope::ALL.map(Scope::as_str).join(", ");
    Scope::of(word).ok_or_else(|| format!("scopes are {known}"))
}

fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row[name].as_str().unwrap_or("")
}

/// Asks the daemon that keeps its state here; `None` if none runs.
async fn ask(state: &Path, order: &Value) -> Result<Option<Value>, Failure> {
    let found = Control::find(state).map_err(|error| {
        Failure::permission(format!(
            "cannot read the daemon's secret in {}: {error}. Run this as the daemon's own user",
            state.display()
        ))
    })?;
    let Some(control) = found else {
        return Ok(None);
    };
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(ANSWER_SECS))
        .no_proxy()
        .build()
        .map_err(|error| Failure::failed(error.to_string()))?;
    let url = format!("{}/admin/control/", control.url);
    let sent = client
        .post(&url)
        .bearer_auth(&control.secret)
        .json(order)
        .send()
        .await;
    let answer = match sent {
        Ok(answer) => answer,
        // It was killed, or the machine was: its file stayed behind.
        Err(error) if error.is_connect() => return Ok(None),
        Err(error) => {
            return Err(Failure::temporary(format!(
                "the daemon at {} does not answer: {error}",
                control.url
            )));
        }
    };
    let status = answer.status();
    let body = answer
        .bytes()
        .await
        .map_err(|error| Failure::temporary(error.to_string()))?;
    let value: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    if status.is_success() {
        return Ok(Some(value));
    }
    let detail = match value["detail"].as_str() {
        Some(detail) => detail.to_owned(),
        None => format!("{url} answers {status}"),
    };
    Err(match status.as_u16() {
        // Somebody else answers there by now, who does not know the secret: the daemon is gone.
        401 => return Ok(None),
        403 => Failure::permission(detail),
        503 => Failure::temporary(detail),
        _ => Failure::failed(detail),
    })
}

/// Does it without a daemon.
async fn alone(state: &Path, what: &What, order: &Value) -> Result<Value, Failure> {
    let opened = Alone::open(state).map_err(|error| match error {
        AloneError::Open(error) => Failure::failed(error.to_string()),
        AloneError::Read(error) => Failure::temporary(error.to_string()),
    })?;
    let done = carry_out(opened.accounts(), what, order).await;
    opened.close();
    done.map_err(|error| Failure::failed(error.to_string()))
}

async fn carry_out(accounts: &Accounts, what: &What, order: &Value) -> Result<Value, ChangeError> {
    let password = text(order, "password");
    match what {
        What::Add { name } => accounts.add(name, password).await?,
        What::Passwd { name } => accounts.set_password(name, password).await?,
        What::Remove { name } => accounts.remove(name).await?,
        What::RemoveToken { name } => accounts.remove_token(name).await?,
        What::Token { name, scope } => {
            return Ok(json!({"token": accounts.add_token(name, *scope).await?}));
        }
        What::List => return Ok(accounts.as_json()),
        What::Link => {
            let why = "no daemon runs that a link could lead to; start it, or use: voice-streamer admin add NAME";
            return Err(ChangeError::Refused(why.into()));
        }
    }
    Ok(json!({}))
}

/// A new password: twice from the terminal, unseen, or one line from stdin.
fn password() -> Result<String, Failure> {
    let failed =
        |error: io::Error| Failure::failed(format!("the password could not be read: {error}"));
    if io::stdin().is_terminal() {
        let once = rpassword::prompt_password("Password: ").map_err(failed)?;
        let twice = rpassword::prompt_password("The same again: ").map_err(failed)?;
        if once != twice {
            return Err(Failure::failed(
                "the two are not the same; nothing was changed",
            ));
        }
        return Ok(once);
    }
    let mut line = String::new();
    io::stdin()
        .take(STDIN_BYTES)
        .read_to_string(&mut line)
        .map_err(failed)?;
    Ok(line.lines().next().unwrap_or("").to_owned())
}
