//! Threads that give way to others: for whoever asks for more than a fair share, and for what nobody waits for.

use std::sync::LazyLock;

use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
};

/// How much this is worth to the kernel: beside an ordinary thread that is busy, about a tenth of a processor
/// (sched(7)); all of it beside none.
const NICE: i32 = 10;
/// Threads at most. Each is at work on a connection, so that there are never many.
const THREADS: usize = 256;

/// How many of one database may be in the slow lane at once: who asks for more than their database can do takes half of
/// the processors at most, here or in the server beside.
#[must_use]
pub fn crowd() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| (processors.get() / 2).max(1))
}

static SLOW_LANE: LazyLock<std::io::Result<Runtime>> = LazyLock::new(|| {
    Builder::new_current_thread()
        .thread_name("slow-lane")
        .max_blocking_threads(THREADS)
        .on_thread_start(come_last)
        .build()
});

/// Lets every thread of an ordinary priority go before this one, from now on.
pub fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE) {
        log::debug!("a thread could not be made to give way: {error}");
    }
}

/// Lets every other thread go before this one, from now on, and at once: what gives way by a number alone keeps the
/// processor for some milliseconds from whoever wakes up (SCHED_IDLE, sched(7)).
pub fn come_last() {
    #[cfg(target_os = "linux")]
    {
        let last = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        if let Err(error) = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, last) {
            log::debug!("a thread could not be put last: {error}");
        }
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
    fn the_slow_lane_comes_last_and_the_rest_does_not() {
        let comes_last = || {
            thread_priority::thread_schedule_policy().expect("asked")
                == ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle)
        };
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        assert!(runtime.block_on(in_slow_lane(comes_last)).expect("ran"));
        assert!(!comes_last());
    }
}
