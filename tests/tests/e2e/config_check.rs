//! What `config check` finds, and what it leaves alone.

use std::fs;

use anyhow::{Result, ensure};

use crate::tree_fixture::TreeFixture;

#[test]
fn a_look_at_the_configuration_makes_nothing() -> Result<()> {
    let mut fixture = TreeFixture::new()?;
    let made = ["state", "cache"].map(|name| fixture.path(name));
    for (variable, path) in ["TTHOST_STATE_DIR", "TTHOST_CACHE_DIR"].iter().zip(&made) {
        fixture.tthost.set([(*variable, path.clone())]);
    }
    let tree = fixture.path("tree");
    let config = format!(
        "[sources.tree]\nplugin = 'volume-source'\ngrants.trees.tree.path = '{}'\n",
        tree.display()
    );
    fs::write(fixture.tthost.home().join("tthost.toml"), config)?;
    fixture.tthost.ok(&["config", "check"])?;
    for path in made {
        ensure!(!path.exists(), "{} was made", path.display());
    }
    Ok(())
}

#[test]
fn what_has_no_effect_is_an_error_with_its_line() -> Result<()> {
    let fixture = TreeFixture::new()?;
    let source = "[sources.s]\nplugin = 'volume-source'\ngrants.trees.t.path = '/srv'\n";
    let job = "[jobs.j]\nsources = ['s']\nsinks = ['restic-local']\n";
    let hook = "[alerts.a]\ntype = 'webhook'\n";
    for (text, line, says) in [
        (
            format!("{hook}url = 'https://a.example'\non = []\n"),
            4,
            "on is empty",
        ),
        (
            format!("{hook}url = 'https://a.example'\njobs = ['x']\n"),
            1,
            "there is no job x",
        ),
        (
            format!("{hook}ca = 'ca.pem'\nurl = 'http://a.example'\n"),
            3,
            "ca has no effect",
        ),
        (
            "[alerts.a]\ntype = 'ping'\nurl = 'https://a.example'\non = ['stale']\n".into(),
            4,
            "on has no effect on a ping",
        ),
        (
            format!("{source}{job}jitter = '5m'\n"),
            7,
            "jitter has no effect",
        ),
        (
            format!("{source}host = 'a'\n{job}host = 'b'\n"),
            8,
            "host has no effect",
        ),
        (
            format!("{source}limits.memory = 'much'\n"),
            4,
            "limits.memory",
        ),
        (
            format!("{source}grants.secrets.x.env = 'HOME'\n"),
            4,
            "grants.secrets.x",
        ),
        (
            format!("{source}[[sources.s.grants.network]]\norigin = 'http://a'\nca = '/a.pem'\n"),
            4,
            "ca has no effect",
        ),
    ] {
        fs::write(fixture.tthost.home().join("tthost.toml"), &text)?;
        let outcome = fixture.tthost.fails(&["config", "check"], 1, &[says])?;
        let place = format!("tthost.toml line {line}");
        ensure!(
            outcome.stderr.contains(&place),
            "{text}{}",
            outcome.describe()
        );
    }
    Ok(())
}
