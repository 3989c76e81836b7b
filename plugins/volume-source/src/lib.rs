//! A plugin of tthost: backs up its granted trees of files, volumes and directories, and restores them.
//!
//! It decides which entries to take and in which order ([`walk`]). The host opens and reads them. The contents of
//! large files never enter the plugin: it passes on the host's stream.

mod capture;
mod config;
mod notes;
mod restoration;
mod roots;
mod walk;

tthost_plugin::export_source!(capture::Capture);
