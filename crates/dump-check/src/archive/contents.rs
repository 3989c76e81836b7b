//! The header of an archive and its table of contents, which all formats share.
//!
//! `pg_restore` and this parser must find the same entries, whatever the archive contains. So a number that does not
//! fit into its type is damage.

use std::collections::BTreeMap;

use super::{Examine, Fault, Form};
use crate::input::{Ended, Input};

/// The magic of an archive.
pub(super) const MAGIC: &[u8; 5] = b"PGDMP";

/// The archive versions that the parser knows, from `PostgreSQL` 9.0 on.
pub(super) const KNOWN: std::ops::RangeInclusive<u8> = 12..=16;

/// From this version on, large objects come in several groups.
const GROUPS: u8 = 16;

/// A longer table of contents is none.
const MAX_ENTRIES: u64 = 10_000_000;

/// The texts of an entry are shorter, in bytes, together.
const MAX_ENTRY_LENGTH: u64 = 64 << 20;

/// The entry has no data, as its place says.
pub(super) const NO_DATA: u8 = 3;

/// A byte too many makes the next length an absurd one, so that it looks as if the rest were missing.
const DAMAGED: &str = "has a table of contents that is cut or damaged; if it went through a terminal, use \
                       docker compose exec with -T, docker exec or ssh without -t";

/// The parts of an entry of a table of contents that decide what `pg_restore` does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub number: u64,
    /// The sort of object.
    pub sort: Vec<u8>,
    /// The object's name.
    pub name: Vec<u8>,
    /// SQL that makes the object.
    pub definition: Vec<u8>,
    /// SQL that removes it.
    pub removal: Vec<u8>,
    /// SQL that its rows follow.
    pub copy: Vec<u8>,
    /// The first entry that it depends on.
    pub first_dependency: Option<Vec<u8>>,
}

/// The kinds of data of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Data {
    Rows,
    /// Rows that are inserted by statements.
    Statements,
    LargeObjects,
}

/// An archive's head.
pub(super) struct Head {
    pub(super) input: Input,
    pub(super) minor: u8,
    offset: u8,
    pub(super) is_compressed: bool,
    form: Form,
}

/// The entries with data, each with the name of its file in a tar.
pub(super) type WithData = BTreeMap<u64, (Data, Vec<u8>)>;

/// Reads the head. `None` for an unknown, newer version.
pub(super) async fn head(input: Input, form: Form) -> Result<Option<Head>, Fault> {
    let other = |text: &str| Err(Fault::Other(text.into()));
    let cut = |Ended| Fault::Other("is empty, or cut in its header (\"PGDMP\")".into());
    if input.take::<5>().await.map_err(cut)? != *MAGIC {
        return other("is not an archive of pg_dump: it does not begin with \"PGDMP\"");
    }
    let [major, minor, _, integer, offset, found] = input.take::<6>().await.map_err(cut)?;
    if found != form as u8 {
        return other("is not an archive of pg_dump in the format that it should have");
    }
    if major != 1 || minor > *KNOWN.end() {
        return Ok(None);
    }
    // It is as long on all systems that PostgreSQL runs on.
    if !KNOWN.contains(&minor) || integer != 4 || !(1..=8).contains(&offset) {
        return other("has a header that is damaged");
    }
    Ok(Some(Head {
        input,
        minor,
        offset,
        is_compressed: false,
        form,
    }))
}

impl Head {
    /// Reads a signed number. `None` if it is negative.
    async fn integer(&self) -> Result<Option<u64>, Fault> {
        let [sign] = self.input.take().await?;
        let number = u32::from_le_bytes(self.input.take().await?);
        if sign > 1 || i32::try_from(number).is_err() {
            return Err(Fault::Damaged);
        }
        Ok((sign == 0 || number == 0).then_some(number.into()))
    }

    pub(super) async fn natural(&self) -> Result<u64, Fault> {
        self.integer().await?.ok_or(Fault::Damaged)
    }

    /// Reads an optional text. Counts its size against the room for texts.
    async fn text(&self, room: &mut u64) -> Result<Option<Vec<u8>>, Fault> {
        let Some(length) = self.integer().await? else {
            return Ok(None);
        };
        *room = room
            .checked_sub(length)
            .ok_or_else(|| Fault::Other("has an entry that is too long".into()))?;
        let mut text = Vec::new();
        let keep = |piece: &[u8]| {
            text.extend_from_slice(piece);
            Ok::<_, std::convert::Infallible>(())
        };
        let _ = self.input.show(length, keep).await?;
        Ok(Some(text))
    }

    /// Skips a text. Returns its length.
    async fn length(&self) -> Result<Option<u64>, Fault> {
        let length = self.integer().await?;
        self.input.skip(length.unwrap_or_default()).await?;
        Ok(length)
    }

