//! The real parts of tthost's end-to-end tests: Postgres, a Docker engine, an S3 server, restic, rustic, and the
//! built program itself. The demo and the benchmark use them too.
//!
//! A part that is missing on the machine is an error that says what to install; it
//! never makes a test pass.

#[cfg(feature = "cheap-keys")]
pub mod cheap_key;
mod checkout;
pub mod command;
pub mod compose;
pub mod configuration;
pub mod counting;
pub mod docker;
#[cfg(feature = "fault-s3")]
pub mod fault_s3;
pub mod faulty_disk;
pub mod files;
pub mod fingerprint;
pub mod fixture;
#[cfg(feature = "cheap-keys")]
pub mod forge;
pub mod odd_files;
pub mod offsite;
pub mod plugin;
pub mod ports;
pub mod postgres;
pub mod rclone;
pub mod registry;
pub mod restic;
pub mod rustic;
pub mod s3;
pub mod seaweed;
pub mod shop;
pub mod soak;
pub mod terminal;
pub mod tmpfs;
pub mod transcript;
pub mod tree;
pub mod trial;
pub mod tthost;
pub mod wait;
