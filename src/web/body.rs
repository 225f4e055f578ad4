//! Reading a request's body with an end in sight: a cap on its size and on its time.

use std::time::Duration;

use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt;

use crate::error::{Error, Result};

/// Everything a form may hold.
pub const FORM_LIMIT: usize = 256 * 1024;
/// Slow senders are cut: a form in 20 s, an upload in two minutes.
pub const FORM_DEADLINE: Duration = Duration::from_secs(20);
pub const UPLOAD_DEADLINE: Duration = Duration::from_secs(120);

pub async fn read(mut payload: Payload, limit: usize) -> Result<Bytes> {
    let reading = async {
        let mut all = BytesMut::new();
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|_| cut())?;
            if all.len() + chunk.len() > limit {
                return Err(Error::TooLarge(format!(
                    "The form is larger than {} KiB. Shorten the text and send it again.",
                    limit / 1024
                )));
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    };
    match tokio::time::timeout(FORM_DEADLINE, reading).await {
        Ok(read) => read,
        Err(_) => Err(cut()),
    }
}

pub fn cut() -> Error {
    Error::BadRequest("The request ended before it was complete. Send it again.".to_owned())
}
