//! `tthost schedule`.

use clap::{Args, Subcommand, ValueEnum};

use super::args::Global;
use super::format::time;
use super::output::{Answer, Output};
use super::table::table;
use super::{Session, check, drill, load_config, prune, run};
use crate::config::TimerRequest;
use crate::error::Result;
use crate::operation;
use crate::operation::scheduled::{LastRun, Outcome, SinkCheck, Step};
use crate::timer::{self, Installation, Job, Removal, Scheduler, Status};

#[derive(Debug, Args)]
pub(super) struct Schedule {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Start jobs on time, with timers of systemd or entries in crontab
    Install(Install),
    /// Print which jobs start on time, and when
    Status,
    /// Remove what starts jobs on time
    Remove(Remove),
    /// Run a job as its schedule does: back up, prune, check, and drill where one is due
    Run(Run),
}

#[derive(Debug, Default, Args)]
pub(super) struct Install {
    /// The jobs [default: those with a schedule, else `full`, else the only one]
    #[arg(value_name = "JOB")]
    pub(super) job: Vec<String>,
    /// Also store in every sink that has `offsite = true`
    #[arg(long)]
    pub(super) offsite: bool,
    /// The scheduler that starts the jobs [default: systemd if it runs, otherwise crontab]
    #[arg(long, value_name = "NAME")]
    pub(super) scheduler: Option<Starter>,
    /// Print what would be written, and write nothing
    #[arg(long, visible_alias = "print")]
    pub(super) dry_run: bool,
}

#[derive(Debug, Default, Args)]
pub(super) struct Remove {
    /// The jobs [default: all of the configuration]
    #[arg(value_name = "JOB")]
    job: Vec<String>,
}

#[derive(Debug, Args)]
struct Run {
    /// The job
    #[arg(value_name = "JOB")]
    job: String,
    /// Also store in every sink that has `offsite = true`
    #[arg(long)]
    offsite: bool,
}

/// The scheduler that starts jobs.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "lower")]
pub(super) enum Starter {
    Systemd,
    Crontab,
}

/// Runs jobs on time, or says how things stand.
pub(super) fn schedule(global: Global, arguments: Schedule, output: &Output) -> Result<Answer> {
    match arguments.action {
        Action::Install(arguments) => install(&global, arguments, output),
        Action::Status => status(&global, output),
        Action::Remove(arguments) => remove(&global, &arguments, output),
        Action::Run(arguments) => {
            Session::start(global, output)?.run(async |session| run_job(session, &arguments).await)
        }
    }
}

/// Sees to it that jobs start on time.
pub(super) fn install(global: &Global, arguments: Install, output: &Output) -> Result<Answer> {
    let config = load_config(global)?;
    let entries = config.plan_timers(&TimerRequest {
        jobs: arguments.job,
        offsite: arguments.offsite,
        program: timer::program()?,
    })?;
    let scheduler = match arguments.scheduler {
        Some(Starter::Systemd) => Scheduler::Systemd,
        Some(Starter::Crontab) => Scheduler::Crontab,
        None => Scheduler::detect()?,
    };
    if arguments.dry_run {
        let plan = timer::plan(scheduler, &entries)?;
        output.answer(&plan, || written(&plan))
    } else {
        let done = timer::install(scheduler, &entries)?;
        output.outcome(&done, || installed(&done))
    }
}

fn status(global: &Global, output: &Output) -> Result<Answer> {
    let jobs = load_config(global)?.plan_schedule_status()?;
    let status = timer::status(&jobs)?;
    output.answer(&status, || show(&status.jobs))
}

/// Removes what starts jobs on time.
pub(super) fn remove(global: &Global, arguments: &Remove, output: &Output) -> Result<Answer> {
    let config = load_config(global)?.absolute_path()?;
    let removal = timer::remove(&config, &arguments.job)?;
    output.outcome(&removal, || removed(&removal))
}

async fn run_job(session: &Session<'_>, arguments: &Run) -> Result<Answer> {
    let config = &session.config;
    let (job, offsite) = (&arguments.job, arguments.offsite);
    let planned = config.scheduled_run(job, offsite);
    let print = |step: Step<'_>| match step {
        Step::BackUp(source, sinks) => run::show(session.output, source, sinks),
        Step::Prune(sink) => prune::print(session.output, sink, false),
        Step::Verify(check) => print_check(session.output, check),
        Step::Drill(drill) => drill::print(session.output, drill),
    };
    let running = Box::pin(async {
        let plan = config.plan_scheduled(job, offsite)?;
        operation::scheduled(&session.context, plan, print).await
    });
    let report = session.record(planned, running).await?;
    session.output.already_printed(&report)
}

