//! CRC-32C (Castagnoli, RFC 3720), the checksum of Kafka's record batches and of everything that the engine writes.

use crc_fast::{CrcAlgorithm, Digest};

const ALGORITHM: CrcAlgorithm = CrcAlgorithm::Crc32Iscsi;

/// The CRC of `bytes`.
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc32c_append(0, bytes)
}

/// The CRC of some bytes and of `bytes` behind them, where `crc` is that of the first.
pub fn crc32c_append(crc: u32, bytes: &[u8]) -> u32 {
    // What the register holds is the complement of what is given out.
    let mut digest = Digest::new_with_init_state(ALGORITHM, u64::from(!crc));
    digest.update(bytes);
    // The crate's sums have 64 bits for all algorithms; of this one the upper half is zero.
    u32::try_from(digest.finalize()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;

    /// By the definition, bit by bit.
    fn reference(bytes: &[u8]) -> u32 {
        let mut register = u32::MAX;
        for byte in bytes {
            register ^= u32::from(*byte);
            for _ in 0..8 {
                let polynomial = if register & 1 == 1 { 0x82f6_3b78 } else { 0 };
                register = register >> 1 ^ polynomial;
            }
        }
        !register
    }

    #[test]
    fn it_is_the_crc_of_rfc_3720() {
        assert_eq!(crc32c(b""), 0);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    /// Each length may take another path of the crate's through the processor.
    #[test]
    fn every_length_and_alignment_gives_what_the_definition_does() {
        let mut rng = Rng::seeded(1);
        let bytes: Vec<u8> = (0..20_000)
            .map(|_| rng.next_u64().to_le_bytes()[0])
            .collect();
        let longer = [4096, 4097, 8191, 12_345, 16_384, 19_000];
        for length in (0..1200).chain(longer) {
            let from = length % 67;
            let part = &bytes[from..from + length];
            let expected = reference(part);
            assert_eq!(crc32c(part), expected, "{length} bytes");
            let (first, second) = part.split_at(length / 3);
            assert_eq!(crc32c_append(crc32c(first), second), expected);
        }
    }
}
