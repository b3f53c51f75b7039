//! Where a plugin's library lies: a bare name is looked for in a few known folders, a path is taken as it is.
//!
//! Only looks; whether the file may be loaded is the plugin room's question.

use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::problem::Problem;
use super::tree::Config;

/// Where a package installs plugins.
const SYSTEM_PLUGINS: &str = "/usr/lib/voice-streamer/plugins";

impl Config {
    /// The file of a `library` key.
    ///
    /// A bare name such as `responder_echo` is `libresponder_echo.so` in `exe_dir`, the executable's folder, then in
    /// `lib/voice-streamer/plugins` beside that folder, then in `/usr/lib/voice-streamer/plugins`. Anything with a `/` is
    /// a path; a relative one starts at the folder of the configuration file.
    ///
    /// # Errors
    /// A sentence that names every place that was looked at.
    pub fn find_library(&self, library: &str, exe_dir: &Path) -> Result<PathBuf, String> {
        if library.contains('/') {
            let path = self.folder().join(library);
            // In words for people a path is whole, and stays right when it is read in another folder.
            let path = std::path::absolute(&path).unwrap_or(path);
            return if path.is_file() {
                Ok(path)
            } else {
                Err(format!("there is no file {}", path.display()))
            };
        }
        let name_like = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if library.is_empty() || !library.chars().all(name_like) {
            return Err(format!(
                "`{}` is neither a bare name such as `responder_echo` nor a path with a `/`: for a file beside the \
                 configuration write `./{0}`",
                library.escape_debug()
            ));
        }
        // A crate called `responder-echo` makes `libresponder_echo.so`; either spelling means it.
        let file = format!("lib{}.so", library.replace('-', "_"));
        let mut folders = vec![exe_dir.to_owned()];
        folders.extend(
            exe_dir
                .parent()
                .map(|prefix| prefix.join("lib/voice-streamer/plugins")),
        );
        folders.push(SYSTEM_PLUGINS.into());
        folders.dedup();
        if let Some(found) = folders
            .iter()
            .map(|folder| folder.join(&file))
            .find(|path| path.is_file())
        {
            return Ok(found);
        }
        let looked: Vec<String> = folders
            .iter()
            .map(|folder| folder.display().to_string())
            .collect();
        Err(format!(
            "there is no {file} in {}",
            looked.join(", nor in ")
        ))
    }

    /// What is wrong with the library of `[plugins.NAME]`, drawn at its `library` key.
    pub fn library_problem(&self, plugin: &str, message: &str) -> Problem {
        let message = format!("[plugins.{plugin}]: {message}");
        self.problem_at(["plugins", plugin, "library"], message, None)
    }

    /// What is wrong with a key of `[FAMILY.NAME]`, drawn at its value; of the file as a whole if it is not there.
    pub fn problem_at(
        &self,
        [family, name, key]: [&str; 3],
        message: String,
        hint: Option<String>,
    ) -> Problem {
        // Parsed once already when this configuration was made.
        let document = DeTable::parse(&self.source.text).ok();
        let place = document.as_ref().and_then(|document| {
            let family = document.get_ref().get(family)?.get_ref().as_table()?;
            let table = family.get(name)?.get_ref().as_table()?;
            Some(table.get(key)?.span())
        });
        match place {
            Some(span) => self.source.problem(span, false, message, hint),
            None => Problem::whole(&self.file, message, hint),
        }
    }

    /// The folder that relative paths in the file start at.
    pub(super) fn folder(&self) -> &Path {
        super::folder_of(&self.file)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::{Env, parse, tests::SMALL};

    fn at(file: &Path) -> Config {
        parse(SMALL, file, &Env::default()).unwrap()
    }

    #[test]
    fn a_bare_name_is_found_beside_the_executable_before_anywhere_else() {
        let root = tempfile::tempdir().unwrap();
        let (bin, lib) = (
            root.path().join("bin"),
            root.path().join("lib/voice-streamer/plugins"),
        );
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::create_dir_all(&lib).unwrap();
        let config = at(&root.path().join("config.toml"));
        let found = |library: &str| config.find_library(library, &bin);

        let expected = format!(
            "there is no libmy_ears.so in {}, nor in {}, nor in /usr/lib/voice-streamer/plugins",
            bin.display(),
            lib.display()
        );
        assert_eq!(found("my_ears"), Err(expected));
        std::fs::write(lib.join("libmy_ears.so"), "").unwrap();
        assert_eq!(found("my_ears"), Ok(lib.join("libmy_ears.so")));
        assert_eq!(found("my-ears"), Ok(lib.join("libmy_ears.so")));
        std::fs::write(bin.join("libmy_ears.so"), "").unwrap();
        assert_eq!(found("my_ears"), Ok(bin.join("libmy_ears.so")));
    }

    #[test]
    fn a_path_starts_at_the_folder_of_the_file() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("ears.so"), "").unwrap();
        let config = at(&root.path().join("config.toml"));
        let found = |library: &str| config.find_library(library, Path::new("/nowhere"));
        assert_eq!(found("./ears.so"), Ok(root.path().join("./ears.so")));
        let absolute = root.path().join("ears.so");
        assert_eq!(found(absolute.to_str().unwrap()), Ok(absolute));
        assert_eq!(
            found("/nowhere/x.so"),
            Err("there is no file /nowhere/x.so".to_owned())
        );
        assert!(found("ears.so").unwrap_err().ends_with("write `./ears.so`"));
        // Told as one whole path, however the configuration was named.
        let here = std::env::current_dir().unwrap().join("Cargo.toml");
        for file in ["config.toml", "./config.toml"] {
            let found = at(Path::new(file)).find_library("./Cargo.toml", root.path());
            assert_eq!(found.unwrap().as_os_str(), here.as_os_str());
        }
        assert!(found("").is_err());
    }
}
