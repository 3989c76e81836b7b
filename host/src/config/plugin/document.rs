//! Edits one section of a configuration's text, and leaves the rest unchanged.

use serde::Serialize;
use toml_edit::{DocumentMut, InlineTable, Item, Table, TableLike, Value};

use crate::config::file::{Component, Grants};
use crate::error::{Error, Kind, Result};
use crate::plugin::Role;

/// A configuration that is about to change.
pub(super) struct Document {
    text: String,
    toml: DocumentMut,
    /// Whether its lines end as on Windows.
    has_returns: bool,
}

impl Document {
    /// Reads a text, which has to be one that can be written again byte for byte.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let toml = text.parse().map_err(|cause: toml_edit::TomlError| {
            Error::new(Kind::Config, "the configuration is not TOML").caused_by(cause)
        })?;
        let document = Self {
            text: text.to_owned(),
            toml,
            has_returns: text.contains("\r\n"),
        };
        if !text.is_empty() && document.print().trim_end() != text.trim_end() {
            let fault = "the ends of its lines differ, or it begins with a mark of byte order";
            return Err(Error::new(
                Kind::Config,
                format!("the configuration would not stay as it is: {fault}"),
            )
            .help("save it as plain UTF-8 with one kind of line ends, or edit it yourself"));
        }
        Ok(document)
    }

    /// Adds a section behind those of its kind. A store gets a sink with this plugin and these grants around it.
    pub(super) fn add(
        &mut self,
        (role, name): (Role, &str),
        component: &Component,
        settings: Vec<(String, Value)>,
        grants: &Grants,
        around: Option<(&str, &Grants)>,
    ) -> Result<()> {
        let mut section = Table::new();
        section.insert("plugin", value(component));
        if !settings.is_empty() {
            section.insert(
                "config",
                settings.into_iter().collect::<InlineTable>().into(),
            );
        }
        set_grants(&mut section, grants)?;
        if let Some((plugin, grants)) = around {
            let mut sink = Table::new();
            sink.insert("plugin", plugin.into());
            set_grants(&mut sink, grants)?;
            sink.insert("store", Item::Table(section));
            section = sink;
        }
        let key = key(role);
        if !self.toml.contains_key(key) {
            let mut all = Table::new();
            all.set_implicit(true);
            self.toml.insert(key, Item::Table(all));
        }
        let all = table_like(self.toml.get_mut(key))?;
        all.insert(name, Item::Table(section));
        Ok(())
    }

    /// Names another component in a section, and adds what it is granted and set to besides.
    pub(super) fn update(
        &mut self,
        (role, name): (Role, &str),
        component: &Component,
        settings: Vec<(String, Value)>,
        grants: &Grants,
    ) -> Result<()> {
        let section = self.section(role, name)?;
        let plugin = table_like(section.get_mut("plugin"))?;
        let path = component.path.to_string_lossy().into_owned();
        set(plugin, "path", Some(path.into()));
        set(plugin, "sha256", component.sha256.clone().map(Value::from));
        set(plugin, "from", component.from.clone().map(Value::from));
        if !settings.is_empty() {
            let config = below(section, "config")?;
            for (key, value) in settings {
                set(config, &key, Some(value));
            }
        }
        set_grants(section, grants)
    }

    /// Takes a grant out of a section. Without a name, all of its kind.
    pub(super) fn revoke(
        &mut self,
        (role, name): (Role, &str),
        kind: &str,
        grant: Option<&str>,
    ) -> Result<()> {
        let section = self.section(role, name)?;
        let Some(grants) = section.get_mut("grants").and_then(Item::as_table_like_mut) else {
            return Ok(());
        };
        match grant {
            None => drop(grants.remove(kind)),
            Some(grant) => {
                if let Some(all) = grants.get_mut(kind).and_then(Item::as_table_like_mut) {
                    all.remove(grant);
                }
            }
        }
        Ok(())
    }

    /// Takes a section out. What stands before it and is no remark on it stays.
    pub(super) fn remove(&mut self, role: Role, name: &str) -> Result<()> {
        let all = table_like(self.toml.get_mut(key(role)))?;
        let removed = all.remove(name).ok_or_else(absent)?;
        let Item::Table(removed) = removed else {
            return Ok(());
        };
        let before = removed.decor().prefix().and_then(|prefix| prefix.as_str());
        let Some((kept, _)) = before.and_then(|before| before.rsplit_once("\n\n")) else {
            return Ok(());
        };
        if !kept.trim().is_empty() {
            self.insert_comment(&format!("{kept}\n"), removed.position());
        }
        Ok(())
    }

    /// Puts a text before the table that comes first behind a place, or at the end.
    fn insert_comment(&mut self, text: &str, position: Option<isize>) {
        let mut next = None;
        visit(self.toml.as_table_mut(), &mut |table| {
            if table.position() > position && (next.is_none() || table.position() < next) {
                next = table.position();
            }
        });
        if next.is_none() {
            let trailing = self.toml.trailing().as_str().unwrap_or_default();
            let trailing = format!("{text}{trailing}");
            self.toml.set_trailing(trailing);
            return;
        }
        visit(self.toml.as_table_mut(), &mut |table| {
            if table.position() == next {
                let own = table.decor().prefix().and_then(|prefix| prefix.as_str());
                let prefix = format!("{text}{}", own.unwrap_or("\n"));
                table.decor_mut().set_prefix(prefix);
            }
        });
    }

    /// The new text.
    pub(super) fn print(&self) -> String {
        let text = self.toml.to_string();
        if self.has_returns {
            text.replace("\r\n", "\n").replace('\n', "\r\n")
        } else {
            text
        }
    }

    /// What is in the new text and was not in the old one, where that is one piece; none where it is not.
    pub(super) fn added(&self) -> Option<String> {
        let (old, new) = (self.text.as_bytes(), self.print());
        let bytes = new.as_bytes();
        let alike = |pair: &(&u8, &u8)| pair.0 == pair.1;
        let head = old.iter().zip(bytes).take_while(alike).count();
        let rest = old.len() - head;
        let tail = old.iter().rev().zip(bytes.iter().rev());
        let tail = tail.take(rest).take_while(alike).count();
        let is_one_piece = head + tail == old.len();
        let piece = bytes.get(head..bytes.len() - tail)?;
        let piece = String::from_utf8_lossy(piece);
        is_one_piece.then(|| piece.trim().to_owned())
    }

    fn section(&mut self, role: Role, name: &str) -> Result<&mut dyn TableLike> {
        let all = table_like(self.toml.get_mut(key(role)))?;
        let section = table_like(all.get_mut(name))?;
        match role {
            Role::Source | Role::Sink => Ok(section),
            Role::Store => table_like(section.get_mut("store")),
        }
    }
}

