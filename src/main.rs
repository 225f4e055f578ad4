//! The program: reads the command line and does what it says.

mod cli;

fn main() -> anyhow::Result<()> {
    cli::run()
}
