//! `cargo xtask sim`: runs worlds by the thousand, and says what broke and what was never seen.

mod arguments;
mod hunt;
mod report;

use std::process::ExitCode;

use arguments::{Arguments, HELP, Work};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let arguments = match Arguments::parse(&words) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(why) => {
            eprintln!("error: {why}\n\nsee: cargo xtask sim --help");
            return ExitCode::from(2);
        }
    };
    for rule in &arguments.without {
        rule.switch_off();
    }
    let sound = match &arguments.work {
        Work::Seeds(seeds) => hunt::seeds(&arguments, seeds.clone(), None),
        Work::Minutes(minutes) => hunt::minutes(&arguments, *minutes),
        Work::One(seed) => hunt::one(&arguments, *seed),
        Work::Rules(most) => hunt::rules(*most),
        Work::Conversation(path) => hunt::conversation(path),
        Work::Conversations => hunt::conversations(),
        Work::Exhaustive(depth) => hunt::exhaustive(&arguments, *depth),
    };
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
