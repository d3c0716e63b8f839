//! What an Arrow file tells of its blocks, looked at before its reader makes room for as much.
//!
//! Arrow columnar format, "IPC File Format" and "RecordBatch message": the footer has the blocks' places, a block its
//! metadata and its body, and a compressed buffer begins with its size.

use arrow_ipc::{Block, Footer, RecordBatch, reader::read_footer_length, root_as_footer, root_as_message};

use super::whole::MOST_FILE_BYTES;
use crate::{Error, Result};

/// Refuse a file that tells of blocks that it does not have, or of more than can lie in memory.
///
/// What makes no sense at all is left to its reader, which has an error for it.
pub fn check_blocks(file: &[u8]) -> Result<()> {
    let Some(footer) = footer(file) else { return Ok(()) };
    let dictionaries = footer.dictionaries().into_iter().flatten();
    for block in dictionaries.chain(footer.recordBatches().into_iter().flatten()) {
        let Some((metadata, body)) = parts(file, block) else {
            return Err(Error::CorruptInput(format!(
                "the file is damaged: a block of {} and {} bytes at {} is not in its {} bytes",
                block.metaDataLength(),
                block.bodyLength(),
                block.offset(),
                file.len()
            )));
        };
        let unpacked_bytes = unpacked_bytes(metadata, body).unwrap_or_default();
        if unpacked_bytes > MOST_FILE_BYTES {
            return Err(Error::UnsupportedInput(format!(
                "a block of the file has {unpacked_bytes} bytes when it is unpacked, and lies in memory while it is \
                 converted: at most {MOST_FILE_BYTES} can"
            )));
        }
    }
    Ok(())
}

fn footer(file: &[u8]) -> Option<Footer<'_>> {
    let (rest, tail) = file.split_last_chunk()?;
    let start = rest.len().checked_sub(read_footer_length(*tail).ok()?)?;
    root_as_footer(&rest[start..]).ok()
}

/// Give the metadata and the body of a block.
fn parts<'a>(file: &'a [u8], block: &Block) -> Option<(&'a [u8], &'a [u8])> {
    let behind = file.get(usize::try_from(block.offset()).ok()?..)?;
    let (metadata, behind) = behind.split_at_checked(block.metaDataLength().try_into().ok()?)?;
    Some((metadata, behind.get(..usize::try_from(block.bodyLength()).ok()?)?))
}

/// Sum up what the buffers of a block take once they are unpacked; none: they are not packed.
fn unpacked_bytes(metadata: &[u8], body: &[u8]) -> Option<u64> {
    let prefix_bytes = if metadata.starts_with(&[0xff; 4]) { 8 } else { 4 };
    let message = root_as_message(metadata.get(prefix_bytes..)?).ok()?;
    let dictionary = message.header_as_dictionary_batch().and_then(|dictionary| dictionary.data());
    let batch = message.header_as_record_batch().or(dictionary)?;
    batch.compression()?;
    Some(sizes(&batch, body).fold(0, u64::saturating_add))
}

fn sizes<'a>(batch: &RecordBatch<'a>, body: &'a [u8]) -> impl Iterator<Item = u64> + 'a {
    let prefix = |start: i64| body.get(usize::try_from(start).ok()?..)?.first_chunk().copied();
    let buffers = batch.buffers().into_iter().flatten().filter(|buffer| buffer.length() > 0);
    // A size of -1 is that of a buffer that is not packed.
    buffers.filter_map(move |buffer| u64::try_from(i64::from_le_bytes(prefix(buffer.offset())?)).ok())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Int64Array, RecordBatch};
    use arrow_ipc::{
        CompressionType,
        writer::{FileWriter, IpcWriteOptions},
    };

    use super::*;

    fn file(compression: Option<CompressionType>) -> Vec<u8> {
        let numbers = RecordBatch::try_from_iter([("a", Arc::new(Int64Array::from(vec![7; 999])) as _)]);
        let (mut file, numbers) = (Vec::new(), numbers.expect("a batch"));
        let options = IpcWriteOptions::default().try_with_compression(compression).expect("options");
        let mut writer = FileWriter::try_new_with_options(&mut file, &numbers.schema(), options).expect("a writer");
        writer.write(&numbers).expect("rows");
        writer.finish().expect("a file");
        drop(writer);
        file
    }

    /// Write a number in place of another one that is there once.
    fn altered(mut file: Vec<u8>, was: i64, number: i64) -> Vec<u8> {
        let places: Vec<_> = (0..file.len() - 8).filter(|&at| file[at..at + 8] == was.to_le_bytes()).collect();
        assert_eq!(places.len(), 1, "{was} is at {places:?}");
        file[places[0]..places[0] + 8].copy_from_slice(&number.to_le_bytes());
        file
    }

    #[test]
    fn test_sound_files_pass() {
        for compression in [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)] {
            check_blocks(&file(compression)).expect("it is sound");
        }
    }

    #[test]
    fn test_block_beyond_the_file_is_refused_before_room_is_made() {
        let sound = file(None);
        let body_bytes = footer(&sound).expect("a footer").recordBatches().expect("blocks").get(0).bodyLength();
        let mut damaged = sound;
        let footer_at = damaged.len() - 300;
        let tail = damaged.split_off(footer_at);
        damaged.extend(altered(tail, body_bytes, 4 << 30));
        let error = check_blocks(&damaged).expect_err("4 GiB are not there");
        assert_eq!(error.kind(), "corrupt_input");
        assert!(error.to_string().contains("4294967296 bytes at"), "{error}");
    }

    #[test]
    fn test_block_that_tells_of_terabytes_is_refused_before_room_is_made() {
        let damaged = altered(file(Some(CompressionType::ZSTD)), 999 * 8, 5 << 40);
        let error = check_blocks(&damaged).expect_err("nobody has so much memory");
        assert_eq!(error.kind(), "unsupported_input");
        assert!(error.to_string().contains("5497558138880 bytes when it is unpacked"), "{error}");
    }
}
