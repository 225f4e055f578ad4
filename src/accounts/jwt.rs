//! The session cookie's envelope: a JWT, HS256 and nothing else. Only `sid` is believed; the session row decides.

use std::sync::Once;

use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::signature::{self, Signer, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::clock::Timestamp;

const AUDIENCE: &str = "seedbank session";

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    sid: String,
    aud: String,
    iat: i64,
    exp: i64,
}

pub fn encode(key: &[u8], sid: &str, now: Timestamp, expires: Timestamp) -> anyhow::Result<String> {
    install();
    let claims = Claims {
        sid: sid.to_owned(),
        aud: AUDIENCE.to_owned(),
        iat: now.0,
        exp: expires.0,
    };
    Ok(jsonwebtoken::encode(
        &Header::new(Algorithm::HS256),
        &claims,
        &EncodingKey::from_secret(key),
    )?)
}

/// The session id inside, if the token is ours. The end is checked against our own clock, with the row.
pub fn decode(key: &[u8], token: &str, now: Timestamp) -> Option<String> {
    install();
    let mut validation = Validation::new(Algorithm::HS256);
    validation.leeway = 0;
    validation.validate_exp = false;
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "aud"]);
    let claims = jsonwebtoken::decode::<Claims>(token, &DecodingKey::from_secret(key), &validation)
        .ok()?
        .claims;
    (claims.exp > now.0).then_some(claims.sid)
}

/// Tells jsonwebtoken, which brings no cryptography of its own, the one algorithm there is.
fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that a provider is installed already; ours is the only one in this program.
        let _installed_before = PROVIDER.install_default();
    });
}

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| match algorithm {
        Algorithm::HS256 => Ok(Box::new(Hs256(key.as_bytes().to_vec())) as Box<dyn JwtSigner>),
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    },
    verifier_factory: |algorithm, key| match algorithm {
        Algorithm::HS256 => {
            Ok(Box::new(Hs256(key.try_get_as_bytes()?.to_vec())) as Box<dyn JwtVerifier>)
        }
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    },
    key_utils: KeyUtils::new_unimplemented(),
};

struct Hs256(Vec<u8>);

impl Hs256 {
    fn mac(&self, message: &[u8]) -> Result<Hmac<Sha256>, signature::Error> {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.0)
            .map_err(signature::Error::from_source)?;
        mac.update(message);
        Ok(mac)
    }
}

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(self.mac(message)?.finalize().into_bytes().to_vec())
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        self.mac(message)?
            .verify_slice(signature)
            .map_err(signature::Error::from_source)
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_tokens_open() {
        let (key, now) = (b"0123456789abcdef0123456789abcdef", Timestamp(1_000));
        let token = encode(key, "abc", now, now.plus(10)).unwrap();
        assert_eq!(decode(key, &token, now).as_deref(), Some("abc"));
        assert_eq!(decode(key, &token, now.plus(10)), None, "ended");
        assert_eq!(
            decode(b"another key of thirty-two bytes!", &token, now),
            None
        );
        assert_eq!(decode(key, &format!("{token}x"), now), None);
        let none = format!(
            "{}.{}.",
            data_encoding::BASE64URL_NOPAD.encode(br#"{"alg":"none","typ":"JWT"}"#),
            token.split('.').nth(1).unwrap()
        );
        assert_eq!(decode(key, &none, now), None, "alg none");
    }
}
