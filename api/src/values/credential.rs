//! API keys as text: how one is made, checked and hashed.

use getrandom::Error;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

const PREFIX: &str = "rbk";
/// Bytes of the public id.
const ID: usize = 8;
/// Random bytes of the secret: 192 bits.
const SECRET: usize = 24;

/// A new API key. Its text is shown once and kept nowhere.
pub struct NewKey {
    /// The whole key: `rbk_<id>_<secret>_<check>`.
    pub text: String,
    /// The public id, by which it is looked up.
    pub key_id: String,
    /// `rbk_` and the start of the id: what people recognize it by.
    pub key_prefix: String,
    /// SHA-256 of the whole key, in hexadecimal.
    pub key_hash: String,
}

impl NewKey {
    /// Makes a key from the system's randomness.
    ///
    /// # Errors
    /// Where the system has no randomness to give.
    pub fn generate() -> Result<Self, Error> {
        let (mut id, mut secret) = ([0_u8; ID], [0_u8; SECRET]);
        getrandom::fill(&mut id)?;
        getrandom::fill(&mut secret)?;
        let key_id = hexadecimal(&id);
        let body = format!("{PREFIX}_{key_id}_{}", hexadecimal(&secret));
        let text = format!("{body}_{}", check(&body));
        Ok(Self {
            key_prefix: format!("{PREFIX}_{}", &key_id[..8]),
            key_hash: hash(&text),
            key_id,
            text,
        })
    }
}

/// The public id of a key, if its form and its check are right; a typo needs no look-up to be refused.
pub fn public_id(text: &str) -> Option<&str> {
    let (body, given) = text.rsplit_once('_')?;
    let (prefix, rest) = body.split_once('_')?;
    let (id, secret) = rest.split_once('_')?;
    let formed = prefix == PREFIX && is_hexadecimal(id, ID) && is_hexadecimal(secret, SECRET);
    (formed && given == check(body)).then_some(id)
}

/// SHA-256 of the whole key, in hexadecimal. A key has enough randomness of its own to need no slow hash.
pub fn hash(text: &str) -> String {
    hexadecimal(&Sha256::digest(text.as_bytes()))
}

/// Whether the key is the one that was hashed, in a time that says nothing.
pub fn matches(text: &str, key_hash: &str) -> bool {
    hash(text).as_bytes().ct_eq(key_hash.as_bytes()).into()
}

/// CRC32 (IEEE) of all before it, so that secret scanners can tell a key from chance.
fn check(body: &str) -> String {
    format!("{:08x}", crc32fast::hash(body.as_bytes()))
}

fn is_hexadecimal(text: &str, bytes: usize) -> bool {
    text.len() == 2 * bytes
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Bytes as two digits each, in lower case.
pub fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_is_recognized_and_a_typo_is_not() {
        let key = NewKey::generate().unwrap();
        assert_eq!(public_id(&key.text), Some(key.key_id.as_str()));
        assert!(matches(&key.text, &key.key_hash));
        for index in 0..key.text.len() {
            let mut typo = key.text.clone().into_bytes();
            typo[index] = if typo[index] == b'0' { b'1' } else { b'0' };
            let typo = String::from_utf8(typo).unwrap();
            assert_eq!(public_id(&typo), None, "{typo}");
        }
        for wrong in ["", "_", "rbk___", "rbk_é_é_é", "Bearer"] {
            assert_eq!(public_id(wrong), None);
        }
    }
}
