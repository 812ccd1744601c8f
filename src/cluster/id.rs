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
}