fn key(role: Role) -> &'static str {
    match role {
        Role::Source => "sources",
        Role::Sink | Role::Store => "sinks",
    }
}

fn absent() -> Error {
    Error::new(Kind::Config, "the configuration has no such section")
}

fn table_like(item: Option<&mut Item>) -> Result<&mut dyn TableLike> {
    item.and_then(Item::as_table_like_mut).ok_or_else(absent)
}

/// The table of this name, which is made where it is missing.
fn below<'a>(table: &'a mut dyn TableLike, key: &str) -> Result<&'a mut dyn TableLike> {
    if !table.contains_key(key) {
        let mut made = Table::new();
        made.set_dotted(true);
        table.insert(key, Item::Table(made));
    }
    table_like(table.get_mut(key))
}

/// Adds grants to a section, each on a line of its own.
fn set_grants(section: &mut dyn TableLike, grants: &Grants) -> Result<()> {
    let grants = Item::from(to_value(grants));
    let grants = grants.as_inline_table().cloned().unwrap_or_default();
    if grants.is_empty() {
        return Ok(());
    }
    if !section.contains_key("grants") {
        section.insert("grants", Item::Table(Table::new()));
    }
    let there = table_like(section.get_mut("grants"))?;
    for (kind, granted) in grants {
        match granted {
            Value::InlineTable(named) => {
                let all = below(there, &kind)?;
                for (name, grant) in named {
                    set(all, &name, Some(grant));
                }
            }
            Value::Array(hosts) => match there.get_mut(&kind) {
                Some(Item::ArrayOfTables(all)) => {
                    let tables = hosts.into_iter().filter_map(|host| match host {
                        Value::InlineTable(table) => Some(table.into_table()),
                        _ => None,
                    });
                    tables.for_each(|table| all.push(table));
                }
                Some(Item::Value(Value::Array(all))) => {
                    hosts.into_iter().for_each(|host| all.push(host));
                }
                _ => drop(there.insert(&kind, Item::Value(Value::Array(hosts)))),
            },
            _ => {}
        }
    }
    Ok(())
}

/// Puts a value in the place of another, with what stands around that; without one, takes it out.
fn set(table: &mut dyn TableLike, key: &str, new: Option<Value>) {
    let Some(mut new) = new else {
        table.remove(key);
        return;
    };
    if let Some(old) = table.get_mut(key).and_then(Item::as_value_mut) {
        *new.decor_mut() = old.decor().clone();
        *old = new;
        return;
    }
    table.insert(key, Item::Value(new));
    table.fmt();
}

