//! Creates plugin projects that can be built and tested at once.
//!
//! Its code is that of an example, which is built and tested with this program.

mod python;
mod templates;

use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use self::templates::{CONTRACT, Template};
use super::install::unwritable;
use crate::error::{Error, Kind, Result};
use crate::own_file;
use crate::plugin::Role;
use crate::registry::Digest;

/// A project has a name of at most so many bytes, because a file is called after it.
const MAX_NAME_LENGTH: usize = 64;

/// A project that is to be made.
#[derive(Debug)]
pub struct Project {
    /// The name of the plugin and of its directory.
    pub name: String,
    /// The kind of plugin.
    pub role: Role,
    /// The programming language.
    pub language: Language,
}

/// The programming language of a project.
#[derive(Debug)]
pub enum Language {
    /// In Rust, with the SDK in this directory.
    Rust(PathBuf),
    /// In Python.
    Python,
}

/// A project that was made.
#[derive(Serialize, JsonSchema)]
pub struct Created {
    /// The name of the plugin.
    pub name: String,
    /// The kind of plugin.
    pub role: Role,
    /// Its directory.
    pub directory: PathBuf,
    /// The files in it.
    pub files: Vec<PathBuf>,
    /// The digest of the contract that it is written against, in hexadecimal.
    pub contract_sha256: String,
}

impl crate::operation::Report for Created {}

/// Writes the project into a new directory. What is there already stays as it is.
pub fn create(project: &Project) -> Result<Created> {
    let Project {
        name,
        role,
        language,
    } = project;
    check_name(name)?;
    let contract = contract_digest().to_hex();
    let mut files = match language {
        Language::Rust(sdk) => {
            let (sdk, template) = (check_sdk(sdk)?, Template::of(*role));
            let mut files = vec![
                ("Cargo.toml", template.manifest(name, &sdk)),
                ("README.md", template.readme(name, *role, &contract)),
                (".gitignore", "/target\n".to_owned()),
            ];
            let own = template.files.iter();
            files.extend(own.map(|(path, text)| (*path, (*text).to_owned())));
            files
        }
        Language::Python => python::files(name, *role, &contract),
    };
    files.extend(
        CONTRACT
            .iter()
            .map(|(path, text)| (*path, (*text).to_owned())),
    );

    let directory = PathBuf::from(name);
    match fs::create_dir(&directory) {
        Err(cause) if cause.kind() == ErrorKind::AlreadyExists => {
            let text = format!("{} is there already", directory.display());
            let error = Error::new(Kind::Exists, text);
            return Err(error.help("choose another name, or go to another directory"));
        }
        made => made.map_err(|cause| unwritable(&directory, cause))?,
    }
    let mut written = Vec::with_capacity(files.len());
    for (path, text) in files {
        let path = directory.join(path);
        let above = path.parent().unwrap_or(&directory);
        let stored =
            fs::create_dir_all(above).and_then(|()| own_file::replace(&path, text.as_bytes()));
        stored.map_err(|cause| unwritable(&path, cause))?;
        written.push(path);
    }
    Ok(Created {
        name: name.clone(),
        role: *role,
        directory,
        files: written,
        contract_sha256: contract,
    })
}

/// The name has to be one of a package of cargo, and of a plugin.
fn check_name(name: &str) -> Result<()> {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_name = name.len() <= MAX_NAME_LENGTH
        && name.bytes().all(is_allowed)
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('-');
    if is_name {
        return Ok(());
    }
    let error = Error::new(
        Kind::Usage,
        format!("{name:?} cannot be the name of a plugin"),
    );
    Err(error.help(format!(
        "at most {MAX_NAME_LENGTH} lower-case letters, digits and hyphens, a letter first: for example my-source"
    )))
}

/// The directory of the SDK, from wherever the project is.
fn check_sdk(sdk: &Path) -> Result<PathBuf> {
    let manifest = sdk.join("Cargo.toml");
    let text = own_file::read_text(&manifest).unwrap_or_default();
    if text.contains("name = \"tthost-plugin\"")
        && let Ok(sdk) = sdk.canonicalize()
    {
        return Ok(sdk);
    }
    let text = format!("{} is not the SDK for plugins", sdk.display());
    let error = Error::new(Kind::Usage, text);
    Err(error.help("name the directory crates/plugin-sdk of a clone of tthost"))
}

/// What the contract is known by: the digest of all its files, each with its name.
fn contract_digest() -> Digest {
    let mut all = String::new();
    for (path, text) in CONTRACT {
        // A string takes everything.
        let _ = write!(all, "{path}\n{}\n{text}", text.len());
    }
    Digest::of(all.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_of_a_package() {
        for name in ["my-source", "a", "s3-sink2"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in [
            "",
            "-a",
            "a-",
            "My",
            "a_b",
            "../a",
            "2a",
            "a b",
            &"a".repeat(65),
        ] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_manifest_is_toml_whatever_the_path_of_the_sdk_is() {
        for role in Role::ALL {
            let sdk = Path::new("/srv/it's \"odd\"/sdk");
            let text = Template::of(role).manifest("mine", sdk);
            let manifest: toml::Table = text.parse().expect("it is TOML");
            let path = manifest["dependencies"]["tthost-plugin"]["path"].as_str();
            assert_eq!(path, sdk.to_str());
            assert_eq!(manifest["package"]["name"].as_str(), Some("mine"));
        }
    }

    #[test]
    fn a_project_has_the_dependencies_of_its_example() {
        for role in Role::ALL {
            let template = Template::of(role);
            let example: toml::Table = template.example.parse().expect("it is TOML");
            let text = template.manifest("mine", Path::new("sdk"));
            let manifest: toml::Table = text.parse().expect("it is TOML");
            let names = |table: &toml::Table| -> Vec<String> {
                let dependencies = table["dependencies"].as_table();
                let dependencies = dependencies.expect("it has dependencies");
                dependencies.keys().cloned().collect()
            };
            assert_eq!(names(&manifest), names(&example));
        }
    }
}
