//! The threads of one plugin: one for its store, one for other work, and a few for blocking disk access. So a plugin
//! that blocks its threads does not affect others.

use futures::future::{AbortHandle, abortable};
use tokio::runtime::Builder;

use crate::error::{Error, Kind, Result};

/// How many things of one plugin may wait for a disk at a time. More have to queue.
const WAITING: usize = 16;

/// The work of a plugin, which ends when this is dropped.
pub(super) struct Threads(AbortHandle);

impl Threads {
    /// Ends the work as well.
    pub(super) fn handle(&self) -> AbortHandle {
        self.0.clone()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Does the work of a plugin. The tokio tasks that the work started end with it.
pub(super) fn start(work: impl Future<Output = ()> + Send + 'static) -> Result<Threads> {
    let unstarted = |cause| Error::new(Kind::Other, "cannot start a thread").caused_by(cause);
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(WAITING)
        .thread_name("plugin-beside")
        .enable_all()
        .build()
        .map_err(unstarted)?;
    let (work, handle) = abortable(work);
    std::thread::Builder::new()
        .name("plugin".into())
        .spawn(move || {
            // The task was aborted; the caller that did it knows.
            let _ = runtime.block_on(work);
            runtime.shutdown_background();
        })
        .map_err(unstarted)?;
    Ok(Threads(handle))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;
    use tokio::task::{block_in_place, spawn_blocking};
    use tokio::time::{sleep, timeout};

    use super::*;

    const LONG: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn a_plugin_that_blocks_all_its_threads_keeps_nobody_else_waiting() {
        let (release, released) = std::sync::mpsc::channel::<()>();
        let released = std::sync::Mutex::new(released);
        let blocker = start(async move {
            for _ in 0..WAITING * 4 {
                spawn_blocking(|| std::thread::sleep(LONG));
            }
            // It ends with an error when the test does.
            let _ = block_in_place(|| released.lock().map(|released| released.recv()).is_ok());
        })
        .expect("it starts");
        let (tell, told) = oneshot::channel();
        let _other = start(async move {
            let answer = spawn_blocking(|| 7).await;
            let _ = tell.send(answer.expect("it does not panic"));
        })
        .expect("it starts");
        let answer = timeout(LONG / 2, told).await.expect("it is not held up");
        assert_eq!(answer, Ok(7));
        drop((blocker, release));
    }

    #[tokio::test]
    async fn what_a_plugin_started_ends_with_it() {
        let (tell, told) = oneshot::channel::<()>();
        let threads = start(async move {
            tokio::spawn(async move {
                sleep(LONG).await;
                drop(tell);
            });
            std::future::pending::<()>().await;
        });
        drop(threads.expect("it starts"));
        let ended = timeout(LONG / 2, told).await;
        assert!(ended.expect("it ends at once").is_err());
    }
}
