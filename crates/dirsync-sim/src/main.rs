//! `cargo xtask sim`: runs worlds by the thousand, and says what broke and what was never seen.

mod arguments;
mod hunt;
mod report;

use std::process::ExitCode;

use arguments::{Arguments, Work};
use clap::Parser as _;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    for rule in &arguments.without {
        rule.switch_off();
    }
    let sound = match &arguments.work {
        Work { minutes: Some(minutes), .. } => hunt::minutes(&arguments, *minutes),
        Work { seed: Some(seed), .. } => hunt::one(&arguments, *seed),
        Work { rules: Some(most), .. } => hunt::rules(*most, arguments.threads),
        Work { world: Some(path), .. } => hunt::conversation(path),
        Work { worlds: true, .. } => hunt::conversations(),
        Work { exhaustive: Some(depth), .. } => hunt::exhaustive(&arguments, *depth),
        Work { seeds, .. } => hunt::seeds(&arguments, seeds.clone(), None),
    };
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
