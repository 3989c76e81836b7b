//! The results of `probe`.

use super::checks;
use crate::lab::{Lab, ensure, expect_files, fail, files, skip};
use crate::model::{Access, Answer, Case};
use crate::suite::Verdict;
use crate::tree::usual;

checks! { Probing:
    "probe-leaves-nothing" leaves_nothing, "sink.wit: sink.probe",
        "nothing is there that was not before, with a store and without one";
    "probe-agrees-with-what-works" agrees, "sink.wit: sink.rights",
        "where storing, reading, listing and removing work, it says so";
    "probe-sees-what-may-not-be-written" protected, "sink.wit: sink.rights",
        "it does not say that it can store where nothing can be stored";
    "nothing-is-stored-where-nothing-may-be" stores_nothing, "types.wit: types.error",
        "storing fails with `read-only` or `denied` where nothing can be stored";
}

async fn leaves_nothing(lab: &Lab<'_>) -> Verdict {
    let empty = lab.host.store_fixture().await?;
    let (full, ids) = lab.store_of(&[&usual(1)]).await?;
    for fixture in [&*empty, &*full] {
        let before = files(fixture)?;
        match fixture.probe().await {
            Err(error) if error.case == Case::Unsupported => return skip(error.text),
            probed => probed?,
        };
        expect_files(fixture, before.as_ref(), "after the probe")?;
    }
    lab.expect_ids(&*full, &ids).await
}

async fn agrees(lab: &Lab<'_>) -> Verdict {
    let fixture = lab.store().await?;
    let rights = match fixture.probe().await {
        Err(error) if error.case == Case::Unsupported => return skip(error.text),
        rights => rights?,
    };
    let id = lab.add(&*fixture, 0, &usual(1)).await?;
    lab.expect_tree(&*fixture, &id, &usual(1)).await?;
    let store = fixture.open(Access::ReadWrite).await?;
    store.forget(vec![id]).await?;
    store.close().await?;
    for (what, said) in [
        ("store", rights.put),
        ("read", rights.get),
        ("list", rights.list),
        ("remove", rights.delete),
    ] {
        ensure(said == Answer::Yes, || {
            format!("it says {said:?} to whether it can {what}, which works")
        })?;
    }
    Ok(())
}

async fn protected(lab: &Lab<'_>) -> Verdict {
    let mut fixture = lab.store().await?;
    if !fixture.protect() {
        return skip("what it stores in cannot be made read-only");
    }
    match fixture.probe().await {
        Err(error) if error.case == Case::Unsupported => skip(error.text),
        // That is an answer too.
        Err(error) if matches!(error.case, Case::ReadOnly | Case::Denied) => Ok(()),
        rights => {
            let rights = rights?;
            ensure(
                rights.put != Answer::Yes && rights.delete != Answer::Yes,
                || format!("it says {rights:?} of a place where nothing can be written"),
            )
        }
    }
}

async fn stores_nothing(lab: &Lab<'_>) -> Verdict {
    let (mut fixture, ids) = lab.store_of(&[&usual(1)]).await?;
    if !fixture.protect() {
        return skip("what it stores in cannot be made read-only");
    }
    let stored = async {
        let store = fixture.open(Access::ReadWrite).await?;
        crate::lab::write(&*store, crate::lab::draft(1), &usual(2)).await
    };
    match stored.await {
        Ok(_) => return fail("it says that it stored a snapshot"),
        Err(error) if matches!(error.case, Case::ReadOnly | Case::Denied) => {}
        Err(error) => return Err(error.into()),
    }
    lab.expect_ids(&*fixture, &ids).await
}
