//! What is refused, and in which words; and the drawing of what is taken.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::drawing::draw;

fn problems(text: &str) -> String {
    match read(text) {
        Ok(_) => "fine".into(),
        Err(problems) => {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            lines.join("\n")
        }
    }
}

#[test]
fn all_mistakes_are_told_at_once_each_with_its_line() {
    let text = r#"languages = ["en", "es"]
start = "mian"
colour = "red"

[menu.main]
prompt.en = "Hello {nmae}."
otherwise = "bye"
silence = { limit = 0 }

[[menu.main.branch]]
digit = "1"
words.en = ["sales"]
words.es = ["Ventas"]
to = "slaes"

[[menu.main.branch]]
digit = "1"
words.en = ["Sales!"]
to = "bye"

[[menu.main.branch]]
to = "bye"

[say.sales]
prompt = "Sales."

[hang_up.bye]
promt.en = "Bye."
"#;
    assert_eq!(
        problems(text),
        "line 2: start leads to `mian`, and there is no such label; did you mean `main`?\n\
         line 3: unknown key colour\n\
         line 5: menu.main uses the variable `nmae`, which nothing sets\n\
         line 6: menu.main has no `prompt` in es\n\
         line 8: menu.main.silence.limit must be a whole number from 1 to 10\n\
         line 14: menu.main.branch.to leads to `slaes`, and there is no such label; did you mean `sales`?\n\
         line 17: menu.main.branch takes the digit 1 a second time\n\
         line 18: menu.main.branch has no `words` in es\n\
         line 18: menu.main.branch takes “Sales!” (en) a second time\n\
         line 21: menu.main.branch can never be taken: it has neither `digit` nor `words`\n\
         line 24: say.sales is a dead end: it needs `next`\n\
         line 25: say.sales has one `prompt` for several languages: write one for each of en, es, as in prompt.en = …\n\
         line 28: unknown key hang_up.bye.promt; did you mean `prompt`?"
    );
}

#[test]
fn the_graph_is_checked_as_a_whole() {
    let head = "languages = [\"en\"]\nstart = \"a\"\n";
    for (nodes, expected) in [
        (
            "[say.a]\nprompt = \"A.\"\nnext = \"bye\"\n[hang_up.bye]\n[say.lost]\nprompt = \"L.\"\nnext = \"bye\"\n",
            "line 7: say.lost is never reached: nothing leads to it",
        ),
        (
            "[say.a]\nprompt = \"A.\"\nnext = \"b\"\n[set.b]\nvalues = { x = \"1\" }\nnext = \"a\"\n",
            "line 3: a way that goes round without ever listening to the caller: a → b → a",
        ),
        (
            "[say.a]\nprompt = \"A.\"\nnext = \"a\"\n",
            "line 3: a way that goes round without ever listening to the caller: a → a",
        ),
        // Round through a menu is no loop: the caller is asked.
        (
            "[menu.a]\nprompt = \"A?\"\notherwise = \"a\"\nbranch = [{ digit = \"1\", to = \"a\" }]\n",
            "fine",
        ),
        (
            "[say.a]\nprompt = \"A.\"\nnext = \"b\"\n[menu.a]\nprompt = \"x\"\n",
            "line 2: start",
        ),
    ] {
        let said = problems(&format!("{head}{nodes}"));
        assert!(
            said.starts_with(expected) || expected == "line 2: start",
            "{said}"
        );
    }
}

