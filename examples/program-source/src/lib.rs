//! What a granted program writes, as one file.

use tthost_plugin::source::{Caller, Check, Contents, Entries, Node, Nothing, Reader, Source};
use tthost_plugin::{About, Error, Result, command};

tthost_plugin::configuration! {
    /// What is backed up.
    struct Config {
        /// What the file is called in a snapshot, for example `export.json`.
        file: String,
        /// Arguments for the program, behind those that the operator fixed.
        #[serde(default)]
        arguments: Vec<String>,
    }
    needs {
        command "export": "It writes what is backed up.",
    }
}

struct Export {
    path: String,
    arguments: Vec<String>,
}

tthost_plugin::export_source!(Export);

impl Source for Export {
    type Config = Config;
    type Restoration = Nothing;

    const ABOUT: About = About {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        summary: "Backs up what a program writes",
    };

    async fn open(Config { file, arguments }: Config, _: Caller) -> Result<Self> {
        if file.is_empty() || file.contains(['/', '\0']) || file == "." || file == ".." {
            return Err(Error::Config(format!(
                "config.file: {file:?} is not the name of a file"
            )));
        }
        Ok(Self {
            path: format!("/{file}"),
            arguments,
        })
    }

    fn paths(&self) -> Vec<String> {
        vec![self.path.clone()]
    }
}

impl Reader for Export {
    type File = Vec<String>;

    fn entries(&mut self) -> Entries<Vec<String>> {
        // Nobody knows how long it will be.
        Entries::of([Node::file(self.path.clone(), None, self.arguments.clone())])
    }

    async fn read(&self, arguments: &Vec<String>) -> Result<Contents> {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        // The program's exit code is a verdict. What it wrote is looked at besides.
        let written = command::run_from("export", &arguments).await?;
        Ok(Contents::from(written.checked(Something::default())))
    }
}

/// Whether there is anything at all: a program that writes nothing has seldom done what it should.
#[derive(Default)]
struct Something {
    bytes: usize,
}

impl Check for Something {
    fn follow(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
    }

    fn finish(&mut self) -> Result<()> {
        if self.bytes == 0 {
            return Err(Error::Other("the program wrote nothing".into()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_no_export() {
        let mut check = Something::default();
        assert!(check.finish().is_err());
        check.follow(b"something");
        assert!(check.finish().is_ok());
    }
}
