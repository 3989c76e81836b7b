//! Backs up the trees of files that it was granted, volumes and directories, and puts them back,
//! as a plugin of tthost.
//!
//! It decides what is taken and in which order ([`walk`]); the host looks, opens and reads. The
//! contents of large files never enter it: the host's stream of them is handed on.

mod capture;
mod config;
mod notes;
mod restoration;
mod roots;
mod walk;

tthost_plugin::export_source!(capture::Capture);
