//! Where answers are cut into utterances: tables in three scripts, any cutting of the text into pieces by seed, and
//! the bounds.

use super::super::saying::MAX_TEXT_BYTES;
use super::super::splitter::{MAX_WAITING_BYTES, Splitter};
use super::simulation::Dice;

/// A splitter of words of one call.
#[derive(Default)]
struct Plain(Splitter);

impl Plain {
    fn push(&mut self, piece: &str) -> bool {
        self.0.push(piece, false)
    }

    fn next_utterance(&mut self) -> Option<String> {
        self.0.next_utterance().map(|cut| cut.text)
    }

    fn rest(&mut self) -> Option<String> {
        self.0.rest().map(|cut| cut.text)
    }
}

/// What is said for `pieces`: what is whole after each of them (`|` between), and behind `‖` what waited for the end.
fn said(pieces: &[&str]) -> String {
    let mut splitter = Plain::default();
    let mut early = Vec::new();
    for piece in pieces {
        assert!(splitter.push(piece));
        early.extend(std::iter::from_fn(|| splitter.next_utterance()));
    }
    let late: Vec<_> = std::iter::from_fn(|| splitter.rest()).collect();
    format!("{}‖{}", early.join("|"), late.join("|"))
}

/// Each line is an answer as it should be cut, with `|` between the utterances and `‖` before what waits for its end.
/// It is given whole, as the second half of an answer that has begun, so that no clause is cut off.
#[track_caller]
fn is_cut(lines: &str) {
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let text = line.replace(['|', '‖'], " ");
        let mut splitter = Plain::default();
        assert!(splitter.push("Now here is a first sentence. "));
        assert!(splitter.next_utterance().is_some());
        assert!(splitter.push(&text.replace("  ", " ").replace('↵', "\n")));
        let early: Vec<_> = std::iter::from_fn(|| splitter.next_utterance()).collect();
        let late: Vec<_> = std::iter::from_fn(|| splitter.rest()).collect();
        let got = format!("{}‖{}", early.join("|"), late.join("|")).replace('\n', "↵");
        assert_eq!(got, line);
    }
}

#[test]
fn english_is_cut_at_its_sentences() {
    is_cut(
        r#"
        We are open today.|Would you like to come?|I can book it!‖Shall I
        Please ask Mr. Smith or Dr. Jones.|They are at 12 St. James Street.‖Good.
        It is in many shops, e.g. the one on Main Street, i.e. near you.|Anything else?‖
        We close at 5 p.m. on Sundays.|It opens at 9 a.m.|Please come early.‖Bye.
        It costs 3.14 or 1.000,50 or 1,234.50 today.|That is version 2.0.1 of it.‖At 10.30 then.
        J. R. R. Tolkien wrote the book.|He lived in the U.K.|He never saw the U.S. Army base.‖Yes.
        See https://example.com/a.b?c=d!e and write to a.b@example.co.uk for it.|Or call www.example.com today.‖OK
        Well... it depends on many things.|I am not sure…|Let me look for it.‖One.
        "Is it ready?" he asked me today.|"It is." She said that (twice.)|We left then.‖Now.
        What do you mean by that?!!|Stop it right there!!!‖No
        The invoice is No. 5 on page 7, see p. 12.|So I said no.|He did not. It is done.‖Fine
        Apples, pears, etc. are here for you.|Also bread, milk, etc.|Then we left.‖So
        That is all I can't.|We work with Acme Inc.|The rest is yours.‖Hm
        hello there, how are you.|i am fine today.‖and you
        "#,
    );
}

#[test]
fn spanish_is_cut_at_its_sentences() {
    is_cut(
        "
        Le atiende la Sra. García.|¿Quiere Ud. hablar con el Dr. Pérez?|¡Claro que sí!‖Un momento
        Está en la pág. 12, núm. 7, del libro.|Vienen de EE. UU. y de otros países.‖Bien.
        Es para Uds.|Gracias por llamar.|Manzanas, peras, etc.|También hay pan.‖Adiós
        Abrimos a las 9 a. m. todos los días.|Cerramos a las 5 p. m.|Vengan pronto.‖Sí
        Cuesta 1.000,50 euros.¿|Le parece bien?‖No
        Ya está hecho.|—Gracias —dijo él.|Y se fue.‖Eso
        "
        .replace("euros.¿|Le", "euros.|¿Le")
        .as_str(),
    );
    assert_eq!(
        said(&["¿Sabe usted la hora?¿Sí?"]),
        "¿Sabe usted la hora?|¿Sí?‖"
    );
}

