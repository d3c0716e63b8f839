//! Tasks against a real file system.

mod after;
mod bench;
mod in_place;
mod kept;
mod large;
mod look;
mod merged;
mod merged_tables;
mod names;
mod overwrite;
mod run;
mod split;
mod unnamed;
