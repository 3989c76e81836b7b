//! Detects what this kernel can enforce.

use landlock::{
    ABI, Access as _, AccessFs, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _, Scope,
};
use tokio::sync::OnceCell;

use super::plan::{Layer, Namespaces, Plan};
use super::start::self_test;
use super::view;
use crate::grant::{Confinement, Resources};

/// The confinement that this machine offers.
#[derive(Clone, Debug)]
pub struct Kernel {
    namespaces: Namespaces,
    /// Why there are no namespaces.
    no_namespaces: Option<String>,
    /// Why there is no filter of system calls.
    no_filter: Option<String>,
    landlock: Landlock,
}

/// How much of Landlock there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Landlock {
    Nothing,
    Files,
    FilesAndScopes,
}

/// Asks the kernel, once.
pub async fn kernel() -> &'static Kernel {
    static KERNEL: OnceCell<Kernel> = OnceCell::const_new();
    KERNEL.get_or_init(Kernel::detect).await
}

impl Kernel {
    /// Tries what a program is confined by, and leaves out what does not work.
    async fn detect() -> Self {
        let mut kernel = Self {
            namespaces: Namespaces::Privileged,
            no_namespaces: None,
            no_filter: None,
            landlock: Landlock::of_this_kernel(),
        };
        while let Err(failure) = self_test(kernel.plan()).await {
            let why = || format!("{}: {}", failure.what, failure.cause());
            match (failure.layer, kernel.namespaces) {
                (Layer::Namespaces, Namespaces::Privileged) => {
                    kernel.namespaces = Namespaces::User;
                }
                (Layer::Namespaces, Namespaces::User) => {
                    kernel.namespaces = Namespaces::None;
                    kernel.no_namespaces = Some(why());
                }
                (Layer::Filter, _) if kernel.no_filter.is_none() => kernel.no_filter = Some(why()),
                // The program that is started next says what is wrong.
                _ => break,
            }
        }
        kernel
    }

    /// How a program is confined here that can see what every program sees.
    pub(super) fn plan(&self) -> Plan {
        Plan {
            namespaces: self.namespaces,
            filter: self.no_filter.is_none(),
            network: false,
            view: view::of_all(),
            hidden: Vec::new(),
            resources: Resources::default().into(),
            self_test: true,
        }
    }

    /// The documented restrictions that this machine cannot enforce for a program.
    pub fn gaps(&self, confinement: &Confinement) -> Vec<String> {
        let mut gaps = Vec::new();
        if let Some(why) = &self.no_namespaces {
            gaps.push(format!(
                "no namespaces of its own ({why}): it sees other processes and can reach their sockets, also those of a \
                 container engine, and their System V IPC"
            ));
        }
        match self.landlock {
            Landlock::Nothing if self.namespaces == Namespaces::None => gaps.push(
                "no Landlock (Linux 5.13 and later): it can read and write all files of its user"
                    .into(),
            ),
            Landlock::Files if self.namespaces == Namespaces::None => gaps.push(
                "no scopes of Landlock (Linux 6.12 and later): it can reach abstract sockets and signal other processes of \
                 its user; before Linux 6.2 it can also empty files when it opens them"
                    .into(),
            ),
            Landlock::Nothing | Landlock::Files if confinement.network => gaps.push(
                "no scopes of Landlock (Linux 6.12 and later): it can reach abstract sockets; \
                 `network = false` keeps it from them where there are namespaces"
                    .into(),
            ),
            _ => {}
        }
        if let Some(why) = &self.no_filter {
            gaps.push(format!(
                "no filter of system calls ({why}): it can make all calls of its user"
            ));
        }
        gaps
    }
}

impl Landlock {
    fn of_this_kernel() -> Self {
        let ruleset = || Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
        let files = ruleset()
            .handle_access(AccessFs::from_all(ABI::V1))
            .and_then(Ruleset::create);
        let scopes = ruleset()
            .scope(Scope::from_all(ABI::V6))
            .and_then(Ruleset::create);
        match (files, scopes) {
            (Ok(_), Ok(_)) => Self::FilesAndScopes,
            (Ok(_), Err(_)) => Self::Files,
            (Err(_), _) => Self::Nothing,
        }
    }
}
