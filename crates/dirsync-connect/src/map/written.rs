//! A map as the text of a file.

use std::fmt::Write as _;

use super::{Line, Map, Rule};

impl Map {
    /// The map as TOML, with a comment on each line for which there is one.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        for (name, line) in self.lines() {
            let is_detail = self.details.keys().any(|attribute| attribute.as_str() == name);
            if !is_detail && name != "origin" && !line.is_empty() {
                push_line(&mut text, name, line);
            }
        }
        text.push_str("\n[details]\n");
        for (attribute, line) in &self.details {
            push_line(&mut text, attribute.as_str(), line);
        }
        text
    }
}

fn push_line(text: &mut String, name: &str, line: &Line) {
    // Writing to a String cannot fail.
    let _ = match line.as_slice() {
        [rule] => writeln!(text, "{name} = {}", written(rule)),
        rules => {
            let rules: String =
                rules.iter().map(|rule| format!("    {},\n", written(rule))).collect();
            writeln!(text, "{name} = [\n{rules}]")
        }
    };
}

fn written(rule: &Rule) -> String {
    match &rule.condition {
        None => quoted(rule.value.as_str()),
        Some(condition) => {
            let condition = quoted(&condition.to_string());
            format!("{{ value = {}, if = {condition} }}", quoted(rule.value.as_str()))
        }
    }
}

/// A TOML string, literal if that saves escapes.
pub(crate) fn quoted(text: &str) -> String {
    let needs_escapes = text.contains(['"', '\\']);
    if needs_escapes && !text.contains('\'') && !text.chars().any(char::is_control) {
        return format!("'{text}'");
    }
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            control if control.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", control as u32);
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recognised::map_of;

    #[test]
    fn texts_are_quoted_as_toml_reads_them() {
        assert_eq!(quoted("{a}"), "\"{a}\"");
        assert_eq!(quoted("{a|split \";\"}"), "'{a|split \";\"}'");
        assert_eq!(quoted("it's \"\\\"\n\u{1}"), "\"it's \\\"\\\\\\\"\\n\\u0001\"");
    }

    #[test]
    fn a_recognised_header_becomes_the_text_of_a_map() {
        let text = map_of(&["employeeNumber", "cn", "mail", "Phone 1 - Value", "Phone 1 - Label"])
            .to_toml();
        assert!(text.starts_with("key = '{employeeNumber|split \" ::: \"}'\n"), "{text}");
        assert!(text.contains("name = [\n    '{cn|split"), "{text}");
        assert!(text.contains("mobile = { value = "), "{text}");
        assert!(!text.contains("origin"), "{text}");
    }
}
