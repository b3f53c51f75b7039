//! The flow as a drawing, for `voice-streamer check`: each node in the order of the file, a line for each way out of it.

use crate::flow::{Flow, Kind, Node};

/// Letters of a prompt that are shown.
const SHOWN: usize = 44;

/// The drawing; lines end with a line break but the last.
pub(crate) fn draw(flow: &Flow) -> String {
    let mut drawing = format!(
        "languages {}; the call begins at {}",
        flow.languages.join(", "),
        flow.nodes[flow.start].label
    );
    for node in &flow.nodes {
        draw_node(flow, node, &mut drawing);
    }
    drawing
}

fn draw_node(flow: &Flow, node: &Node, drawing: &mut String) {
    drawing.push_str(&format!("\n{} ({}", node.label, node.kind.word()));
    let what = match &node.kind {
        Kind::Language { language, .. } => format!(" {}", flow.languages[*language]),
        Kind::Collect(collect) => format!(" {}", collect.into),
        Kind::Voicemail(voicemail) => format!(" {}", voicemail.into),
        Kind::Choose(choose) => format!(" by {}", choose.variable),
        // What follows the path may be a secret.
        Kind::Webhook(webhook) => {
            let shown = webhook.url.split(['?', '#']).next().unwrap_or_default();
            format!(" {shown}")
        }
        _ => String::new(),
    };
    drawing.push_str(&format!("{what})"));
    if let Some(prompt) = &node.prompt {
        let firm = if prompt.firm { "firmly " } else { "" };
        let words = prompt.texts[0].written();
        let mut shown: String = words.chars().take(SHOWN).collect();
        if shown.len() < words.len() {
            shown.push('…');
        }
        drawing.push_str(&format!(" {firm}“{shown}”"));
    }
    let ways = node.kind.ways(&flow.languages);
    let last = ways.len().saturating_sub(1);
    for (at, (why, to)) in ways.into_iter().enumerate() {
        let branch = if at == last { "└" } else { "├" };
        let space = if why.is_empty() { "" } else { " " };
        drawing.push_str(&format!(
            "\n  {branch}─ {why}{space}→ {}",
            flow.nodes[to].label
        ));
    }
    if let Kind::HangUp = node.kind {
        drawing.push_str("\n  └─ the call ends");
    }
}