    /// Reads a text. Keeps it only if it is needed. Otherwise a few bytes tell whether it is empty.
    async fn text_for(
        &self,
        examiner: Option<&mut Box<dyn Examine>>,
        room: &mut u64,
    ) -> Result<Vec<u8>, Fault> {
        if examiner.is_some() {
            return Ok(self.text(room).await?.unwrap_or_default());
        }
        let length = self.length().await?.unwrap_or_default();
        Ok(vec![0; usize::from(length > 0)])
    }

    /// The table of contents: the entries that have data.
    pub(super) async fn contents(
        &mut self,
        mut examiner: Option<&mut Box<dyn Examine>>,
    ) -> Result<WithData, Fault> {
        let read = self.read_contents(&mut examiner).await;
        let with_data = read.map_err(|fault| match fault {
            Fault::Cut | Fault::Damaged => Fault::Other(DAMAGED.into()),
            other @ Fault::Other(_) => other,
        })?;
        if let Some(examiner) = examiner {
            examiner.contents_end().map_err(Fault::Other)?;
        }
        Ok(with_data)
    }

    async fn read_contents(
        &mut self,
        examiner: &mut Option<&mut Box<dyn Examine>>,
    ) -> Result<WithData, Fault> {
        self.is_compressed = if self.minor >= 15 {
            self.input.take::<1>().await? != [0]
        } else {
            self.integer().await? != Some(0)
        };
        // When it was made, from the seconds to summer time.
        for _ in 0..7 {
            self.integer().await?;
        }
        // The database.
        self.length().await?;
        // The versions of the server and of pg_dump.
        for _ in 0..2 {
            let text = self
                .text(&mut { MAX_ENTRY_LENGTH })
                .await?
                .unwrap_or_default();
            if let Some(examiner) = examiner {
                examiner.comment(&text).map_err(Fault::Other)?;
            }
        }
        let count = self.natural().await?;
        if count > MAX_ENTRIES {
            return Err(Fault::Damaged);
        }
        let mut with_data = WithData::new();
        for _ in 0..count {
            let (entry, data) = self.entry(examiner.as_deref_mut()).await?;
            if let Some(examiner) = examiner {
                examiner.entry(&entry).map_err(Fault::Other)?;
            }
            if let Some(data) = data
                && with_data.insert(entry.number, data).is_some()
            {
                return Err(Fault::Damaged);
            }
        }
        Ok(with_data)
    }

    /// An entry of the table of contents, with its data and their file, if it has some.
    async fn entry(
        &self,
        mut examiner: Option<&mut Box<dyn Examine>>,
    ) -> Result<(Entry, Option<(Data, Vec<u8>)>), Fault> {
        let mut room = MAX_ENTRY_LENGTH;
        let number = self.natural().await?;
        // Whether pg_dump had a function for its data.
        let dumped = self.integer().await? != Some(0);
        // The object's numbers in the catalog.
        self.length().await?;
        self.length().await?;
        let name = self.text(&mut room).await?.unwrap_or_default();
        let sort = self.text(&mut room).await?.unwrap_or_default();
        // The section.
        self.integer().await?;
        let definition = self.text_for(examiner.as_deref_mut(), &mut room).await?;
        let removal = self.text_for(examiner.as_deref_mut(), &mut room).await?;
        let copy = self.text_for(examiner, &mut room).await?;
        // Its schema and its tablespace.
        self.length().await?;
        self.length().await?;
        if self.minor >= 14 {
            // The table's access method.
            self.length().await?;
        }
        if self.minor >= 16 {
            // The sort of relation.
            self.integer().await?;
        }
        // The owner, and the former row numbers.
        self.length().await?;
        self.length().await?;
        let mut first_dependency = None;
        while let Some(dependency) = self.text(&mut { MAX_ENTRY_LENGTH }).await? {
            first_dependency.get_or_insert(dependency);
        }
        let data = match (sort.as_slice(), copy.as_slice()) {
            (b"BLOBS", _) => Data::LargeObjects,
            (_, []) => Data::Statements,
            _ => Data::Rows,
        };
        let (has_data, file) = match self.form {
            Form::Custom => {
                let [state] = self.input.take().await?;
                self.input.skip(self.offset.into()).await?;
                (state != NO_DATA, Vec::new())
            }
            Form::Tar => {
                let file = self.text(&mut room).await?.unwrap_or_default();
                let has_data = dumped && !file.is_empty();
                (has_data, self.last_file(data, number, file))
            }
        };
        let entry = Entry {
            number,
            sort,
            name,
            definition,
            removal,
            copy,
            first_dependency,
        };
        Ok((entry, has_data.then_some((data, file))))
    }

    /// The file of a tar with which the data of an entry end.
    fn last_file(&self, data: Data, number: u64, file: Vec<u8>) -> Vec<u8> {
        match data {
            Data::LargeObjects if self.minor >= GROUPS => format!("blobs_{number}.toc").into(),
            Data::LargeObjects => b"blobs.toc".to_vec(),
            Data::Rows | Data::Statements => file,
        }
    }
}
