//! The program: reads the command line and does what it says.

#![warn(clippy::unwrap_used)]

mod cli;

/// The many small, short-lived buffers of announces cost a sixth less processor and a third less memory in it than in
/// glibc's (`benches/announces.sh`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    cli::run()
}