#[test]
fn each_kind_says_what_it_lacks() {
    for (node, expected) in [
        (
            "[menu.a]\n",
            "line 3: menu.a has no branches: add [[menu.a.branch]]",
        ),
        (
            "[menu.a]\n",
            "line 3: menu.a leads nowhere on `silence`: give it `otherwise`, where a caller goes who cannot go on",
        ),
        (
            "[menu.a]\n",
            "line 3: menu.a needs `prompt`: what the caller is asked",
        ),
        (
            "[collect.a]\n",
            "line 3: collect.a needs `into`: the variable that the number goes into",
        ),
        (
            "[collect.a]\nmin = 4\nmax = 2\n",
            "line 3: collect.a can never be done: `min` 4 is more than `max` 2",
        ),
        (
            "[collect.a]\ninto = \"caller\"\n",
            "line 4: collect.a sets `caller`, which is the call's own",
        ),
        (
            "[collect.a]\nterminator = \"5\"\n",
            "line 4: collect.a has a `terminator` that is neither `#` nor `*` nor empty",
        ),
        (
            "[voicemail.a]\nmax_secs = 0\n",
            "line 4: voicemail.a.max_secs must be a whole number from 1 to 600",
        ),
        (
            "[webhook.a]\n",
            "line 3: webhook.a needs `url`: where to send the call's facts",
        ),
        (
            "[webhook.a]\nurl = \"http://example.com/\"\n",
            "line 4: webhook.a has a `url` that is not encrypted: https, or http on this machine only",
        ),
        (
            "[webhook.a]\nurl = \"https://u:p@example.com/\"\n",
            "line 4: webhook.a has a `url` that holds a name or password: use the plugin's key `authorization`",
        ),
        (
            "[webhook.a]\nnext = \"a\"\n",
            "line 3: webhook.a is a dead end: it needs `error`",
        ),
        (
            "[transfer.a]\n",
            "line 3: transfer.a needs `to`: the number to connect to",
        ),
        (
            "[transfer.a]\n",
            "line 3: transfer.a is a dead end: it needs `busy`",
        ),
        (
            "[transfer.a]\nto = \"+15550100\"\notherwise = \"a\"\n",
            "line 3: transfer.a is a dead end: it needs `completed`",
        ),
        (
            "[transfer.a]\nto = \"555-0123\"\n",
            "line 3: transfer.a connects to `555-0123`; it must be + and 3 to 15 digits, a short number of 3 to 6 digits, or \
             sip:name@host",
        ),
        (
            "[keys.a]\n",
            "line 3: keys.a needs `digits`: which keys to press",
        ),
        (
            "[keys.a]\ndigits = \"1-2\"\n",
            "line 3: keys.a presses `1-2`; it must be 0 to 9, `*`, `#`, A to D, and w for half a second",
        ),
        (
            "[set.a]\n",
            "line 3: set.a sets nothing: values = { name = \"value\" }",
        ),
        (
            "[note.a]\n",
            "line 3: note.a needs `text`: what to write down",
        ),
        (
            "[language.a]\nto = \"ne\"\n",
            "line 4: `ne` is none of the flow's `languages`; did you mean `en`?",
        ),
        (
            "[choose.a]\n",
            "line 3: choose.a has no `cases`: cases = { \"value\" = \"label\" }",
        ),
        ("[say.a]\n", "line 3: say.a needs `prompt`: what to say"),
        (
            "[say.a]\nprompt = \"{a\"\n",
            "line 4: say.a has a `{` without a `}`; `{{` says one: \"{a\"",
        ),
        (
            "[say.a]\nprompt = \" \"\n",
            "line 4: say.a has an empty `prompt`",
        ),
        (
            "[say.\"a b\"]\nprompt = \"x\"\n",
            "line 3: say.\"a b\" is no label: letters, digits, `_` and `-`",
        ),
    ] {
        let text = format!("languages = [\"en\"]\nstart = \"a\"\n{node}");
        let said = problems(&text);
        assert!(
            said.lines().any(|line| line == expected),
            "{node}:\n{said}\n--- wanted:\n{expected}"
        );
    }
}

/// What `[variables]` says may be changed later, but it is what most calls begin and end with.
#[test]
fn a_number_in_a_variable_is_looked_at_unless_it_is_still_to_come() {
    for (value, expected) in [
        ("+15550100", "fine"),
        ("", "fine"),
        ("911", "fine"),
        ("sips:desk@example.com", "fine"),
        (
            "5550100",
            "line 5: transfer.a connects to `5550100`; it must be + and 3 to 15 digits, a short number of 3 to 6 digits, \
             or sip:name@host",
        ),
    ] {
        let text = format!(
            "languages = [\"en\"]\nstart = \"a\"\n[variables]\noperator = \"{value}\"\n[transfer.a]\n\
             to = \"{{operator}}\"\ncompleted = \"b\"\notherwise = \"b\"\n[hang_up.b]\n"
        );
        assert_eq!(problems(&text), expected);
    }
}

