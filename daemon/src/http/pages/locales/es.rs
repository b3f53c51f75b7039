//! The words in Spanish.

use super::{FrameWords, LogsWords, Words};

pub(in crate::http) const ES: Words = Words {
    lang: "es",
    frame: FrameWords {
        skip: "Saltar al contenido",
        navigation: "Páginas",
        logs: "Registros",
        language: "Idioma",
        theme: "Tema",
        auto: "Auto",
        light: "Claro",
        dark: "Oscuro",
        not_here_title: "Desde aquí no",
        not_here: "Esta página solo responde en la máquina donde se ejecuta el programa: ábrala allí como http://localhost.",
    },
    logs: LogsWords {
        title: "Historial de logs de audio",
        date: "Fecha",
        event: "Evento",
        text: "Texto generado",
        duration: "Duración",
        sid: "Twilio SID",
        ip: "IP",
    },
};
