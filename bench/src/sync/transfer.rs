//! The bare transfer of a pull: the same requests and pages, by a client that parses only what the next request needs.

use anyhow::{Context, ensure};
use garage_core::Session;
use garage_core::sync::{MAX_RECORDS, SyncRequest};
use reqwest::header::AUTHORIZATION;
use uuid::Uuid;

/// What was transferred.
pub struct Transfer {
    pub requests: usize,
    /// After decompression.
    pub bytes: usize,
}

/// Reads all pages as a new device.
pub async fn pull(client: &reqwest::Client, session: &Session) -> anyhow::Result<Transfer> {
    let url = format!("{}/api/sync", session.server());
    let authorization = session.access_token().await?.header();
    let mut request = SyncRequest {
        account: Some(session.account().account.clone()),
        device_id: Uuid::now_v7(),
        batch: None,
        epoch: None,
        cursor: None,
        limit: MAX_RECORDS,
        audit: None,
        operations: Vec::new(),
    };
    let mut transfer = Transfer { requests: 0, bytes: 0 };
    loop {
        let sent = client.post(&url).header(AUTHORIZATION, authorization.clone()).json(&request).send().await?;
        let page = sent.error_for_status()?.bytes().await?;
        transfer.requests += 1;
        transfer.bytes += page.len();
        // Both are beside the records, one before them and one after.
        let start = std::str::from_utf8(&page[..page.len().min(512)]).context("ASCII")?;
        request.epoch = Some(quoted_after(start, "\"epoch\":\"").context("no epoch")?);
        let last = page.rsplit(|byte| *byte == b']').next().unwrap_or_default();
        let end = std::str::from_utf8(last)?;
        request.cursor = Some(quoted_after(end, "\"cursor\":\"").context("no cursor")?);
        if end.contains("\"more\":false") {
            return Ok(transfer);
        }
        ensure!(end.contains("\"more\":true"), "no end of the page");
    }
}

fn quoted_after(text: &str, name: &str) -> Option<String> {
    Some(text.split_once(name)?.1.split_once('"')?.0.to_owned())
}