/// Looks at each table that has a heading, wherever it is.
fn visit(table: &mut Table, look: &mut impl FnMut(&mut Table)) {
    for (_, item) in table.iter_mut() {
        let below = match item {
            Item::Table(table) => vec![table],
            Item::ArrayOfTables(tables) => tables.iter_mut().collect(),
            _ => Vec::new(),
        };
        for table in below {
            if table.position().is_some() && !table.is_implicit() && !table.is_dotted() {
                look(table);
            }
            visit(table, look);
        }
    }
}

fn value(value: &impl Serialize) -> Item {
    Item::Value(to_value(value))
}

fn to_value(value: &impl Serialize) -> Value {
    let value = value.serialize(toml_edit::ser::ValueSerializer::new());
    value.expect("it is TOML")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Named;
    use crate::config::file::{Access, Directory, DirectoryPath, Network};

    /// A file as somebody has written it.
    const FILE: &str = "# The backups of the shop.
env-file   =  \"shop.env\" # with the password

[sinks.local] # on the second disk
plugin = 'restic-sink'
grants.directories.repository = { path = \"/mnt/b\",  access = \"read-write\" }

# Every night.
[jobs.nightly]
sources = [
  \"dir:/srv\", # all of it
]
sinks = ['local']
# The end.
";

    fn component(digit: &str, from: Option<&str>) -> Component {
        Component {
            path: format!("plugins/dav-{digit}.wasm").into(),
            sha256: Some(digit.repeat(64)),
            from: from.map(str::to_owned),
        }
    }

    fn grants() -> Grants {
        let directory = Directory {
            path: DirectoryPath::Path("/srv/x".into()),
            access: Access::ReadWrite,
        };
        let network = Network {
            origin: "https://dav.example.com".into(),
            private: false,
            ca: None,
        };
        Grants {
            directories: Named::from([("state".into(), directory)]),
            network: vec![network],
            ..Grants::default()
        }
    }

    const SINK: (Role, &str) = (Role::Sink, "dav");

    fn with_plugin(text: &str) -> String {
        let mut document = Document::parse(text).expect("it is TOML");
        let settings = vec![("url".to_owned(), Value::from("https://dav"))];
        document
            .add(
                SINK,
                &component("1", Some("oci://h/dav:1")),
                settings,
                &grants(),
                None,
            )
            .expect("there is none");
        assert!(document.added().is_some(), "{}", document.print());
        document.print()
    }

    const SECTION: &str = "
[sinks.dav]
plugin = { path = \"plugins/dav-1.wasm\", sha256 = \"1111111111111111111111111111111111111111111111111111111111111111\", from = \"oci://h/dav:1\" }
config = { url = \"https://dav\" }

[sinks.dav.grants]
directories.state = { path = \"/srv/x\", access = \"read-write\" }
network = [{ origin = \"https://dav.example.com\" }]
";

    #[test]
    fn a_section_is_added_behind_its_kind_and_nothing_else_changes() {
        let (before, after) = FILE.split_once("\n# Every").expect("it is there");
        let expected = format!("{before}{SECTION}\n# Every{after}");
        assert_eq!(with_plugin(FILE), expected);
        assert_eq!(with_plugin(""), SECTION.trim_start());
        // What has no end of its line gets one.
        let last = "[sinks.local]\nplugin = 'restic-sink'";
        assert_eq!(with_plugin(last), format!("{last}\n{SECTION}"));
        // However the others are written.
        for text in [
            "sinks.local.plugin = 'restic-sink'\n",
            "sinks = { local = { plugin = 'restic-sink' } }\n",
        ] {
            let file: crate::config::File = toml::from_str(&with_plugin(text)).expect("it is one");
            assert_eq!(file.sinks.len(), 2);
        }
    }

    #[test]
    fn a_store_comes_with_a_sink_around_it_and_goes_with_it() {
        let directory = Directory {
            path: DirectoryPath::Path("/var/lib/copies".into()),
            access: Access::ReadWrite,
        };
        let around = Grants {
            directories: Named::from([("state".into(), directory)]),
            ..Grants::default()
        };
        let mut document = Document::parse(FILE).expect("it is TOML");
        let store = (Role::Store, "dav");
        let around = Some(("restic-sink", &around));
        document
            .add(store, &component("1", None), Vec::new(), &grants(), around)
            .expect("there is none");
        let section = document.added().expect("it is one piece");
        let expected = "\
[sinks.dav]
plugin = \"restic-sink\"

[sinks.dav.grants]
directories.state = { path = \"/var/lib/copies\", access = \"read-write\" }

[sinks.dav.store]
plugin = { path = \"plugins/dav-1.wasm\", sha256 = \"1111111111111111111111111111111111111111111111111111111111111111\" }

[sinks.dav.store.grants]
directories.state = { path = \"/srv/x\", access = \"read-write\" }
network = [{ origin = \"https://dav.example.com\" }]";
        assert_eq!(section, expected);
        let updated = component("2", Some("oci://h/dav:2"));
        document
            .update(store, &updated, Vec::new(), &Grants::default())
            .expect("it is there");
        let text = document.print();
        assert!(text.contains("plugins/dav-2.wasm"), "{text}");
        assert!(
            text.contains("[sinks.dav]\nplugin = \"restic-sink\""),
            "{text}"
        );
        document.remove(Role::Store, "dav").expect("it is there");
        assert_eq!(document.print(), FILE);
    }

    #[test]
    fn a_section_that_is_removed_leaves_what_was_there_before() {
        for text in [FILE, "# Only this.\n", ""] {
            let mut document = Document::parse(&with_plugin(text)).expect("it is TOML");
            document.remove(Role::Sink, "dav").expect("it is there");
            assert_eq!(document.print(), text);
        }
        let mut document = Document::parse(FILE).expect("it is TOML");
        document
            .remove(Role::Sink, "dav")
            .expect_err("there is none");
    }

    #[test]
    fn a_remark_on_a_section_goes_with_it_and_one_on_the_file_stays() {
        let text = "# On the file.\n\n# On the sink.\n[sinks.a]\nplugin = 'x'\n\n[sinks.b]\nplugin = 'y'\n";
        let mut document = Document::parse(text).expect("it is TOML");
        document.remove(Role::Sink, "a").expect("it is there");
        assert_eq!(
            document.print(),
            "# On the file.\n\n[sinks.b]\nplugin = 'y'\n"
        );
        document.remove(Role::Sink, "b").expect("it is there");
        assert_eq!(document.print(), "# On the file.\n");
    }

    #[test]
    fn an_update_changes_the_component_and_adds_what_is_new() {
        let mut document = Document::parse(&with_plugin(FILE)).expect("it is TOML");
        let more = Grants {
            directories: Named::from([(
                "cache".into(),
                Directory {
                    path: DirectoryPath::Path("/srv/y".into()),
                    access: Access::ReadOnly,
                },
            )]),
            ..Grants::default()
        };
        document
            .update(
                SINK,
                &component("2", Some("oci://h/dav:2")),
                Vec::new(),
                &more,
            )
            .expect("it is there");
        document.revoke(SINK, "network", None).expect("it is there");
        let (one, two) = ("1".repeat(64), "2".repeat(64));
        let expected = with_plugin(FILE)
            .replace("dav-1", "dav-2")
            .replace(&one, &two)
            .replace("dav:1", "dav:2")
            .replace("network = [{ origin = \"https://dav.example.com\" }]\n", "")
            .replace(
                "access = \"read-write\" }\n\n# Every",
                "access = \"read-write\" }\ndirectories.cache = { path = \"/srv/y\", access = \"read-only\" }\n\n# Every",
            );
        assert_eq!(document.print(), expected);
    }

    #[test]
    fn a_component_is_exchanged_however_it_is_written() {
        for text in [
            "[sinks.dav]\nplugin.path = 'a' # mine\nplugin.sha256 = 'b'\n",
            "[sinks.dav.plugin]\npath = 'a'\n",
            "[sinks]\ndav = { plugin = { path = 'a', from = 'oci://h/dav:0' } }\n",
        ] {
            let mut document = Document::parse(text).expect("it is TOML");
            let new = component("2", None);
            document
                .update(SINK, &new, Vec::new(), &grants())
                .expect(text);
            let printed = document.print();
            let file: crate::config::File = toml::from_str(&printed).expect(&printed);
            let sink = &file.sinks["dav"];
            let crate::config::file::Plugin::Component(found) = &sink.plugin else {
                panic!("{printed}");
            };
            assert_eq!(
                (&found.path, &found.sha256, &found.from),
                (&new.path, &new.sha256, &None)
            );
            assert_eq!(
                (sink.grants.directories.len(), sink.grants.network.len()),
                (1, 1)
            );
            assert_eq!(
                printed.contains("# mine"),
                text.contains("# mine"),
                "{printed}"
            );
        }
    }

    #[test]
    fn ends_of_lines_stay_and_where_they_cannot_nothing_is_changed() {
        let windows = FILE.replace('\n', "\r\n");
        let with_plugin = with_plugin(&windows);
        assert_eq!(
            with_plugin.matches('\n').count(),
            with_plugin.matches("\r\n").count()
        );
        assert!(with_plugin.starts_with(&windows[..200]));
        let mixed = FILE.replacen('\n', "\r\n", 1);
        let error = Document::parse(&mixed).err().expect("they differ");
        assert!(error.message().contains("ends of its lines"), "{error}");
    }
}
