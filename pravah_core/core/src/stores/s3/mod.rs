//! Objects: S3, MinIO and what speaks as they do.
//!
//! - [`connection`], `client`, `signature`, `limit`, `refusal`, `answers`, `runtime`: requests, and what comes of them
//! - `place`, `objects`, `uploads`: a prefix of a bucket, and what is asked of the objects below it
//! - [`ask`], [`checkup`]: what is asked outside of a job
//! - [`ObjectLister`], [`ObjectSource`], [`ObjectSink`]: how they are listed, read and published
//!
//! Nothing here decides about jobs, and no thread of the pool waits here: who opens a file that was awaited finds it
//! in memory, and what is staged stays there, or is sent by threads of the network's own.

mod answers;
pub mod ask;
pub mod checkup;
mod client;
pub mod connection;
mod limit;
mod lister;
mod objects;
mod place;
mod publish;
mod refusal;
mod runtime;
mod signature;
mod sink;
mod source;
mod staging;
mod uploads;

pub use lister::ObjectLister;
pub use place::is_object_uri;
pub use sink::ObjectSink;
pub use source::ObjectSource;
