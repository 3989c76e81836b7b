//! The list of snapshots.

use super::checks;
use crate::lab::{Lab, ensure};
use crate::suite::Verdict;
use crate::tree::usual;

checks! { Listing:
    "snapshots-come-the-oldest-first" oldest_first, "sink.wit: repository.snapshots",
        "snapshots that were stored in another order are listed by their times";
    "ids-are-printable" printable, "sink.wit: snapshot.id",
        "1 to 128 printable characters without spaces";
    "each-instance-lists-the-same" the_same, "sink.wit: repository.snapshots",
        "two instances give the same list";
}

async fn oldest_first(lab: &Lab<'_>) -> Verdict {
    let fixture = lab.store().await?;
    for number in [5, 1, 9, 3] {
        lab.add(&*fixture, number, &usual(u64::from(number)))
            .await?;
    }
    let listed = lab.list(&*fixture).await?;
    ensure(listed.len() == 4, || {
        format!("it lists {} snapshots of 4", listed.len())
    })?;
    ensure(listed.is_sorted_by_key(|snapshot| snapshot.time), || {
        let times: Vec<_> = listed
            .iter()
            .map(|snapshot| snapshot.time.seconds)
            .collect();
        format!("their times are {times:?}")
    })
}

async fn printable(lab: &Lab<'_>) -> Verdict {
    let (fixture, _) = lab.store_of(&[&usual(1), &usual(2)]).await?;
    for id in lab.ids(&*fixture).await? {
        let is_printable =
            (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
        ensure(is_printable, || format!("an id is {id:?}"))?;
    }
    Ok(())
}

async fn the_same(lab: &Lab<'_>) -> Verdict {
    let (fixture, _) = lab.store_of(&[&usual(1), &usual(2)]).await?;
    let first = lab.list(&*fixture).await?;
    let second = lab.list(&*fixture).await?;
    ensure(first == second, || {
        format!("one says {first:?}, another {second:?}")
    })
}
