//! Threads that give way to others: for whoever asks for more than a fair share, and for what nobody waits for.

use std::sync::LazyLock;

use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
};

/// How much this is worth to the kernel: beside an ordinary thread that is busy, about a tenth of a processor
/// (sched(7)); all of it beside none.
const NICE: i32 = 10;
/// Threads at most. Each is at work on a connection, so that there are never many.
const THREADS: usize = 256;

static SLOW_LANE: LazyLock<std::io::Result<Runtime>> = LazyLock::new(|| {
    Builder::new_current_thread()
        .thread_name("slow-lane")
        .max_blocking_threads(THREADS)
        .on_thread_start(give_way)
        .build()
});

/// Lets every thread of an ordinary priority go before this one, from now on.
pub fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE) {
        log::debug!("a thread could not be made to give way: {error}");
    }
}

/// Does what blocks on a thread that gives way.
pub fn in_slow_lane<T: Send + 'static>(task: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    match &*SLOW_LANE {
        Ok(runtime) => runtime.spawn_blocking(task),
        Err(_) => tokio::task::spawn_blocking(task),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_slow_lane_gives_way_and_the_rest_does_not() {
        let nice = || rustix::process::getpriority_process(Some(rustix::thread::gettid())).expect("asked");
        let here = nice();
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        assert_eq!(runtime.block_on(in_slow_lane(nice)).expect("ran"), NICE.max(here));
        assert_eq!(nice(), here);
    }
}
