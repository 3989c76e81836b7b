//! The S3 servers that the other tests rely on do what they say.

mod faults;
mod seaweed;
