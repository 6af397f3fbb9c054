//! Reads the feed versions of concurrent requests in one query. Most requests poll for changes, and a query for each of
//! them would take more time than all the rest of the request.

use std::{collections::HashMap, time::Duration};

use deadpool_postgres::{Object, Pool};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::StoreError;

/// The most versions that one query reads, and the most requests that wait in the queue.
const BATCH: usize = 256;
/// A query that takes longer has lost its connection.
const QUERY_TIMEOUT: Duration = Duration::from_secs(5);
const QUERY: &str = "SELECT user_id, version FROM feeds WHERE user_id = ANY($1)";

type Answer = Result<i64, StoreError>;

/// A queue of reads, and the task that performs them. The task ends when all clones are dropped.
#[derive(Clone)]
pub struct FeedVersions(mpsc::Sender<Read>);

struct Read {
    user: String,
    answer: oneshot::Sender<Answer>,
}

impl FeedVersions {
    pub fn start(pool: Pool) -> FeedVersions {
        let (queue, reads) = mpsc::channel(BATCH);
        tokio::spawn(perform(pool, reads));
        FeedVersions(queue)
    }

    /// The user's feed version, 0 before the first write. The query begins after this call, so it returns every write that
    /// was answered before.
    pub async fn of(&self, user: &str) -> Answer {
        let (answer, answered) = oneshot::channel();
        let read = Read { user: user.to_owned(), answer };
        self.0.send(read).await.map_err(|_| StoreError::Unavailable)?;
        answered.await.unwrap_or(Err(StoreError::Unavailable))
    }
}

async fn perform(pool: Pool, mut reads: mpsc::Receiver<Read>) {
    let mut batch = Vec::with_capacity(BATCH);
    while reads.recv_many(&mut batch, BATCH).await > 0 {
        let mut waiting: HashMap<String, Vec<oneshot::Sender<Answer>>> = HashMap::new();
        for Read { user, answer } in batch.drain(..) {
            waiting.entry(user).or_default().push(answer);
        }
        let users: Vec<&str> = waiting.keys().map(String::as_str).collect();
        let versions = versions(&pool, &users).await;
        for (user, answers) in waiting {
            let version = match &versions {
                Ok(versions) => Ok(versions.get(&user).copied().unwrap_or(0)),
                Err(error) => Err(*error),
            };
            for answer in answers {
                // A request whose client has hung up does not receive it.
                let _ = answer.send(version);
            }
        }
    }
}

async fn versions(pool: &Pool, users: &[&str]) -> Result<HashMap<String, i64>, StoreError> {
    let connection = pool.get().await?;
    let read = async {
        let statement = connection.prepare_cached(QUERY).await?;
        let rows = connection.query(&statement, &[&users]).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<Result<_, tokio_postgres::Error>>()
    };
    let read = timeout(QUERY_TIMEOUT, read).await;
    match read {
        Ok(versions) => Ok(versions?),
        Err(_) => {
            tracing::error!("the database did not answer within {} s", QUERY_TIMEOUT.as_secs());
            // Removes it from the pool.
            drop(Object::take(connection));
            Err(StoreError::Unavailable)
        }
    }
}
