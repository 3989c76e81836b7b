//! The tar format: the table of contents in `toc.dat`, a file with the data of each entry, one for each large object
//! with a list after them, and `restore.sql`, which is for people.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::contents::{Data, head};
use super::{Examine, Fault, Form, Need};
use crate::input::Input;

/// Everything is in pieces of so many bytes.
const BLOCK: usize = 512;

/// The lists of large objects are for people, too; longer ones are none, in bytes.
const MAX_LIST_LENGTH: u64 = 64 << 20;

/// Where in a header a file's name, its size and the sum of the header are.
const NAME: std::ops::Range<usize> = 0..100;
const SIZE: std::ops::Range<usize> = 124..136;
const SUM: std::ops::Range<usize> = 148..156;

pub(super) async fn parse(
    input: Input,
    need: Rc<Need>,
    mut examiner: Option<Box<dyn Examine>>,
) -> Result<(), Fault> {
    need.withheld_from.set(Some(0));
    let cut = |_| Fault::Other("is empty, or cut in its first file (\"toc.dat\")".into());
    let first = input.take().await.map_err(cut)?;
    let first = File::of(&first).filter(|file| file.name == b"toc.dat");
    let Some(toc) = first else {
        return Err(Fault::Other(
            "is not a tar archive of pg_dump: it does not begin with the file toc.dat".into(),
        ));
    };
    let end = input.position() + toc.size;
    need.withhold(end);
    let Some(mut head) = head(input.clone(), Form::Tar).await? else {
        return super::unknown(examiner.is_some());
    };
    let with_data = head.contents(examiner.as_mut()).await?;
    if input.position() != end {
        return Err(Fault::Other(
            "has a table of contents that is longer or shorter than its file".into(),
        ));
    }
    let padding = input.skip(toc.padding()).await;
    padding.map_err(cut)?;
    let mut missing: BTreeMap<_, _> = with_data
        .into_values()
        .map(|(data, file)| (file, data))
        .collect();
    files(&input, &need, &mut missing, examiner.as_mut())
        .await
        .map_err(|fault| fault.in_part("its data"))?;
    if let Some(name) = missing.into_keys().next() {
        return Err(Fault::Other(format!(
            "is cut: the file {} of its table of contents is missing",
            String::from_utf8_lossy(&name)
        )));
    }
    rest(&input).await
}

/// The files behind the table of contents, up to `restore.sql`.
async fn files(
    input: &Input,
    need: &Need,
    missing: &mut BTreeMap<Vec<u8>, Data>,
    mut examiner: Option<&mut Box<dyn Examine>>,
) -> Result<(), Fault> {
    let has_large_objects = missing.values().any(|data| *data == Data::LargeObjects);
    loop {
        let Some(file) = File::of(&input.take().await?) else {
            return Err(Fault::Damaged);
        };
        let end = input.position() + file.size;
        match missing.remove(&file.name) {
            // pg_restore has all that it needs before it comes to the list.
            Some(Data::LargeObjects) if file.size <= MAX_LIST_LENGTH => {
                input.skip(file.size).await?;
            }
            Some(Data::LargeObjects) => return Err(Fault::Damaged),
            Some(Data::Rows) => {
                need.withhold(end);
                input.skip(file.size).await?;
            }
            Some(Data::Statements) => {
                need.withhold(end);
                match &mut examiner {
                    Some(examiner) => {
                        let look = |piece: &[u8]| examiner.statements(piece);
                        input.show(file.size, look).await?.map_err(Fault::Other)?;
                        examiner.statements_end().map_err(Fault::Other)?;
                    }
                    None => input.skip(file.size).await?,
                }
            }
            None if has_large_objects && file.name.starts_with(b"blob_") => {
                need.withhold(end);
                input.skip(file.size).await?;
            }
            None if file.name == b"restore.sql" => {
                need.end_here();
                input.skip(file.size).await?;
                return Ok(input.skip(file.padding()).await?);
            }
            None => {
                return Err(Fault::Other(format!(
                    "is damaged: its table of contents says nothing of the file {}",
                    String::from_utf8_lossy(&file.name)
                )));
            }
        }
        input.skip(file.padding()).await?;
    }
}

/// Two blocks of zeros at least, and nothing else.
async fn rest(input: &Input) -> Result<(), Fault> {
    let end = |_| Fault::Other("is cut: the blocks of zeros at its end are missing".into());
    let mut blocks = [[0; BLOCK]; 2];
    for block in &mut blocks {
        *block = input.take().await.map_err(end)?;
    }
    let mut is_zero = blocks.as_flattened().iter().all(|byte| *byte == 0);
    while let Some(byte) = input.next().await {
        is_zero &= byte == 0;
    }
    if is_zero {
        Ok(())
    } else {
        Err(Fault::Other("has something behind its end".into()))
    }
}

impl Need {
    /// The last byte before this place is needed.
    fn withhold(&self, end: u64) {
        self.withheld_from.set(Some(end.saturating_sub(1)));
    }

    /// Nothing else is needed.
    fn end_here(&self) {
        let last = self.withheld_from.get().unwrap_or_default();
        self.end
            .set(Some((last + 1).next_multiple_of(BLOCK as u64)));
    }
}

/// A file, as its header tells.
struct File {
    name: Vec<u8>,
    size: u64,
}

impl File {
    fn of(header: &[u8; BLOCK]) -> Option<Self> {
        let sum = header.iter().enumerate().map(|(place, byte)| {
            let byte = if SUM.contains(&place) { b' ' } else { *byte };
            u64::from(byte)
        });
        if sum.sum::<u64>() != number(&header[SUM])? {
            return None;
        }
        let name = &header[NAME];
        let length = name.iter().take_while(|byte| **byte != 0).count();
        Some(Self {
            name: name[..length].to_vec(),
            size: number(&header[SIZE])?,
        })
    }

    fn padding(&self) -> u64 {
        self.size.next_multiple_of(BLOCK as u64) - self.size
    }
}

/// A number in octal digits, or in bytes where it is too large for that.
fn number(field: &[u8]) -> Option<u64> {
    let number = match field {
        [0x80, bytes @ ..] => bytes.iter().try_fold(0_u64, |number, byte| {
            Some(number.checked_mul(256)? + u64::from(*byte))
        })?,
        digits => digits
            .iter()
            .take_while(|digit| (b'0'..=b'7').contains(digit))
            .try_fold(0_u64, |number, digit| {
                Some(number.checked_mul(8)? + u64::from(digit - b'0'))
            })?,
    };
    // Larger ones are none, and can be added to without care.
    (number < 1 << 62).then_some(number)
}
