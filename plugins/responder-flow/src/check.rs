//! What a flow must be as a whole: every node reached from the start, no way round that never listens to the caller,
//! every variable one that somebody sets.
//!
//! What a single key must be is `read.rs`.

use std::collections::BTreeSet;

use voice_plugin::dial::{DIALABLE, is_dialable};

use crate::flow::{Flow, Kind, NodeId, Prompt, Template, is_key, is_name};
use crate::near::did_you_mean;
use crate::page::{Keys, Page, Text};

/// Variables that every call has.
pub(crate) const GIVEN: [&str; 6] = ["call", "caller", "called", "language", "outcome", "error"];
/// What the carrier's webhook was given for the call: `parameter.NAME`.
pub(crate) const PARAMETER: &str = "parameter.";
/// Where the caller is, for the flow of this name: `flow.NAME`.
pub(crate) const PLACE: &str = "flow.";

/// Reachability and loops. Only for a flow whose labels all lead somewhere.
pub(crate) fn graph(flow: &Flow, page: &Page<'_>) {
    let mut reached = BTreeSet::new();
    let mut open = vec![flow.start];
    while let Some(node) = open.pop() {
        if reached.insert(node) {
            let ways = flow.nodes[node].kind.ways(&flow.languages);
            open.extend(ways.into_iter().map(|(_, to)| to));
        }
    }
    for (at, node) in flow.nodes.iter().enumerate() {
        if !reached.contains(&at) {
            let text = format!(
                "{}.{} is never reached: nothing leads to it",
                node.kind.word(),
                node.label
            );
            page.wrong(node.line, text);
        }
    }
    for ring in rings(flow) {
        let labels: Vec<&str> = ring
            .iter()
            .map(|at| flow.nodes[*at].label.as_str())
            .collect();
        let first = labels[0];
        let text = format!(
            "a way that goes round without ever listening to the caller: {} → {first}",
            labels.join(" → ")
        );
        page.wrong(flow.nodes[ring[0]].line, text);
    }
}

/// Cycles among nodes that do not listen, each once, as a depth-first walk finds them.
fn rings(flow: &Flow) -> Vec<Vec<NodeId>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        No,
        OnTheWay,
        Done,
    }
    let ways = |at: NodeId| -> Vec<NodeId> {
        let kind = &flow.nodes[at].kind;
        let ways = if kind.listens() {
            Vec::new()
        } else {
            kind.ways(&flow.languages)
        };
        let ways = ways.into_iter().map(|(_, to)| to);
        ways.filter(|to| !flow.nodes[*to].kind.listens()).collect()
    };
    let mut seen = vec![Seen::No; flow.nodes.len()];
    let mut found = Vec::new();
    for start in 0..flow.nodes.len() {
        if seen[start] != Seen::No {
            continue;
        }
        // Each node on the way, with what is left to look at from it.
        let mut way = vec![(start, ways(start))];
        seen[start] = Seen::OnTheWay;
        while let Some((at, rest)) = way.last_mut() {
            let at = *at;
            match rest.pop() {
                Some(to) if seen[to] == Seen::OnTheWay => {
                    let ring = way.iter().map(|(at, _)| *at);
                    found.push(ring.skip_while(|at| *at != to).collect());
                }
                Some(to) if seen[to] == Seen::No => {
                    seen[to] = Seen::OnTheWay;
                    way.push((to, ways(to)));
                }
                Some(_) => {}
                None => {
                    seen[at] = Seen::Done;
                    way.pop();
                }
            }
        }
    }
    found
}

