//! Who reads a page: in which language, with which theme, at which address. Read from the request alone; nothing about
//! who he is or what he may see.

use super::locales::{EN, ES, Words};
use crate::carrier::twilio::form;
use hyper::Request;
use hyper::header::{ACCEPT_LANGUAGE, COOKIE, HeaderMap};

/// Parts of an `Accept-Language` that are looked at; browsers send two to six.
const LANGUAGES_LOOKED_AT: usize = 16;

/// The languages of the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    Es,
    En,
}

/// Light and dark, or as the reader's system is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Theme {
    Auto,
    Light,
    Dark,
}

/// What a page has to know about its request.
#[derive(Debug)]
pub(in crate::http) struct Reader {
    pub(super) language: Language,
    pub(super) theme: Theme,
    path: String,
    /// The query without the choices of language and theme.
    query: Vec<(String, String)>,
    chosen: Vec<(&'static str, &'static str)>,
}

impl Language {
    pub(super) const ALL: [Language; 2] = [Language::Es, Language::En];

    pub(super) fn as_str(self) -> &'static str {
        self.words().lang
    }

    /// In the language itself.
    pub(super) fn name(self) -> &'static str {
        match self {
            Language::Es => "Español",
            Language::En => "English",
        }
    }

    fn words(self) -> &'static Words {
        match self {
            Language::Es => &ES,
            Language::En => &EN,
        }
    }

    fn read(tag: &str) -> Option<Language> {
        let primary = tag.split('-').next().unwrap_or("");
        Language::ALL
            .into_iter()
            .find(|language| primary.eq_ignore_ascii_case(language.as_str()))
    }

    /// The one the browser likes best among ours (RFC 9110 §12.5.4).
    fn accepted(headers: &HeaderMap) -> Option<Language> {
        let value = headers.get(ACCEPT_LANGUAGE)?.to_str().ok()?;
        let mut best = None;
        for part in value.split(',').take(LANGUAGES_LOOKED_AT) {
            let mut pieces = part.split(';');
            let tag = pieces.next().unwrap_or("").trim();
            let weight = pieces
                .find_map(|piece| piece.trim().strip_prefix("q=")?.trim().parse().ok())
                .unwrap_or(1.0_f32);
            if let Some(language) = Language::read(tag)
                && weight > best.map_or(0.0, |(_, weight)| weight)
            {
                best = Some((language, weight));
            }
        }
        best.map(|(language, _)| language)
    }
}

impl Theme {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Theme::Auto => "auto",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }

    fn read(word: &str) -> Option<Theme> {
        [Theme::Auto, Theme::Light, Theme::Dark]
            .into_iter()
            .find(|theme| theme.as_str() == word)
    }
}

impl Reader {
    /// A choice in the address counts before the one in the cookie, and that before what the browser prefers.
    pub(in crate::http) fn of<B>(request: &Request<B>) -> Reader {
        let headers = request.headers();
        let query = request.uri().query().unwrap_or("");
        let params = form::parse(query.as_bytes()).unwrap_or_default();
        let mut chosen = Vec::new();
        let language = params.get("lang").and_then(Language::read);
        chosen.extend(language.map(|language| ("lang", language.as_str())));
        let language = language
            .or_else(|| cookie(headers, "lang").and_then(Language::read))
            .or_else(|| Language::accepted(headers))
            .unwrap_or(Language::En);
        let theme = params.get("theme").and_then(Theme::read);
        chosen.extend(theme.map(|theme| ("theme", theme.as_str())));
        let theme = theme
            .or_else(|| cookie(headers, "theme").and_then(Theme::read))
            .unwrap_or(Theme::Auto);
        let query = params
            .pairs()
            .filter(|(name, _)| !matches!(*name, "lang" | "theme"))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Reader {
            language,
            theme,
            path: request.uri().path().to_owned(),
            query,
            chosen,
        }
    }

    /// Every word of the pages in the reader's language.
    pub(in crate::http) fn words(&self) -> &'static Words {
        self.language.words()
    }

    /// This page's address with one parameter set, or left out when the value is empty; the others are kept.
    pub(in crate::http) fn with(&self, name: &str, value: &str) -> String {
        let kept = self.query.iter().filter(|(known, _)| known != name);
        let set = [(name, value)]
            .into_iter()
            .filter(|(_, value)| !value.is_empty());
        let pairs: Vec<(&str, &str)> = kept
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .chain(set)
            .collect();
        match form::encode(&pairs) {
            query if query.is_empty() => self.path.clone(),
            query => format!("{}?{query}", self.path),
        }
    }

    /// What was chosen in this request, to be remembered: name and value of each cookie.
    pub(super) fn chosen(&self) -> &[(&'static str, &'static str)] {
        &self.chosen
    }
}

/// The value of a cookie.
pub(in crate::http) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let values = headers.get_all(COOKIE).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(known, value)| (known == name).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn of(target: &str, accept: &'static str, cookie: &'static str) -> Reader {
        let mut request = Request::new(());
        *request.uri_mut() = target.parse().unwrap();
        let headers = request.headers_mut();
        headers.insert(ACCEPT_LANGUAGE, HeaderValue::from_static(accept));
        headers.insert(COOKIE, HeaderValue::from_static(cookie));
        Reader::of(&request)
    }

    #[test]
    fn the_address_counts_before_the_cookie_and_that_before_the_browser() {
        for (target, accept, cookie, language) in [
            ("/", "", "", Language::En),
            ("/", "es", "", Language::Es),
            ("/", "ES-419", "", Language::Es),
            ("/", "fr, en;q=0.4, es;q=0.9", "", Language::Es),
            ("/", "es;q=0, en", "", Language::En),
            ("/", "es;q=nonsense, en;q=0.2", "", Language::Es),
            ("/", "de,fr", "", Language::En),
            ("/", "en", "theme=dark; lang=es", Language::Es),
            ("/?lang=en", "es", "lang=es", Language::En),
            ("/?lang=%3Cscript%3E", "es", "lang=\"", Language::Es),
        ] {
            assert_eq!(
                of(target, accept, cookie).language,
                language,
                "{target} {accept} {cookie}"
            );
        }
        assert_eq!(of("/?theme=light", "", "theme=dark").theme, Theme::Light);
        assert_eq!(of("/", "", "theme=dark").theme, Theme::Dark);
        assert_eq!(of("/", "", "theme=pink").theme, Theme::Auto);
    }

    #[test]
    fn an_address_keeps_what_else_was_asked() {
        let reader = of("/audio/logs/?text=a%26b%3D%3C&lang=es&before=9", "", "");
        assert_eq!(
            reader.with("before", "3"),
            "/audio/logs/?text=a%26b%3D%3C&before=3"
        );
        assert_eq!(reader.with("before", ""), "/audio/logs/?text=a%26b%3D%3C");
        assert_eq!(
            of("/audio/logs/", "", "").with("text", "ñ\""),
            "/audio/logs/?text=%C3%B1%22"
        );
    }
}
