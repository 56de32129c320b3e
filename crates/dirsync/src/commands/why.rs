//! `dirsync why`.

use std::path::Path;

use dirsync_message::OutcomeKind;
use dirsync_postoffice::why::{Claim, OwnStage, Reach, Why};
use serde_json::json;

use crate::cli::WhyArgs;
use crate::commands::print_json;
use crate::failure::{ExitStatus, Result};
use crate::words::shown;

/// `dirsync why ADDRESS`.
pub fn why(folder: &Path, arguments: &WhyArgs, json: bool) -> Result<ExitStatus> {
    let mut postoffice = super::read(folder)?;
    let why = Why::of(&mut postoffice, &arguments.address, arguments.at.as_ref())?;
    let lines = words(&why);
    if json {
        print_json(&json!({ "address": arguments.address, "lines": lines }));
    } else {
        lines.iter().for_each(|line| println!("{line}"));
    }
    Ok(ExitStatus::Done)
}

fn words(why: &Why) -> Vec<String> {
    let mut lines = Vec::new();
    why.own.iter().for_each(|stage| own_words(stage, &mut lines));
    for listed in &why.listed {
        let (name, number) = (shown(&listed.name), listed.number);
        lines.push(format!("listed here: \"{name}\" of {}, number {number}", listed.owner));
    }
    if why.listed.is_empty() {
        lines.push("not in the list here".into());
    }
    why.claims.iter().for_each(|claim| claim_words(claim, &mut lines));
    lines
}

fn own_words(stage: &OwnStage, lines: &mut Vec<String>) {
    let OwnStage { key, source, change, .. } = stage;
    let acknowledged = match stage.acknowledged {
        true => "acknowledged by the server",
        false => "not acknowledged yet: it travels with the next `dirsync send`",
    };
    let name = shown(&stage.name);
    lines.push(format!(
        "own entry \"{name}\" ({key}), fed by \"{source}\": change {change} {acknowledged}"
    ));
    let outcomes = stage.outcomes.iter();
    lines.extend(outcomes.map(|outcome| format!("  at the server: {}", outcome_words(outcome))));
    lines.extend(stage.held.iter().map(|kind| format!("  a change is held here: {kind}")));
}

fn outcome_words(outcome: &OutcomeKind) -> String {
    match outcome {
        OutcomeKind::Waiting { address, holder } => {
            format!("waits for {address}, which {holder} holds")
        }
        OutcomeKind::Contested { address, by } => format!("{by} waits for its address {address}"),
        OutcomeKind::Held => "its deletion waits for a person".into(),
        OutcomeKind::Transferred { to } => format!("it belongs to {to} now"),
        OutcomeKind::ForeignId { owner } => format!("{owner} owns an entry with this id"),
        OutcomeKind::Invalid { reason } => format!("quarantined: {reason}"),
    }
}

fn claim_words(claim: &Claim, lines: &mut Vec<String>) {
    let origin = &claim.origin;
    let Some((number, requestors)) = &claim.published else {
        lines.push(format!("at the server: {origin} wants the address, and waits for it"));
        return;
    };
    lines.push(format!("at the server: published for {origin}, number {number}"));
    for (name, reach) in requestors {
        let word = match reach {
            Reach::NotInView => "not in its view".to_owned(),
            Reach::Confirmed => "confirmed".to_owned(),
            Reach::OnItsWay(confirmed) => format!("on its way (confirmed up to {confirmed})"),
        };
        lines.push(format!("  {name}: {word}"));
    }
}
