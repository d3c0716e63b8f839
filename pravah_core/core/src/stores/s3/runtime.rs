//! The threads that move bytes to and from object stores: two of them, which do nothing else.

use std::{future::Future, sync::OnceLock};

use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
};

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

fn runtime() -> &'static Runtime {
    RUNTIME.get_or_init(|| {
        Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("pravah-net")
            .enable_all()
            .build()
            .expect("the system has two threads for the network")
    })
}

/// Wait for a request, on a thread that may wait: never one of the network's own.
pub fn wait<T>(request: impl Future<Output = T>) -> T {
    runtime().block_on(request)
}

/// Whether this thread is one of the network's own.
pub fn is_network_thread() -> bool {
    tokio::runtime::Handle::try_current().is_ok()
}

/// Begin a request, to be waited for later.
pub fn begin<T: Send + 'static>(request: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    runtime().spawn(request)
}
