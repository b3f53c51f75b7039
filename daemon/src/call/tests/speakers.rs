//! Who says the responder's words: the speaker it names goes with what follows, and with nothing else.

use super::chart::chart;
use super::world::{Does, Manner, World};
use crate::call::output::Output;
use crate::call::settings::Settings;

/// Of each utterance that was asked for: who says it, at which place of his line.
fn asked(world: &World) -> Vec<(u32, u32)> {
    let asked = world.log.iter().filter_map(|(_, output)| match output {
        Output::Speak { speaker, voice, .. } => Some((*speaker, *voice)),
        _ => None,
    });
    asked.collect()
}

fn answers<const N: usize>(does: [Does; N]) -> super::chart::Chart {
    let mut drawing = chart(Settings {
        apology_text: Some("sorry".into()),
        reply_deadline_ms: 1000,
        ..Settings::default()
    });
    let does = does.to_vec();
    drawing.world.responder = Box::new(move |turn| match turn {
        1 => does.iter().map(|does| (0, does.clone())).collect(),
        _ => vec![(0, Does::Says("later".into())), (0, Does::Finishes)],
    });
    drawing
}

#[test]
fn a_speaker_goes_with_the_words_that_follow_and_stays_for_the_next_turn() {
    let world = answers([
        Does::Says("ab".into()),
        Does::Speaks(2),
        Does::Says("cd".into()),
        Does::Finishes,
    ])
    .shows("r")
    .plays(
        "
        caller  ssss.............ssss..........
        bot     .........1122.............33333
        log            r                r
        ",
    );
    assert_eq!(asked(&world), [(0, 0), (2, 0), (2, 0)]);
}

#[test]
fn the_agents_own_sentences_are_in_his_own_voice() {
    let world = answers([Does::Speaks(2), Does::Insists("ab".into()), Does::Fails])
        .shows("r")
        .plays(
            "
            caller  ssss...............
            bot     .........1122222...
            log            r
            ",
        );
    assert_eq!(asked(&world), [(2, 0), (0, 0)]);
}

#[test]
fn another_speaker_begins_at_the_head_of_his_line() {
    let whole = Manner::Speaks {
        after_ms: 100,
        piece_ms: 10_000,
        every_ms: 0,
    };
    let silent = Manner::Silent { after_ms: 100 };
    let world = answers([
        Does::Says("ab".into()),
        Does::Says("cd".into()),
        Does::Speaks(2),
        Does::Says("ef".into()),
        Does::Finishes,
    ])
    .voices([
        Box::new(move |utterance| if utterance == 1 { silent } else { whole }),
        Box::new(move |_| whole),
    ])
    .shows("rv")
    .plays(
        "
        caller  ssss...............
        bot     ..........223344...
        log            rv
        ",
    );
    assert_eq!(asked(&world), [(0, 0), (0, 1), (0, 1), (2, 0)]);
}
