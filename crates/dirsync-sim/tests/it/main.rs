//! Random worlds, in a small number; `cargo xtask sim` runs more.

use dirsync_sim::plan::Plan;
use dirsync_sim::random::{run, shrink};

#[test]
fn worlds_survive() {
    let mut found = Vec::new();
    let start = std::time::Instant::now();
    let n: u64 = std::env::var("N").map(|n| n.parse().unwrap()).unwrap_or(270);
    for seed in 0..n {
        let (plan, random) = Plan::of(seed);
        let done = run(&plan, random);
        if let Err(why) = done.result {
            let (trace, why) = shrink(&plan, done.trace, &why);
            let text: Vec<String> = trace.iter().map(|step| step.to_string()).collect();
            found.push(format!(
                "{} {seed} {:?}: {why}\n    {}",
                plan.profile,
                plan.setup.sights,
                text.join("; ")
            ));
            if found.len() > 6 {
                break;
            }
        }
    }
    println!("{:?} for {n}", start.elapsed());
    assert!(found.is_empty(), "{}", found.join("\n"));
}
