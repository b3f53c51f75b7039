//! The files a page loads, inside the binary: stylesheet, modules, drawings.
//!
//! They lie in one folder whose name is the hash of all of them, so modules import each other by their plain names, a
//! browser keeps them for ever, and a new build is a new folder. Not compressed: all together they are smaller than a
//! photograph, and nobody loads them twice.

use super::super::answer::{Answer, empty, problem, with_type};
use bytes::Bytes;
use hyper::Request;
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, ETAG, HeaderValue, IF_NONE_MATCH};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// Letters of the folder's name: 64 bits of the hash.
const FOLDER_LETTERS: usize = 16;

struct Asset {
    name: &'static str,
    kind: &'static str,
    content: &'static [u8],
}

macro_rules! assets {
    ($($name:literal $kind:literal)*) => {
        &[$(Asset { name: $name, kind: $kind, content: include_bytes!(concat!("assets/", $name)) }),*]
    };
}

const ASSETS: &[Asset] = assets! {
    "style.css" "text/css; charset=utf-8"
    "logs.js" "text/javascript; charset=utf-8"
    "call.js" "text/javascript; charset=utf-8"
    "line.js" "text/javascript; charset=utf-8"
    "sound.js" "text/javascript; charset=utf-8"
    "microphone.js" "text/javascript; charset=utf-8"
    "speaker.js" "text/javascript; charset=utf-8"
    "sample.wav" "audio/wav"
    "mark.svg" "image/svg+xml"
};

static FOLDER: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for asset in ASSETS {
        hash.update(asset.name);
        hash.update([0]);
        hash.update(asset.content.len().to_le_bytes());
        hash.update(asset.content);
    }
    let mut folder: String = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    folder.truncate(FOLDER_LETTERS);
    folder
});

/// Where a page finds an asset.
pub(in crate::http) fn url(name: &str) -> String {
    debug_assert!(
        ASSETS.iter().any(|asset| asset.name == name),
        "no asset {name}"
    );
    format!("/assets/{}/{name}", *FOLDER)
}

/// `GET /assets/{folder}/{name}`
pub(in crate::http) fn asset<B>(request: &Request<B>, folder: &str, name: &str) -> Answer {
    let found = ASSETS.iter().find(|asset| asset.name == name);
    let Some(asset) = found.filter(|_| folder == *FOLDER) else {
        return problem(
            StatusCode::NOT_FOUND,
            "there is no such asset; the page that asks for it is of another build: load it again",
        );
    };
    let etag = format!("\"{}\"", *FOLDER);
    let known = request.headers().get(IF_NONE_MATCH);
    let known = known.and_then(|value| value.to_str().ok());
    let mut answer = with_type(
        StatusCode::OK,
        asset.kind,
        Bytes::from_static(asset.content),
    );
    if known.is_some_and(|known| known.split(',').any(|one| one.trim() == etag)) {
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        *answer.body_mut() = empty();
    }
    let headers = answer.headers_mut();
    let for_ever = HeaderValue::from_static("public, max-age=31536000, immutable");
    headers.insert(CACHE_CONTROL, for_ever);
    // Hexadecimal digits between quotes: always a header.
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(ETAG, etag);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn every_file_of_the_folder_is_in_the_binary() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/pages/assets");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let mut names: Vec<&str> = ASSETS.iter().map(|asset| asset.name).collect();
        files.sort();
        names.sort_unstable();
        assert_eq!(files, names);
    }

    #[test]
    fn an_asset_is_kept_for_ever_under_the_name_of_its_content() {
        for asset in ASSETS {
            let address = url(asset.name);
            let mut request = Request::new(());
            let segments: Vec<&str> = address.trim_matches('/').split('/').collect();
            let answer = super::asset(&request, segments[1], segments[2]);
            assert_eq!(answer.status(), StatusCode::OK, "{address}");
            assert!(
                answer.headers()[CACHE_CONTROL]
                    .to_str()
                    .unwrap()
                    .contains("immutable")
            );
            let etag = answer.headers()[ETAG].clone();
            request.headers_mut().insert(IF_NONE_MATCH, etag);
            let again = super::asset(&request, segments[1], segments[2]);
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        }
    }

    #[test]
    fn another_builds_or_an_unknown_asset_is_not_there() {
        let request = Request::new(());
        for (folder, name) in [
            ("0000000000000000", "style.css"),
            (FOLDER.as_str(), "nothing.css"),
            (FOLDER.as_str(), "../style.css"),
        ] {
            let answer = asset(&request, folder, name);
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{folder}/{name}");
            assert_eq!(answer.headers()[CACHE_CONTROL], "no-store");
        }
    }

    #[test]
    fn modules_say_what_they_are_and_never_write_markup() {
        for asset in ASSETS.iter().filter(|asset| asset.name.ends_with(".js")) {
            let text = str::from_utf8(asset.content).unwrap();
            assert!(text.starts_with("// "), "{}", asset.name);
            for word in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "createContextualFragment",
                "DOMParser",
                "srcdoc",
            ] {
                assert!(!text.contains(word), "{}: {word}", asset.name);
            }
        }
    }
}