#[test]
fn japanese_and_chinese_need_no_space() {
    let cases = [
        (
            "お電話ありがとうございます。ご用件は何ですか？はい",
            "お電話ありがとうございます。|ご用件は何ですか？‖はい",
        ),
        (
            "「はい、そうです。」と彼は言いました。次へ",
            "「はい、そうです。」と彼は言いました。‖次へ",
        ),
        ("「はい、そうです。」", "‖「はい、そうです。」"),
        (
            "您好，今天营业。价格是3.14元。",
            "您好，今天营业。|价格是3.14元。‖",
        ),
        ("はい。わかりました。", "はい。わかりました。‖"),
    ];
    for (text, cut) in cases {
        assert_eq!(said(&[text]), cut);
    }
    let hindi = "नमस्ते, आप कैसे हैं? मैं ठीक हूँ। और";
    assert_eq!(said(&[hindi]), "नमस्ते, आप कैसे हैं?|मैं ठीक हूँ।‖और");
}

#[test]
fn lines_and_lists_are_cut_too() {
    is_cut(
        "
        A line that was broken↵to fit the page is one sentence.|It is over.‖And
        All of it is done! 🎉|The next one **is bold.**|Here we are. 🎉‖Yes
        ",
    );
    assert_eq!(
        said(&["Here are the fruits:\n- red apples\n\n- green pears\n"]),
        "Here are the fruits:|- red apples‖- green pears"
    );
    assert_eq!(
        said(&["1. First the apples\n2. Then the pears.\n10. All"]),
        "1. First the apples|2. Then the pears.‖10. All"
    );
}

#[test]
fn a_full_stop_waits_for_what_follows() {
    assert_eq!(
        said(&["It is 3.", "50 euros now. ", "Yes"]),
        "It is 3.50 euros now.‖Yes"
    );
    assert_eq!(said(&["It is exactly three."]), "‖It is exactly three.");
    assert_eq!(said(&["It is exactly three. "]), "It is exactly three.‖");
    assert_eq!(said(&["Then ask Dr. ", "Jones."]), "‖Then ask Dr. Jones.");
    assert_eq!(
        said(&["We meet at 5 p.m. ", "Come"]),
        "We meet at 5 p.m.‖Come"
    );
    assert_eq!(
        said(&["We meet at 5 p.m. ", "or so."]),
        "‖We meet at 5 p.m. or so."
    );
    assert_eq!(
        said(&["He asked: (\"Are you sure?", "\") I am."]),
        "He asked: (\"Are you sure?\")‖I am."
    );
    assert_eq!(
        said(&["Look at http://x.example/?", "a=1 then. "]),
        "Look at http://x.example/?a=1 then.‖"
    );
}

#[test]
fn what_is_certain_does_not_wait() {
    assert_eq!(said(&["How may I help you?"]), "How may I help you?‖");
    assert_eq!(
        said(&["お電話ありがとうございます。"]),
        "お電話ありがとうございます。‖"
    );
}

#[test]
fn a_short_sentence_goes_with_the_next_or_alone_at_once() {
    assert_eq!(
        said(&["Yes. It is open today. And"]),
        "Yes. It is open today.‖And"
    );
    assert_eq!(
        said(&["Yes. ", "It is open today. And"]),
        "Yes.|It is open today.‖And"
    );
    assert_eq!(said(&["Yes. It is"]), "Yes.‖It is");
    assert_eq!(said(&["Yes.", " It is open."]), "Yes.‖It is open.");
    assert_eq!(said(&["OK. ", "👍"]), "OK.‖");
}

#[test]
fn only_the_first_utterance_is_cut_at_a_clause() {
    assert_eq!(
        said(&[
            "Of course, I can look ",
            "that up for you, ",
            "and then, if you like, ",
            "I"
        ]),
        "Of course, I can look that up for you,‖and then, if you like, I"
    );
    assert_eq!(
        said(&["Thank you for calling — how"]),
        "Thank you for calling —‖how"
    );
    assert_eq!(said(&["The price of that is: "]), "The price of that is:‖");
    assert_eq!(
        said(&["ご来店ありがとうございます、少々"]),
        "ご来店ありがとうございます、‖少々"
    );
    // No clause: a number, a time, a hyphen, and too soon.
    for whole in [
        "It costs about $1,000 or",
        "We open the door at 10:30 or",
        "A twenty-year-old well-known one",
        "Yes, it is",
    ] {
        assert_eq!(said(&[whole]), format!("‖{whole}"));
    }
}

#[test]
fn an_answer_without_words_is_said_as_it_is_and_the_next_begins_anew() {
    assert_eq!(said(&["👍"]), "‖👍");
    assert_eq!(said(&[" \n ", ""]), "‖");
    let mut splitter = Plain::default();
    assert!(splitter.push("One is done. And"));
    while splitter.rest().is_some() {}
    assert!(splitter.push("Thank you for calling, "));
    assert_eq!(
        splitter.next_utterance().as_deref(),
        Some("Thank you for calling,")
    );
}

