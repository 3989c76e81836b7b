//! The custom format: a block of data for each entry with data, after the table of contents. Output to a pipe
//! contains no offsets, so all blocks are read in order.

use super::contents::{Data, Head, head};
use super::{Examine, Fault, Form};
use crate::input::Input;

pub(super) async fn parse(
    input: Input,
    mut examiner: Option<Box<dyn Examine>>,
) -> Result<(), Fault> {
    let Some(mut head) = head(input, Form::Custom).await? else {
        return super::unknown(examiner.is_some());
    };
    let mut missing = head.contents(examiner.as_mut()).await?;
    while let Some(kind) = head.input.next().await {
        let number = head.natural().await.map_err(in_data)?;
        let Some((data, _)) = missing.remove(&number) else {
            return Err(Fault::Other(format!(
                "is damaged: its table of contents promises no data for the entry {number}"
            )));
        };
        let block = block(&head, kind, data, examiner.as_mut());
        block.await.map_err(in_data)?;
    }
    match missing.len() {
        0 => Ok(()),
        count => Err(Fault::Other(format!(
            "is cut: the data of {count} entries of its table of contents are missing"
        ))),
    }
}

fn in_data(fault: Fault) -> Fault {
    fault.in_part("its data")
}

/// A block of data. `pg_restore` goes by the sort that is written at the block, and has to find what the table of contents says.
async fn block(
    head: &Head,
    kind: u8,
    data: Data,
    examiner: Option<&mut Box<dyn Examine>>,
) -> Result<(), Fault> {
    match (kind, data) {
        (1, Data::Rows) => pieces(head, None).await,
        (1, Data::Statements) if head.is_compressed && examiner.is_some() => {
            Err(Fault::Other(super::COMPRESSED_STATEMENTS.into()))
        }
        (1, Data::Statements) => pieces(head, examiner).await,
        // Each has its number before it.
        (3, Data::LargeObjects) => {
            while head.natural().await? != 0 {
                pieces(head, None).await?;
            }
            Ok(())
        }
        _ => Err(Fault::Damaged),
    }
}

/// Pieces of data, up to an empty one.
async fn pieces(head: &Head, mut examiner: Option<&mut Box<dyn Examine>>) -> Result<(), Fault> {
    loop {
        match (head.natural().await?, &mut examiner) {
            (0, Some(examiner)) => return examiner.statements_end().map_err(Fault::Other),
            (0, None) => return Ok(()),
            (length, Some(examiner)) => {
                let look = |piece: &[u8]| examiner.statements(piece);
                head.input.show(length, look).await?.map_err(Fault::Other)?;
            }
            (length, None) => head.input.skip(length).await?,
        }
    }
}