/// What follows from a mistake is not told as another.
#[test]
fn a_digit_without_quotes_is_one_mistake() {
    let text = "languages = [\"en\"]\nstart = \"a\"\n[menu.a]\nprompt = \"A?\"\notherwise = \"b\"\n\
                branch = [{ digit = 1, to = \"b\" }]\n[hang_up.b]\n";
    let expected = "line 6: menu.a.branch.digit must be a text, in quotes";
    assert_eq!(problems(text), expected);
}

#[test]
fn a_drawing_shows_no_secret_of_a_webhooks_address() {
    let text = "languages = [\"en\"]\nstart = \"a\"\n[webhook.a]\nurl = \"https://example.com/hook?key=canary\"\n\
                next = \"b\"\nerror = \"b\"\n[hang_up.b]\n";
    let drawn = draw(&read(text).unwrap());
    assert!(
        drawn.contains("a (webhook https://example.com/hook)"),
        "{drawn}"
    );
}

#[test]
fn what_is_no_flow_at_all_is_refused_in_one_sentence() {
    assert_eq!(
        problems("a = \n"),
        "line 1: this is no TOML: string values must be quoted, expected literal string"
    );
    assert_eq!(
        problems("front-desk.toml"),
        "line 1: this is no TOML: key with no value, expected `=`; for the text of that file write flow = \
         \"${file:front-desk.toml}\""
    );
    assert!(problems("").contains("the flow has no nodes"));
    assert_eq!(
        problems(
            "languages = [\"en\"]\nstart = \"a\"\n[say.a]\nprompt = \"A\"\nnext = \"b\"\n[hang_up.a]\n[hang_up.b]\n"
        ),
        "line 6: the label `a` stands at line 3 already"
    );
    let many: String = (0..60).map(|at| format!("k{at} = 1\n")).collect();
    let said = problems(&many);
    assert_eq!(said.lines().count(), 51, "{said}");
    assert!(said.contains("… and "), "{said}");
    let nodes: String = (0..501).map(|at| format!("[hang_up.n{at}]\n")).collect();
    let said = problems(&format!("languages = [\"en\"]\nstart = \"n0\"\n{nodes}"));
    assert_eq!(said, "line 1: the flow has 501 nodes; 500 at most");
}

/// No text whatsoever is more than refused.
#[test]
fn a_flow_cut_anywhere_is_refused_or_taken_and_nothing_else() {
    let text = include_str!("../examples/front-desk.toml");
    let mut taken = 0;
    for (end, _) in text.char_indices().filter(|(at, _)| at % 7 == 0) {
        taken += usize::from(read(&text[..end]).is_ok());
    }
    assert!(taken < 100, "{taken} pieces of a flow were flows");
}

#[test]
fn a_flow_is_drawn_with_a_line_for_each_way() {
    let text = r#"
languages = ["en"]
start = "main"
[menu.main]
prompt = "Hello, and welcome to the company that we are, press something."
otherwise = "bye"
unclear = { limit = 2, to = "number" }
branch = [{ digit = ["1", "2"], words = ["sales", "buy"], to = "number" }]
[collect.number]
prompt = "Number?"
into = "n"
min = 2
max = 3
confirm = true
next = "lang"
otherwise = "bye"
[language.lang]
to = "en"
next = "bye"
[hang_up.bye]
prompt = "Bye {n:digits}."
firm = true
"#;
    assert_eq!(
        draw(&read(text).unwrap()),
        "languages en; the call begins at main\n\
         main (menu) “Hello, and welcome to the company that we ar…”\n\
         \x20 ├─ 1, 2, en “sales” “buy” → number\n\
         \x20 ├─ silence ×3 → bye\n\
         \x20 └─ not understood ×2 → number\n\
         number (collect n) “Number?”\n\
         \x20 ├─ 2 to 3 digits, confirmed → lang\n\
         \x20 ├─ silence ×3 → bye\n\
         \x20 └─ not understood ×3 → bye\n\
         lang (language en)\n\
         \x20 └─ → bye\n\
         bye (hang_up) firmly “Bye {n:digits}.”\n\
         \x20 └─ the call ends"
    );
}

#[test]
fn the_examples_are_right() {
    for (name, text) in [
        ("front-desk", include_str!("../examples/front-desk.toml")),
        ("survey", include_str!("../examples/survey.toml")),
        ("dentist", include_str!("../examples/dentist.toml")),
    ] {
        assert_eq!(problems(text), "fine", "{name}");
    }
}
