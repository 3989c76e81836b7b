//! The description of a plugin.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::checks;
use crate::host::Programs;
use crate::lab::{Lab, ensure, fail};
use crate::model::{Access, Case, Role};
use crate::suite::Verdict;

checks! { Description:
    "describe-needs-no-grant" needs_no_grant, "plugin.wit: plugin.describe",
        "an instance without any grant answers a name, a version and a sentence";
    "describe-is-quick" is_quick, "plugin.wit: plugin.describe",
        "the answer comes within a second";
    "describe-answers-the-same" answers_the_same, "plugin.wit: plugin.describe",
        "two instances give the same answer";
    "schema-describes-a-table" describes_a_table, "plugin.wit: description.config-schema",
        "the schema is a JSON Schema of an object";
    "unknown-setting-is-refused" unknown_setting, "plugin.wit: description.config-schema",
        "a key that the schema does not know is refused as `config`";
    "needs-say-what-for" say_what_for, "plugin.wit: plugin.need",
        "each need has a name and a sentence of its own";
    "imports-and-exports-fit" fit, "world.wit: tthost:backup",
        "an instance can be made, and has what its role exports";
}

async fn needs_no_grant(lab: &Lab<'_>) -> Verdict {
    let said = lab.host.describe().await?;
    for (what, text) in [
        ("name", &said.name),
        ("version", &said.version),
        ("summary", &said.summary),
    ] {
        ensure(!text.trim().is_empty(), || format!("its {what} is empty"))?;
    }
    Ok(())
}

async fn is_quick(lab: &Lab<'_>) -> Verdict {
    // The first time, it may have to be compiled.
    lab.host.describe().await?;
    // One that is slow at times is not a fault of the plugin: the machine may be busy.
    let mut time = Duration::MAX;
    for _ in 0..3 {
        let start = Instant::now();
        lab.host.describe().await?;
        time = time.min(start.elapsed());
    }
    ensure(time < Duration::from_secs(1), || {
        format!("it took {:.1} s", time.as_secs_f64())
    })
}

async fn answers_the_same(lab: &Lab<'_>) -> Verdict {
    let first = lab.host.describe().await?;
    for _ in 0..3 {
        let again = lab.host.describe().await?;
        ensure(first == again, || {
            format!("it answered {first:?} and then {again:?}")
        })?;
    }
    Ok(())
}

async fn describes_a_table(lab: &Lab<'_>) -> Verdict {
    let schema = lab.host.describe().await?.config_schema;
    let is_object = schema.get("type").and_then(|kind| kind.as_str()) == Some("object");
    ensure(is_object, || {
        "the schema does not say `\"type\": \"object\"` at its top".into()
    })
}

async fn unknown_setting(lab: &Lab<'_>) -> Verdict {
    match lab.host.start_with_key("conformance-unknown-key").await {
        Ok(()) => fail("it started with the key `conformance-unknown-key`"),
        Err(error) if error.case == Case::Config => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn say_what_for(lab: &Lab<'_>) -> Verdict {
    let mut known = BTreeSet::new();
    for need in lab.host.describe().await?.needs {
        let what = format!("the {} {}", need.resource, need.name);
        ensure(!need.name.trim().is_empty(), || {
            format!("a {} has no name", need.resource)
        })?;
        ensure(need.reason.contains(' '), || {
            format!("it does not say in a sentence what {what} is for")
        })?;
        ensure(known.insert(what.clone()), || {
            format!("it asks for {what} twice")
        })?;
    }
    Ok(())
}

async fn fit(lab: &Lab<'_>) -> Verdict {
    let started = match lab.host.role() {
        Role::Sink => {
            let fixture = lab.host.store_fixture().await?;
            fixture.open(Access::ReadOnly).await.map(drop)
        }
        Role::Source => {
            let source = lab.host.source(Programs::Granted).await?;
            source.open().await.map(drop)
        }
        Role::Store => {
            let fixture = lab.host.object_store_fixture().await?;
            fixture.open(Access::ReadOnly).await.map(drop)
        }
    };
    match started {
        Err(error) if error.case == Case::Broken => Err(error.into()),
        _ => Ok(()),
    }
}
