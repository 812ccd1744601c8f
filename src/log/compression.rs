//! The five codecs of record sections, with a bound on what comes out: a few bytes can ask for gigabytes.

use std::io::{Read, Write};

use super::batch::Codec;

/// Smallest and largest zstd window (as a power of two, bytes) that is accepted: the memory that a frame may ask for.
const ZSTD_WINDOW_LOG_MIN: u32 = 23;
const ZSTD_WINDOW_LOG_MAX: u32 = 27;
/// What Java's snappy streams begin with (xerial framing), before two 32-bit version numbers.
const XERIAL_MAGIC: &[u8; 8] = b"\x82SNAPPY\0";
const XERIAL_HEADER_SIZE: usize = 16;
/// Bytes that go into one block of a xerial stream, as in Java.
const XERIAL_BLOCK_SIZE: usize = 32 * 1024;
/// No element of raw snappy makes more than this many bytes of one.
const SNAPPY_RATIO_MAX: usize = 64;

/// Why a record section could not be unpacked or packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompressionError {
    #[error("compressed records are malformed; check the producer's compression library")]
    Malformed,
    #[error("records have more than {size_max} bytes uncompressed; send smaller batches")]
    TooLarge { size_max: usize },
}

/// Unpacks a record section; at most `size_max` bytes come out, and memory grows with what really does.
pub fn decompress(
    codec: Codec,
    packed: &[u8],
    size_max: usize,
) -> Result<Vec<u8>, CompressionError> {
    match codec {
        Codec::None if packed.len() > size_max => Err(CompressionError::TooLarge { size_max }),
        Codec::None => Ok(packed.to_vec()),
        Codec::Gzip => read_bounded(flate2::bufread::MultiGzDecoder::new(packed), size_max),
        Codec::Snappy => match packed.strip_prefix(XERIAL_MAGIC) {
            Some(_) => xerial_decompress(packed, size_max),
            None => {
                let mut unpacked = Vec::new();
                snappy_decompress(packed, size_max, &mut unpacked)?;
                Ok(unpacked)
            }
        },
        Codec::Lz4 => read_bounded(lz4_flex::frame::FrameDecoder::new(packed), size_max),
        Codec::Zstd => {
            let malformed = |_| CompressionError::Malformed;
            let mut decoder =
                zstd::stream::read::Decoder::with_buffer(packed).map_err(malformed)?;
            let window = size_max.max(1).ilog2() + 1;
            let window = window.clamp(ZSTD_WINDOW_LOG_MIN, ZSTD_WINDOW_LOG_MAX);
            decoder.window_log_max(window).map_err(malformed)?;
            read_bounded(decoder, size_max)
        }
    }
}

/// Packs a record section. `level` is the codec's own; `None` its default. lz4 and snappy have one level here.
pub fn compress(
    codec: Codec,
    level: Option<i32>,
    records: &[u8],
) -> Result<Vec<u8>, CompressionError> {
    let packed = match codec {
        Codec::None => Ok(records.to_vec()),
        Codec::Gzip => {
            let level = level.and_then(|level| u32::try_from(level).ok());
            let level = level.map_or_else(flate2::Compression::default, |level| {
                flate2::Compression::new(level.min(9))
            });
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(records).and_then(|()| encoder.finish())
        }
        Codec::Snappy => return xerial_compress(records),
        Codec::Lz4 => lz4_compress(records).map_err(std::io::Error::other),
        Codec::Zstd => zstd::stream::encode_all(records, level.unwrap_or(0)),
    };
    packed.map_err(|_| CompressionError::Malformed)
}

fn read_bounded(reader: impl Read, size_max: usize) -> Result<Vec<u8>, CompressionError> {
    let mut unpacked = Vec::new();
    let limit = u64::try_from(size_max).map_or(u64::MAX, |size| size.saturating_add(1));
    (reader.take(limit).read_to_end(&mut unpacked)).map_err(|_| CompressionError::Malformed)?;
    if unpacked.len() > size_max {
        return Err(CompressionError::TooLarge { size_max });
    }
    Ok(unpacked)
}

/// Adds what one raw snappy block holds to `unpacked`. The declared size is believed only where it can be true.
fn snappy_decompress(
    block: &[u8],
    size_max: usize,
    unpacked: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    let size = snap::raw::decompress_len(block).map_err(|_| CompressionError::Malformed)?;
    if size > block.len().saturating_mul(SNAPPY_RATIO_MAX) {
        return Err(CompressionError::Malformed);
    }
    let start = unpacked.len();
    if size > size_max.saturating_sub(start) {
        return Err(CompressionError::TooLarge { size_max });
    }
    unpacked.resize(start + size, 0);
    let written = snap::raw::Decoder::new().decompress(block, &mut unpacked[start..]);
    if written.map_err(|_| CompressionError::Malformed)? != size {
        return Err(CompressionError::Malformed);
    }
    Ok(())
}

/// Blocks, each after its 32-bit size. Streams may follow each other, headers and all.
fn xerial_decompress(mut packed: &[u8], size_max: usize) -> Result<Vec<u8>, CompressionError> {
    let mut unpacked = Vec::new();
    while !packed.is_empty() {
        if packed.starts_with(XERIAL_MAGIC) {
            packed = (packed.get(XERIAL_HEADER_SIZE..)).ok_or(CompressionError::Malformed)?;
            continue;
        }
        let (size, rest) = packed
            .split_first_chunk()
            .ok_or(CompressionError::Malformed)?;
        let size = usize::try_from(i32::from_be_bytes(*size));
        let block = size.ok().and_then(|size| rest.split_at_checked(size));
        let (block, rest) = block.ok_or(CompressionError::Malformed)?;
        snappy_decompress(block, size_max, &mut unpacked)?;
        packed = rest;
    }
    Ok(unpacked)
}

fn xerial_compress(records: &[u8]) -> Result<Vec<u8>, CompressionError> {
    let mut packed = XERIAL_MAGIC.to_vec();
    // Version 1, readable since version 1.
    packed.extend([0, 0, 0, 1, 0, 0, 0, 1]);
    let mut encoder = snap::raw::Encoder::new();
    for block in records.chunks(XERIAL_BLOCK_SIZE) {
        let block = encoder.compress_vec(block);
        let block = block.map_err(|_| CompressionError::Malformed)?;
        let size = i32::try_from(block.len()).map_err(|_| CompressionError::Malformed)?;
        packed.extend(size.to_be_bytes());
        packed.extend(block);
    }
    Ok(packed)
}

/// A frame of independent blocks of 64 KiB without content checksum: what Kafka's own writer makes and every client
/// reads.
fn lz4_compress(records: &[u8]) -> Result<Vec<u8>, lz4_flex::frame::Error> {
    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    let info = FrameInfo::new()
        .block_mode(BlockMode::Independent)
        .block_size(BlockSize::Max64KB);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(records)?;
    encoder.finish()
}