#[test]
fn no_utterance_is_longer_than_a_voice_takes() {
    let clauses = "word word, ".repeat(500);
    let words = "word ".repeat(1000);
    let letters = "é".repeat(5000);
    let wide = "語".repeat(3000);
    let dots = format!("a{}b", ".".repeat(9000));
    for text in [&clauses, &words, &letters, &wide, &dots] {
        let mut splitter = Plain::default();
        assert!(splitter.push("Now here is a first sentence. "));
        splitter.next_utterance();
        assert!(splitter.push(text));
        let mut got = String::new();
        let mut longest = 0;
        while let Some(utterance) = splitter.next_utterance().or_else(|| splitter.rest()) {
            assert!(utterance.len() <= MAX_TEXT_BYTES);
            longest = longest.max(utterance.len());
            got += &utterance;
        }
        assert!(longest > MAX_TEXT_BYTES - 20, "{longest}");
        assert_eq!(got.replace(' ', ""), text.replace(' ', ""));
    }
    // At the best place.
    for (text, end) in [(&clauses, "word word,"), (&words, "word word")] {
        let mut splitter = Plain::default();
        assert!(splitter.push("Now here is a first sentence. "));
        splitter.next_utterance();
        assert!(splitter.push(text));
        let utterance = splitter.next_utterance().unwrap();
        assert!(utterance.ends_with(end));
    }
}

#[test]
fn a_piece_without_room_is_refused_whole() {
    let mut splitter = Plain::default();
    assert!(splitter.push(&"x".repeat(MAX_WAITING_BYTES - 1)));
    assert!(!splitter.push("yz"));
    assert!(splitter.push("y"));
    assert!(!splitter.push("z"));
    let mut bytes = 0;
    while let Some(utterance) = splitter.rest() {
        bytes += utterance.len();
    }
    assert_eq!(bytes, MAX_WAITING_BYTES);
}

/// What must stay in one piece however the text arrives.
const WHOLE: &[&str] = &[
    "3.14",
    "1.000,50",
    "Mr. Smith",
    "Dr. Jones",
    "J. R. R. Tolkien",
    "U.S.",
    "e.g. this",
    "10:30",
    "v2.0.1",
    "https://example.com/a.b?c=d",
    "a.b@example.co.uk",
    "la Sra. García",
    "núm. 7",
    "pág. 12",
    "9 a. m. de",
    "EE. UU. y",
    "St. James",
    "No. 5",
    "etc. and",
    "Node.js",
    "won't",
    "日本語",
];
const BETWEEN: &[&str] = &[" word ", " words and more words ", " y entonces "];
const ENDS: &[&str] = &[
    " here. The",
    " now? I",
    " today! ¿Y",
    "… Then",
    "\n- A",
    "。",
    "？",
    "\n\nThe",
    " \"so.\" He",
    " sí. Pero",
    " is, well, ",
    " is — so ",
    " 🎉 A",
    "!!! 🎉 A",
    " (yes.) It",
];

#[test]
fn however_it_arrives_nothing_is_lost_and_no_name_is_cut() {
    let seeds = std::env::var("VS_SEEDS")
        .ok()
        .and_then(|seeds| seeds.parse().ok());
    for seed in 1..=seeds.unwrap_or(3000) {
        let mut dice = Dice::new(seed);
        let mut pick = |from: &[&'static str]| from[dice.from(0, from.len() as u64 - 1) as usize];
        let mut text = String::new();
        let mut names = Vec::new();
        for _ in 0..12 {
            text += pick(BETWEEN);
            names.push(pick(WHOLE));
            text += names.last().unwrap();
            text += pick(BETWEEN).trim_end();
            text += pick(ENDS);
        }
        let mut splitter = Plain::default();
        let mut got = Vec::new();
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let letters = dice.from(1, 12) as usize;
            let end = rest
                .char_indices()
                .nth(letters)
                .map_or(rest.len(), |(at, _)| at);
            assert!(splitter.push(&rest[..end]));
            rest = &rest[end..];
            got.extend(std::iter::from_fn(|| splitter.next_utterance()));
        }
        got.extend(std::iter::from_fn(|| splitter.rest()));
        let dense = |text: &str| text.split_whitespace().collect::<String>();
        let wrong = |what: &str| format!("seed {seed}: {what}\n{text}\n{got:#?}");
        assert!(
            got.concat().len() <= text.len() && got.len() > 3,
            "{}",
            wrong("count")
        );
        assert!(dense(&text) == dense(&got.concat()), "{}", wrong("lost"));
        for utterance in &got {
            assert!(
                utterance.contains(char::is_alphanumeric),
                "{}",
                wrong("nothing to say")
            );
            assert!(utterance == utterance.trim(), "{}", wrong("space"));
        }
        for name in names {
            assert!(
                got.iter().any(|utterance| utterance.contains(name)),
                "{}",
                wrong(name)
            );
        }
    }
}
