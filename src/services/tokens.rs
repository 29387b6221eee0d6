//! Tokens for sessions, invitations, resets and status links: random, shown once, stored as a hash only.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// The length of a token in characters: 32 bytes in base64url.
const CHARS: usize = 43;

/// A secret that opens something to whoever has it.
#[derive(Clone)]
pub struct Token(String);

/// The operating system gave no random bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("The operating system gave no random bytes")]
pub struct NoRandom;

impl Token {
    /// A new token of 256 random bits.
    pub fn generate() -> Result<Self, NoRandom> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|_| NoRandom)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// A token that somebody presents. `None` when it cannot be one of ours.
    pub fn from_presented(text: &str) -> Option<Self> {
        let alphabet = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        (text.len() == CHARS && text.bytes().all(alphabet)).then(|| Self(text.to_owned()))
    }

    /// The token itself, for the one link or cookie it is sent in.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored instead of the token. The token has enough randomness for a plain SHA-256.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(&self.0).into()
    }

    /// The stored hash in hexadecimal digits.
    pub fn hash_hex(&self) -> String {
        self.hash().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether a stored hash is this token's, compared in constant time.
    pub fn matches(&self, stored: &[u8]) -> bool {
        self.hash().ct_eq(stored).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn tokens_are_distinct_and_survive_the_way_through_a_link() {
        let mut seen = HashSet::new();
        for _ in 0..1000 {
            let token = Token::generate().unwrap();
            let again = Token::from_presented(token.reveal()).unwrap();
            assert_eq!(again.hash(), token.hash());
            assert!(again.matches(&token.hash()));
            assert!(seen.insert(token.hash()));
        }
    }

    #[test]
    fn other_tokens_do_not_match() {
        let token = Token::generate().unwrap();
        assert!(!token.matches(&Token::generate().unwrap().hash()));
        assert!(!token.matches(&token.hash()[..31]));
        assert!(!token.matches(b""));
        assert_eq!(token.hash_hex().len(), 64);
    }

    #[test]
    fn what_cannot_be_a_token_is_not_looked_up() {
        for bad in
            ["", "abc", &"a".repeat(42), &"a".repeat(44), &"é".repeat(21), &format!("{}/", "a".repeat(42))]
        {
            assert!(Token::from_presented(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn is_never_printed() {
        let token = Token::generate().unwrap();
        assert_eq!(format!("{token:?}"), "Token(hidden)");
    }
}