/// Every variable that is used is one that is set somewhere.
pub(crate) fn variables(flow: &Flow, page: &Page<'_>) {
    let mut known: BTreeSet<&str> = GIVEN.into_iter().collect();
    known.extend(flow.variables.keys().map(String::as_str));
    for node in &flow.nodes {
        match &node.kind {
            Kind::Collect(collect) => drop(known.insert(&collect.into)),
            Kind::Voicemail(voicemail) => drop(known.insert(&voicemail.into)),
            Kind::Set { values, .. } => known.extend(values.iter().map(|(name, _)| name.as_str())),
            Kind::Webhook(webhook) => known.extend(webhook.sets.iter().map(String::as_str)),
            _ => {}
        }
    }
    for node in &flow.nodes {
        let mut used: Vec<&str> = Vec::new();
        let mut prompts: Vec<Option<&Prompt>> = vec![node.prompt.as_ref()];
        let mut templates: Vec<&Template> = Vec::new();
        match &node.kind {
            Kind::Menu(menu) => {
                let patience = &menu.patience;
                prompts.extend([
                    patience.silence.prompt.as_ref(),
                    patience.unclear.prompt.as_ref(),
                ]);
            }
            Kind::Collect(collect) => {
                let patience = &collect.patience;
                prompts.extend([
                    patience.silence.prompt.as_ref(),
                    patience.unclear.prompt.as_ref(),
                ]);
                prompts.push(collect.confirm.as_ref());
            }
            Kind::Transfer(transfer) => templates.push(&transfer.to),
            Kind::Keys { digits, .. } => templates.push(digits),
            Kind::Note { text, .. } => templates.push(text),
            Kind::Set { values, .. } => templates.extend(values.iter().map(|(_, value)| value)),
            Kind::Choose(choose) if !choose.variable.is_empty() => used.push(&choose.variable),
            _ => {}
        }
        let texts = prompts
            .into_iter()
            .flatten()
            .flat_map(|prompt| &prompt.texts);
        for template in texts.chain(templates) {
            used.extend(template.variables());
        }
        for name in used {
            if !known.contains(name) && !name.starts_with(PARAMETER) {
                let hint = did_you_mean(name, known.iter().copied());
                let text = format!(
                    "{}.{} uses the variable `{name}`, which nothing sets{hint}",
                    node.kind.word(),
                    node.label
                );
                page.wrong(node.line, text);
            }
        }
    }
}

/// Numbers and keys that can be known before anybody calls: those without variables, or with variables that
/// `[variables]` gives a value.
pub(crate) fn numbers(flow: &Flow, page: &Page<'_>) {
    for node in &flow.nodes {
        let (template, is_wrong, what): (_, fn(&str) -> bool, _) = match &node.kind {
            Kind::Transfer(transfer) => (&transfer.to, |to| !is_dialable(to), DIALABLE),
            Kind::Keys { digits, .. } => (
                digits,
                |keys| !keys.chars().all(is_key),
                "0 to 9, `*`, `#`, A to D, and w for half a second",
            ),
            _ => continue,
        };
        let known = |name| (flow.variables.get(name)).is_some_and(|value| !value.is_empty());
        let text = template.filled(&flow.variables);
        if template.variables().all(known) && !text.is_empty() && is_wrong(text.trim()) {
            let does = match node.kind {
                Kind::Transfer(_) => "connects to",
                _ => "presses",
            };
            let (kind, label) = (node.kind.word(), &node.label);
            page.wrong(
                node.line,
                format!("{kind}.{label} {does} `{text}`; it must be {what}"),
            );
        }
    }
}

/// A variable of the flow's own must have a name, and not that of one that is given.
pub(crate) fn own_name(name: &Text, keys: &Keys<'_>) {
    if !is_name(&name.text) {
        keys.wrong(
            name.line,
            format!("has {:?}, which is no name of a variable", name.text),
        );
    } else if GIVEN.contains(&name.text.as_str())
        || [PARAMETER, PLACE]
            .iter()
            .any(|own| name.text.starts_with(own))
    {
        keys.wrong(
            name.line,
            format!("sets `{}`, which is the call's own", name.text),
        );
    }
}

/// HTTPS anywhere, HTTP on this machine only: what is sent names a caller.
///
/// # Errors
/// What is wrong with it, to stand behind "a url that".
pub(crate) fn url(url: &str) -> Result<(), String> {
    let parsed = reqwest::Url::parse(url).map_err(|why| format!("cannot be read: {why}"))?;
    let host = parsed.host_str().unwrap_or_default();
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err("holds a name or password: use the plugin's key `authorization`".into());
    }
    let local = host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback());
    match parsed.scheme() {
        "https" => Ok(()),
        "http" if local => Ok(()),
        "http" => Err("is not encrypted: https, or http on this machine only".into()),
        other => Err(format!("is `{other}:`; https it must be")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_named_in_clear_on_this_machine_only() {
        for fine in [
            "https://example.com/hook?key=1",
            "https://10.0.0.1:8443/",
            "http://127.0.0.1:8000/",
            "http://[::1]/hook",
            "http://localhost:8000",
        ] {
            assert_eq!(url(fine), Ok(()), "{fine}");
        }
        for (bad, why) in [
            ("http://example.com/", "is not encrypted"),
            ("http://10.0.0.1/", "is not encrypted"),
            ("http://localhost.example.com/", "is not encrypted"),
            ("http://127.0.0.1.example.com/", "is not encrypted"),
            ("https://ann@example.com/", "holds a name or password"),
            ("https://:secret@example.com/", "holds a name or password"),
            ("ftp://example.com/", "is `ftp:`"),
            ("example.com/hook", "cannot be read"),
            ("https://", "cannot be read"),
            ("", "cannot be read"),
        ] {
            let said = url(bad).expect_err(bad);
            assert!(said.starts_with(why), "{bad}: {said}");
        }
    }
}
