//! Ids as Kafka prints them.

use uuid::Uuid;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// An id as 22 characters of URL-safe base64 without padding (RFC 4648, section 5).
pub fn encode_id(id: Uuid) -> String {
    let bits = id.as_u128();
    // 128 bits are 21 characters of 6 bits, and a last one with the 2 that remain in its upper bits.
    let sextets = (0..21).map(|index| bits >> (122 - 6 * index));
    sextets
        .chain([bits << 4])
        .map(|sextet| {
            let digit = usize::try_from(sextet & 63).unwrap_or_default();
            char::from(ALPHABET[digit])
        })
        .collect()
}

/// The inverse of [`encode_id`]; `None` for a text that it never gives.
pub fn decode_id(text: &str) -> Option<Uuid> {
    if text.len() != 22 {
        return None;
    }
    let mut bits: u128 = 0;
    for (index, byte) in text.bytes().enumerate() {
        let sextet = ALPHABET.iter().position(|digit| *digit == byte)?;
        let sextet = u128::try_from(sextet).ok()?;
        bits = match index {
            21 => bits << 2 | sextet >> 4,
            _ => bits << 6 | sextet,
        };
    }
    let id = Uuid::from_u128(bits);
    (encode_id(id) == text).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_look_as_kafka_prints_them() {
        assert_eq!(encode_id(Uuid::nil()), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(encode_id(Uuid::from_u128(1)), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!(encode_id(Uuid::max()), "_____________________w");
        let counting = 0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f;
        assert_eq!(
            encode_id(Uuid::from_u128(counting)),
            "AAECAwQFBgcICQoLDA0ODw"
        );
    }

    #[test]
    fn ids_are_read_as_they_are_printed() {
        for bits in [0, 1, u128::MAX, 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210] {
            let id = Uuid::from_u128(bits);
            assert_eq!(decode_id(&encode_id(id)), Some(id));
        }
        assert_eq!(decode_id("AAAAAAAAAAAAAAAAAAAAAB"), None);
        assert_eq!(decode_id("short"), None);
        assert_eq!(decode_id("AAAAAAAAAAAAAAAAAAAA+A"), None);
    }
}
