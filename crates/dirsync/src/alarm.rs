//! The administrator's command, run when something begins to need a person and when it is over.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use dirsync_protocol::context::{Event, Level};

use crate::failure::Outcome;
use crate::office::Office;
use crate::waiting::Waiting;

/// Compares what waits with what was said before, and runs the command once for each beginning and
/// each end. Returns whether anything waits.
pub fn sound_alarms(office: &mut Office) -> Outcome<bool> {
    let waits = Waiting::of(office)?;
    let now = subjects(&waits);
    let before: BTreeMap<String, String> = office
        .begin()?
        .notes("alarm:")?
        .into_iter()
        .filter_map(|(name, text)| Some((name.strip_prefix("alarm:")?.to_owned(), text)))
        .collect();
    for (kind, text) in &now {
        if !before.contains_key(kind) {
            note(office, kind, Some(text))?;
            sound(office, "begins", kind, text)?;
        }
    }
    for (kind, text) in &before {
        if !now.contains_key(kind) {
            note(office, kind, None)?;
            sound(office, "is over", kind, text)?;
        }
    }
    Ok(waits.any())
}

fn note(office: &mut Office, kind: &str, text: Option<&str>) -> Outcome<()> {
    let mut tables = office.begin()?;
    tables.put_note(&format!("alarm:{kind}"), text)?;
    Ok(tables.commit()?)
}

fn subjects(waits: &Waiting) -> BTreeMap<String, String> {
    let mut subjects = BTreeMap::new();
    if waits.held > 0 {
        let text = format!("{} changes wait for a person: dirsync held list", waits.held);
        subjects.insert("held".into(), text);
    }
    if waits.quarantined > 0 {
        let text = format!("{} cases: dirsync quarantine list", waits.quarantined);
        subjects.insert("quarantined".into(), text);
    }
    for name in &waits.overdue {
        subjects
            .insert(format!("overdue {name}"), format!("{name} has not been heard for too long"));
    }
    for name in &waits.failed_sources {
        subjects.insert(format!("source {name}"), format!("source \"{name}\" could not be read"));
    }
    for text in &waits.decisions {
        subjects.insert("decisions".into(), text.clone());
    }
    if let Some(notice) = waits.notice {
        subjects.insert("server".into(), notice.into());
    }
    if !waits.never.is_empty() {
        subjects.insert("schedule".into(), waits.never.join("; "));
    }
    if let Some(stopped) = waits.stopped {
        let text = match waits.away {
            Some(away) => format!("{away}: dirsync status"),
            None => format!("this postoffice is {stopped}; nothing is sent"),
        };
        subjects.insert(stopped.into(), text);
    }
    subjects
}

/// Runs the command with `{subject}` filled in; the same stands in its environment. A command that
/// fails is said in the log and stops nothing.
fn sound(office: &mut Office, when: &str, kind: &str, text: &str) -> Outcome<()> {
    let subject = format!("dirsync {}: {kind} {when}: {text}", office.name);
    let subject = dirsync_directory::shown(&subject).into_owned();
    let mut events = Vec::new();
    let words = office.config.alarm.clone();
    if let Some((program, arguments)) = words.split_first() {
        let arguments = arguments.iter().map(|word| word.replace("{subject}", &subject));
        let outcome = Command::new(program)
            .args(arguments)
            .env("DIRSYNC_SUBJECT", &subject)
            .env("DIRSYNC_POSTOFFICE_NAME", office.name.as_str())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status();
        let failed = match outcome {
            Ok(status) if status.success() => None,
            Ok(status) => Some(status.to_string()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(why) = failed {
            let text = format!("the alarm command \"{program}\" failed: {why}");
            events.push(Event { level: Level::Error, rule: "alarm", text });
        }
    }
    office.log("alarm", &format!("{kind} {when}: {text}"), &events)?;
    Ok(())
}
