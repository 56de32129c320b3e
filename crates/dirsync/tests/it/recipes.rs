//! `docs/recipes.md`, pasted.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::sandbox::Sandbox;

const PEOPLE: &str = "key,cn,mail,telephoneNumber\nana,Ana Souza,ana@north.example,+47 1\n\
                      bo,Bo Lund,bo@north.example,+47 2\ncy,Cy Holm,cy@north.example,+47 3\n";

/// A server and two requestors with equal lists.
fn three_sites() -> Sandbox {
    let sandbox = Sandbox::two_postoffices();
    sandbox.run("-C hq requestor add WEST/LAB --folder share --out lab.invitation").expect(0);
    sandbox.run("-C lab init --invitation lab.invitation").expect(0);
    sandbox.write("people.csv", PEOPLE);
    sandbox.run("-C hq import people.csv --whole").expect(0);
    for _ in 0..2 {
        sandbox.run("-C lab send").expect(0);
        sandbox.cycle();
        sandbox.run("-C lab apply").expect(0);
    }
    assert_eq!(sandbox.status("lab")["entries"], 3);
    fs::create_dir(sandbox.path("bin")).unwrap();
    symlink(env!("CARGO_BIN_EXE_dirsync"), sandbox.path("bin/dirsync")).unwrap();
    sandbox
}

/// The blocks of a recipe: the language, and the text.
fn blocks(recipe: &str) -> Vec<(&str, &str)> {
    let parts: Vec<&str> = recipe.split("```").collect();
    let inside = parts.iter().skip(1).step_by(2);
    inside.map(|block| block.split_once('\n').expect("a block has lines")).collect()
}

#[test]
fn each_recipe_works_as_pasted() {
    let page = include_str!("../../../../docs/recipes.md");
    let recipes: Vec<&str> = page.split("\n## ").skip(1).collect();
    assert!(recipes.len() >= 20, "{} recipes", recipes.len());
    for recipe in recipes {
        let title = recipe.lines().next().unwrap();
        let sandbox = three_sites();
        let path = format!("{}:{}", sandbox.path("bin").display(), std::env::var("PATH").unwrap());
        for (language, text) in blocks(recipe) {
            if language == "toml" {
                sandbox.write("hq/dirsync.toml", text);
                continue;
            }
            for line in text.lines() {
                let ran = Command::new("sh")
                    .args(["-c", line])
                    .current_dir(sandbox.path(""))
                    .env("PATH", format!("{path}:/usr/sbin"))
                    .env_remove("DIRSYNC_POSTOFFICE")
                    .output()
                    .unwrap();
                let (out, err) =
                    (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
                let code = ran.status.code();
                assert!(
                    code == Some(0) || code == Some(3),
                    "{title}: {line}: {code:?}\n{out}{err}"
                );
            }
        }
    }
}
