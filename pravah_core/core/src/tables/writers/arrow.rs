//! Writes the file format of Arrow IPC, uncompressed.

use std::{collections::VecDeque, mem};

use arrow_array::RecordBatch;
use arrow_ipc::writer::FileWriter;
use arrow_schema::SchemaRef;

use super::{TableWriter, unwritable};
use crate::{Result, processors::Event, tables::BATCH_ROWS};

/// Writes one file.
pub struct ArrowFileWriter(FileWriter<Vec<u8>>);

impl ArrowFileWriter {
    /// Begin with the schema.
    pub fn new(schema: &SchemaRef) -> Result<Self> {
        FileWriter::try_new(Vec::new(), schema).map(Self).map_err(unwritable)
    }

    fn take(&mut self) -> Event {
        Event::Bytes(mem::take(self.0.get_mut()).into())
    }
}

impl TableWriter for ArrowFileWriter {
    fn write(&mut self, batch: RecordBatch, output: &mut VecDeque<Event>) -> Result<()> {
        for start in (0..batch.num_rows()).step_by(BATCH_ROWS) {
            let rows = BATCH_ROWS.min(batch.num_rows() - start);
            self.0.write(&batch.slice(start, rows)).map_err(unwritable)?;
            output.push_back(self.take());
        }
        Ok(())
    }

    fn end(&mut self, output: &mut VecDeque<Event>) -> Result<()> {
        self.0.finish().map_err(unwritable)?;
        output.push_back(self.take());
        Ok(())
    }
}
