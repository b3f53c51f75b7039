//! The words of the pages under `/admin/`, in both languages.

use serde::Serialize;

macro_rules! words {
    ($($name:ident: $en:literal, $es:literal;)*) => {
        /// The pages under `/admin/`.
        #[derive(Debug, Serialize)]
        pub(in crate::http) struct AdminWords {
            $(pub(in crate::http) $name: &'static str,)*
        }

        pub(super) const EN: AdminWords = AdminWords { $($name: $en,)* };
        pub(super) const ES: AdminWords = AdminWords { $($name: $es,)* };
    };
}

words! {
    pages: "Administration pages", "Páginas de administración";

    sign_in: "Sign in", "Iniciar sesión";
    sign_out: "Sign out", "Cerrar sesión";
    name: "Name", "Nombre";
    password: "Password", "Contraseña";
    old_password: "Current password", "Contraseña actual";
    new_password: "New password", "Contraseña nueva";
    password_hint: "At least {least} characters. A short sentence is easy to remember and hard to guess.",
        "Al menos {least} caracteres. Una frase corta se recuerda bien y se adivina mal.";
    password_ends: "A new password ends every session of this account, this one too.",
        "Una contraseña nueva cierra todas las sesiones de esta cuenta, también esta.";
    change: "Change", "Cambiar";
    wrong: "The name or the password is wrong.", "El nombre o la contraseña no son correctos.";
    wait: "Too many failures. Wait {secs} s and try again.", "Demasiados intentos fallidos. Espere {secs} s y vuelva a probar.";
    busy: "That did not work just now. Try again in a moment.", "Ahora mismo no ha sido posible. Vuelva a probar en un momento.";
    bad_account: "A name has up to 64 letters a–z, digits, or . _ - @; a password has {least} to 256 characters.",
        "El nombre lleva hasta 64 letras a–z, cifras o . _ - @; la contraseña, de {least} a 256 caracteres.";
    nobody_title: "There is no account yet", "Aún no hay ninguna cuenta";
    nobody: "Open the one-time link that the daemon printed when it started. For a new one run “voice-streamer admin link” on its machine, or make an account there with “voice-streamer admin add NAME”.",
        "Abra el enlace de un solo uso que el programa mostró al arrancar. Para obtener otro, ejecute «voice-streamer admin link» en su máquina, o cree allí una cuenta con «voice-streamer admin add NOMBRE».";
    first_title: "The first account", "La primera cuenta";
    first: "Choose the name and the password you will sign in with. This link works once.",
        "Elija el nombre y la contraseña con los que iniciará sesión. Este enlace sirve una sola vez.";
    make_account: "Create the account", "Crear la cuenta";
    bad_link_title: "This link does not work", "Este enlace no sirve";
    bad_link: "It has been used, it is older than an hour, or there is an account by now. For a new one run “voice-streamer admin link” on the daemon's machine.",
        "Ya se usó, tiene más de una hora o ya existe una cuenta. Para obtener otro, ejecute «voice-streamer admin link» en la máquina del programa.";
    in_clear_title: "Not over this connection", "Por esta conexión no";
    in_clear: "A password would cross the network in clear. Open this page over https (http.public_url), or as http://localhost on the daemon's own machine.",
        "La contraseña viajaría por la red sin cifrar. Abra esta página por https (http.public_url) o como http://localhost en la propia máquina del programa.";
    stale_title: "The form is no longer good", "El formulario ya no vale";
    stale: "It belongs to another session. Go back, reload the page and try again.",
        "Pertenece a otra sesión. Vuelva atrás, recargue la página y pruebe de nuevo.";
    ending: "The daemon is ending.", "El programa se está cerrando.";

    calls: "Calls", "Llamadas";
    call: "Call", "Llamada";
    from: "From", "De";
    to: "To", "A";
    status: "Status", "Estado";
    duration: "Duration", "Duración";
    created: "Created (UTC)", "Creada (UTC)";
    updated: "Changed (UTC)", "Modificada (UTC)";
    direction: "Direction", "Sentido";
    agent: "Agent", "Agente";
    ended_reason: "Ended because", "Motivo del fin";
    events: "What happened, newest first", "Qué ocurrió, lo último primero";
    detail: "Details", "Detalles";
    search: "Call or number", "Llamada o número";
    any: "Any", "Cualquiera";
    from_day: "From day", "Desde el día";
    until_day: "Until day", "Hasta el día";
    filter: "Filter", "Filtrar";
    clear: "Show all", "Ver todas";
    turn: "More rows", "Más filas";
    newest: "Newest", "Lo último";
    older: "Older", "Anteriores";
    hang_up: "Hang up", "Colgar";
    no_calls: "No call matches.", "Ninguna llamada coincide.";
    no_call_title: "No such call", "No existe esa llamada";
    no_call: "There is no call of this name, or it has been forgotten.", "No hay ninguna llamada con ese nombre, o ya se olvidó.";

    voices: "Voices and plugins", "Voces y complementos";
    voices_only: "Voices", "Voces";
    agents: "Agents", "Agentes";
    plugins: "Plugins", "Complementos";
    plugin: "Plugin", "Complemento";
    numbers: "Numbers", "Números";
    every_other: "every other number", "los demás números";
    responder: "Responder", "Respuestas";
    voice: "Voice", "Voz";
    transcriber: "Transcriber", "Transcripción";
    transcribers: "Transcribers", "Transcripciones";
    endpointer: "Endpointer", "Fin de turno";
    format: "Sound", "Sonido";
    language: "Language", "Idioma";
    fallback: "Fallback", "Reserva";
    state: "State", "Estado";
    open: "open", "abierto";
    hung: "hung", "bloqueado";
    left_out: "left out", "descartado";
    reason: "Reason", "Motivo";
    generation: "Generation", "Generación";
    library: "Library", "Biblioteca";
    roles: "Roles", "Funciones";
    isolation: "Isolation", "Aislamiento";
    in_process: "none, in the daemon's process", "ninguno, en el proceso del programa";
    streams: "Streams", "Flujos";
    panics: "Panics", "Pánicos";

    settings: "Configuration", "Configuración";
    reload: "Reload", "Recargar";
    last_reload: "Last reload", "Última recarga";
    outcome: "Outcome", "Resultado";
    when: "When", "Cuándo";
    cause: "Cause", "Causa";
    took: "Took", "Tardó";
    in_force_since: "In force since", "En vigor desde";
    applied: "applied", "aplicada";
    unchanged: "nothing changed", "sin cambios";
    refused: "refused", "rechazada";
    refused_title: "The file is wrong; nothing was changed", "El archivo es erróneo; no se cambió nada";
    refused_text: "The configuration from before stays in force, all of it.", "Sigue en vigor, entera, la configuración anterior.";
    cause_start: "the daemon started", "el programa arrancó";
    cause_file: "the file changed", "el archivo cambió";
    cause_signal: "a signal (SIGHUP)", "una señal (SIGHUP)";
    cause_asked: "somebody asked", "alguien lo pidió";
    waiting: "Waits for a restart", "Espera a un reinicio";
    in_force: "In force", "En vigor";
    secrets_hidden: "secrets are shown as dots", "los secretos se muestran como puntos";
    key: "Key", "Clave";
    value: "Value", "Valor";
    before: "Before", "Antes";
    after: "After", "Después";
    takes: "Takes effect", "Surte efecto";
}
