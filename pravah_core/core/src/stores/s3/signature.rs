//! AWS Signature Version 4: proves with each request who sends it, and what it asks for.
//!
//! Bodies are not hashed a second time: their CRC32C is a header, and headers are signed.
//! Algorithm: <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>

use std::fmt::Write;

use chrono::DateTime;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

use super::connection::Credentials;

/// What a part of a path or a query is made of in a request; everything else is encoded.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PLAIN_PATH: &AsciiSet = &PLAIN.remove(b'/');

/// What the server is told instead of a hash of the body.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// What is signed of a request.
pub struct Signed<'s> {
    pub method: &'s str,
    pub host: &'s str,
    /// Encoded path.
    pub path: &'s str,
    /// Encoded query, in order of the names.
    pub query: &'s str,
    pub region: &'s str,
    /// Seconds since 1970.
    pub time_s: i64,
}

/// Encode the path of a request.
pub fn encoded_path(path: &str) -> String {
    utf8_percent_encode(path, PLAIN_PATH).to_string()
}

/// Encode a query; its parameters come in the order of their names.
pub fn encoded_query(parameters: &[(&str, String)]) -> String {
    let encode = |text: &str| utf8_percent_encode(text, PLAIN).to_string();
    let mut pairs: Vec<_> = parameters.iter().map(|(name, value)| (encode(name), encode(value))).collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// Add what proves the sender to a request's headers, which have lower-case names.
pub fn sign(signed: &Signed<'_>, credentials: &Credentials, headers: &mut Vec<(String, String)>) {
    let time = DateTime::from_timestamp(signed.time_s, 0).unwrap_or_default();
    let (stamp, day) = (time.format("%Y%m%dT%H%M%SZ").to_string(), time.format("%Y%m%d").to_string());
    headers.push(("x-amz-date".into(), stamp.clone()));
    headers.push(("x-amz-content-sha256".into(), UNSIGNED.into()));
    if let Some(token) = &credentials.session_token {
        headers.push(("x-amz-security-token".into(), token.clone()));
    }
    let mut covered: Vec<(&str, &str)> = vec![("host", signed.host)];
    covered
        .extend(headers.iter().filter(|(name, _)| name.starts_with("x-amz-")).map(|(n, v)| (n.as_str(), v.as_str())));
    covered.sort_unstable();
    let names = covered.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let mut lines = String::new();
    covered.iter().for_each(|(name, value)| {
        // Blanks count once, and at neither end.
        let value = value.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        let _ = writeln!(lines, "{name}:{value}");
    });
    let Signed { method, path, query, region, .. } = signed;
    let canonical = format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{UNSIGNED}");
    let scope = format!("{day}/{region}/s3/aws4_request");
    let text = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
    let key = [day.as_str(), region, "s3", "aws4_request"]
        .iter()
        .fold(format!("AWS4{}", credentials.secret_access_key).into_bytes(), |key, part| {
            hmac(&key, part.as_bytes()).to_vec()
        });
    let signature = hex(&hmac(&key, text.as_bytes()));
    let id = &credentials.access_key_id;
    let proof = format!("AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}");
    headers.push(("authorization".into(), proof));
}

/// HMAC-SHA256 (RFC 2104).
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    const BLOCK_BYTES: usize = 64;
    let mut block = [0; BLOCK_BYTES];
    match key.len() {
        0..=BLOCK_BYTES => block[..key.len()].copy_from_slice(key),
        _ => block[..32].copy_from_slice(&Sha256::digest(key)),
    }
    let padded = |pad: u8| block.map(|byte| byte ^ pad);
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_hmac_of_rfc_4231_is_what_it_says() {
        let found = hex(&hmac(b"Jefe", b"what do ya want for nothing?"));
        assert_eq!(found, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        let long = hex(&hmac(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First"));
        assert_eq!(long, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    }

    #[test]
    fn test_paths_and_queries_are_encoded_as_they_are_signed() {
        assert_eq!(encoded_path("/b/a b+%2F/é~"), "/b/a%20b%2B%252F/%C3%A9~");
        let query = [("prefix", "a/b".to_owned()), ("list-type", "2".to_owned()), ("uploads", String::new())];
        assert_eq!(encoded_query(&query), "list-type=2&prefix=a%2Fb&uploads=");
    }

    #[test]
    fn test_secrets_are_in_no_header_but_the_proof_of_them() {
        let credentials = Credentials {
            access_key_id: "AKID".into(),
            secret_access_key: "SECRET".into(),
            session_token: Some("TOKEN".into()),
            expires_at_s: None,
            origin: String::new(),
        };
        let mut headers =
            vec![("x-amz-meta-a".to_owned(), "1".to_owned()), ("range".to_owned(), "bytes=0-1".to_owned())];
        let signed =
            Signed { method: "GET", host: "h:1", path: "/b/k", query: "", region: "us-east-1", time_s: 1_369_353_600 };
        sign(&signed, &credentials, &mut headers);
        let proof = &headers.last().expect("is signed").1;
        assert!(proof.contains("Credential=AKID/20130524/us-east-1/s3/aws4_request"), "{proof}");
        assert!(
            proof.contains("SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-meta-a;x-amz-security-token,")
        );
        assert!(headers.iter().all(|(_, value)| !value.contains("SECRET")));
    }
}
