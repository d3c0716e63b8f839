//! Where a pipeline has files read as tables, and tables written as files.

use std::sync::Arc;

use super::Stage;
use crate::{
    Error, Result,
    processors::{Payload, Processor},
    tables::{Format, ReadTable, WriteOptions, WriteTable},
};

/// Tables at some place between two steps.
struct Rows {
    /// The step that they come from.
    step: usize,
    /// The format that all files were read in; none: their names tell.
    source: Option<Format>,
    /// How they become a file again.
    write: WriteOptions,
}

/// Connect the processors of steps: bytes become rows before the first step that works on these, and bytes again before
/// one that does not, and at the end.
pub fn connect(processors: Vec<Box<dyn Processor>>) -> Result<Vec<Stage>> {
    let mut stages = Vec::new();
    let mut rows: Option<Rows> = None;
    for (step, processor) in processors.into_iter().enumerate() {
        if processor.payload() == Payload::Bytes {
            stages.extend(rows.take().map(written));
            stages.push(Stage { step, processor });
            continue;
        }
        let options = processor.converts();
        let table = match &mut rows {
            Some(table) => {
                if options.is_some_and(|(read, _)| read.is_given()) {
                    return Err(Error::InvalidParameter {
                        step: "convert".to_owned(),
                        message: "the steps before it have read the table already; how it is read stands in a \
                                  `convert` before them"
                            .to_owned(),
                    });
                }
                table
            }
            None => {
                let read = options.map(|(read, _)| read.clone()).unwrap_or_default();
                let source = read.format;
                stages.push(Stage { step, processor: Box::new(ReadTable(Arc::new(read))) });
                rows.insert(Rows { step, source, write: WriteOptions::default() })
            }
        };
        table.step = step;
        match options {
            Some((_, write)) => table.write = write.clone(),
            None => stages.push(Stage { step, processor }),
        }
    }
    stages.extend(rows.take().map(written));
    Ok(stages)
}

fn written(rows: Rows) -> Stage {
    let processor = Box::new(WriteTable { options: rows.write, source: rows.source });
    Stage { step: rows.step, processor }
}
