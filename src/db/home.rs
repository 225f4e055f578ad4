//! Where connections to Postgres live. Each of the server's threads has a runtime of its own, and a socket dies with the
//! runtime it was opened in: at a stop the first thread to end took connections along that requests of the others were
//! using. So they are opened in the runtime that outlives them all.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

#[derive(Clone, Debug)]
pub struct Home(Handle);

impl Home {
    /// The runtime that runs this.
    pub fn here() -> Self {
        Self(Handle::current())
    }

    /// Polls `work` where it is awaited, but whatever it opens belongs here.
    pub async fn run<F: Future>(&self, work: F) -> F::Output {
        let mut work = std::pin::pin!(work);
        std::future::poll_fn(|cx| self.poll(work.as_mut(), cx)).await
    }

    fn poll<F: Future>(&self, work: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let _entered = self.0.enter();
        work.poll(cx)
    }
}
