//! Objects: S3, MinIO and what speaks as they do.
//!
//! - [`connection`], `client`, `signature`, `limit`, `refusal`, `answers`, `runtime`: requests, and what comes of them
//! - `hedge`: which of them are sent a second time, as their answers are late
//! - `place`, `objects`, `uploads`: a prefix of a bucket, and what is asked of the objects below it
//! - `looks`, `named`, `copies`, `removals`: what is asked of many at once, and what the server does by itself
//! - `options`, `content_type`, `abilities`: what objects get beside their content, and what servers can't
//! - `checksum`: what is sent and told of contents
//! - [`ask`], [`checkup`], `prefix`: what is asked outside of a job
//! - [`ObjectLister`], [`ObjectSource`], [`ObjectSink`], [`ObjectKeeper`]: how they are listed, read, published, moved
//!
//! Nothing here decides about jobs, and no thread of the pool waits here: who opens a file that was awaited finds it
//! in memory, and what is staged stays there, or is sent by threads of the network's own.

mod abilities;
mod answers;
pub mod ask;
mod checksum;
pub mod checkup;
mod client;
pub mod connection;
mod content_type;
mod copies;
mod hedge;
mod keeper;
mod limit;
mod lister;
mod looks;
mod named;
mod objects;
mod options;
mod place;
mod prefix;
mod publish;
mod reading;
mod refusal;
mod removals;
mod runtime;
mod signature;
mod sink;
mod source;
mod staging;
mod uploads;

pub use checksum::Told;
pub use keeper::ObjectKeeper;
pub use lister::ObjectLister;
pub use named::{Asked, Wanted};
pub use options::ObjectOptions;
pub use place::{is_no_path, is_object_uri, split_key};
pub use prefix::{Keys, Prefix};
pub use sink::ObjectSink;
pub use source::ObjectSource;