fn print_check(output: &Output, check: &SinkCheck) {
    let sink = &check.sink;
    match &check.result {
        Ok(Outcome::Checked(report)) => {
            let text = check::show(sink, report.cost, &report.findings);
            if report.num_errors == 0 {
                output.line(&text);
            } else {
                output.warning(text.trim_end(), None);
            }
        }
        Ok(Outcome::Skipped { class }) => {
            output.line(&format!(
                "{sink} is not checked: its credentials are {class} and may not read anything"
            ));
        }
        Err(error) => output.failure(error),
    }
}

/// The text that is or would be written.
fn written(plan: &Installation) -> String {
    let units = plan
        .units
        .iter()
        .map(|unit| format!("# {}\n{}\n", unit.path.display(), unit.contents));
    units.chain(plan.crontab.clone()).collect()
}

fn installed(done: &Installation) -> String {
    let units = done
        .units
        .iter()
        .map(|unit| format!("wrote {}", unit.path.display()));
    let mut lines: Vec<_> = units.collect();
    for Job {
        job,
        schedule,
        next,
    } in &done.jobs
    {
        let next = next.map_or_else(|| "never".into(), time);
        lines.push(format!("{job} runs {schedule}, next at {next}"));
    }
    lines.push(String::new());
    lines.push(match (done.scheduler, done.offline) {
        (Scheduler::Crontab, _) => {
            "cron starts them, and mails what goes wrong. `crontab -l` prints the entries.".into()
        }
        (Scheduler::Systemd, offline) => of_systemd(done, offline),
    });
    if done.user {
        lines.push(
            "They run while you are logged in. `loginctl enable-linger` has them run always."
                .into(),
        );
    }
    lines.join("\n")
}

/// The next steps if systemd starts the jobs.
fn of_systemd(done: &Installation, offline: bool) -> String {
    let systemctl = if done.user {
        "systemctl --user"
    } else {
        "systemctl"
    };
    let journalctl = if done.user {
        "journalctl --user"
    } else {
        "journalctl"
    };
    let units = |kind: &str| {
        let names = done
            .jobs
            .iter()
            .map(|job| format!("tthost-{}{kind}", job.job));
        names.collect::<Vec<_>>().join(" ")
    };
    if offline {
        let timers = units(".timer");
        format!("systemd does not run here. Where it does: `{systemctl} enable --now {timers}`.")
    } else {
        let services = units("");
        format!(
            "Try it now: `{systemctl} start {services}`. Read the log: `{journalctl} -u 'tthost-*'`."
        )
    }
}

fn show(status: &[Status]) -> String {
    if status.is_empty() {
        return "no job has a schedule\n".into();
    }
    let mut rows = vec![
        ["JOB", "SCHEDULE", "NEXT RUN", "LAST RUN", "STARTED BY"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(status.iter().map(|status| {
        vec![
            status.job.job.clone(),
            status.job.schedule.clone(),
            status.job.next.map_or_else(|| "never".into(), time),
            status.last.as_ref().map_or_else(|| "never".into(), last),
            starter(status),
        ]
    }));
    table(&rows)
}

fn last(run: &LastRun) -> String {
    let how = match run.exit_code {
        Some(0) => "ok".to_owned(),
        Some(code) => format!("exit code {code}"),
        None => "not ended".to_owned(),
    };
    format!("{} ({how})", time(run.started))
}

fn starter(status: &Status) -> String {
    let name = match status.installed {
        Some(Scheduler::Systemd) => "systemd",
        Some(Scheduler::Crontab) => "crontab",
        None if status.daemon => "a daemon",
        None => "nothing: `tthost schedule install` or `tthost daemon`",
    };
    if status.current {
        name.to_owned()
    } else {
        format!("{name}, with an earlier schedule: `tthost schedule install` again")
    }
}

fn removed(removal: &Removal) -> String {
    let units = removal
        .units
        .iter()
        .map(|unit| format!("removed {}\n", unit.display()));
    let entries = removal
        .crontab
        .iter()
        .map(|job| format!("removed {job} from crontab\n"));
    let text: String = units.chain(entries).collect();
    if text.is_empty() {
        "nothing was installed\n".into()
    } else {
        text
    }
}
