//! The words in English.

use super::{FrameWords, LogsWords, Words};

pub(in crate::http) const EN: Words = Words {
    lang: "en",
    frame: FrameWords {
        skip: "Skip to the content",
        navigation: "Pages",
        logs: "Logs",
        language: "Language",
        theme: "Theme",
        auto: "Auto",
        light: "Light",
        dark: "Dark",
        not_here_title: "Not from here",
        not_here: "This page answers on the daemon's own machine only: open it as http://localhost there.",
    },
    logs: LogsWords {
        title: "Audio log history",
        date: "Date",
        event: "Event",
        text: "Generated text",
        duration: "Duration",
        sid: "Twilio SID",
        ip: "IP",
    },
};
