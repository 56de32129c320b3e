//! Templates: texts in which `{column|function}` stands for the values of a column.

use thiserror::Error;

use super::function::Function;

/// A text in which `{column}` stands for the values of a column, `{column|function}` for what a function
/// gives for each of them, and `{{` and `}}` for braces.
#[derive(Clone, Debug)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

/// A part of a template.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    Text(String),
    Value(Value),
}

/// What stands between braces.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    /// The first of these columns that has a value is used.
    pub(crate) columns: Vec<String>,
    pub(crate) functions: Vec<Function>,
}

/// A text that is not a template.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("the template \"{text}\" is wrong at character {}: {reason}", text[..*position].chars().count() + 1)]
pub struct TemplateError {
    text: String,
    /// The position of the mistake, in bytes from 0.
    pub position: usize,
    /// The problem at that position.
    pub reason: String,
}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    ///
    /// If a brace is not closed, has no column in it, or a function is not known or has wrong arguments.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let parts = Parser { text, at: 0 }.parts().map_err(|(position, reason)| TemplateError {
            text: text.into(),
            position,
            reason,
        })?;
        Ok(Self { text: text.into(), parts })
    }

    /// A template of parts.
    pub(crate) fn of(parts: Vec<Part>) -> Self {
        let mut text = String::new();
        parts.iter().for_each(|part| part.write(&mut text));
        Self { text, parts }
    }

    /// The columns that it uses.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        let values = self.parts.iter().filter_map(|part| match part {
            Part::Value(value) => Some(value.columns.iter().map(String::as_str)),
            Part::Text(_) => None,
        });
        values.flatten()
    }

    /// The files and columns of its `lookup`s.
    pub fn lookups(&self) -> impl Iterator<Item = (&str, &str)> {
        let values = self.parts.iter().filter_map(|part| match part {
            Part::Value(value) => Some(value.functions.iter()),
            Part::Text(_) => None,
        });
        values.flatten().filter_map(|function| match function {
            Function::Lookup { file, column } => Some((file.as_str(), column.as_str())),
            _ => None,
        })
    }

    /// The template as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }
}

impl Part {
    fn write(&self, text: &mut String) {
        match self {
            Self::Text(literal) => {
                text.push_str(&literal.replace('{', "{{").replace('}', "}}"));
            }
            Self::Value(value) => {
                text.push('{');
                for (number, column) in value.columns.iter().enumerate() {
                    if number > 0 {
                        text.push(',');
                    }
                    if column.contains(['{', '}', '|', ',', '"']) {
                        text.push_str(&format!("\"{}\"", column.replace('"', "\"\"")));
                    } else {
                        text.push_str(column);
                    }
                }
                value.functions.iter().for_each(|function| function.write(text));
                text.push('}');
            }
        }
    }
}

/// The position of a mistake, and what it is.
type Mistake = (usize, String);

struct Parser<'a> {
    text: &'a str,
    /// The position of the next character, in bytes.
    at: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn parts(mut self) -> Result<Vec<Part>, Mistake> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        while self.at < self.text.len() {
            let rest = self.rest();
            if rest.starts_with("{{") || rest.starts_with("}}") {
                literal.push_str(&rest[..1]);
                self.at += 2;
            } else if rest.starts_with('{') {
                if !literal.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut literal)));
                }
                parts.push(Part::Value(self.value()?));
            } else if rest.starts_with('}') {
                let reason = "this \"}\" closes nothing; write \"}}\" for a brace";
                return Err((self.at, reason.into()));
            } else {
                let length = rest.find(['{', '}']).unwrap_or(rest.len());
                literal.push_str(&rest[..length]);
                self.at += length;
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(parts)
    }

    /// `{column,column|function argument|…}`, at its first brace.
    fn value(&mut self) -> Result<Value, Mistake> {
        let brace = self.at;
        let unclosed = || (brace, "this \"{\" is not closed; write \"{{\" for a brace".to_owned());
        let no_column =
            || (brace, "a column's name is expected between \"{\" and \"}\"".to_owned());
        let mut value = Value { columns: Vec::new(), functions: Vec::new() };
        loop {
            self.at += 1;
            self.skip_blanks();
            let column = match self.quoted(unclosed)? {
                Some(column) => column,
                None => {
                    let length = self.rest().find(['{', '}', '|', ',']).ok_or_else(unclosed)?;
                    let column = self.rest()[..length].trim().to_owned();
                    self.at += length;
                    column
                }
            };
            if column.trim().is_empty() {
                return Err(no_column());
            }
            value.columns.push(column.trim().to_owned());
            self.skip_blanks();
            match self.rest().chars().next() {
                Some(',') => {}
                Some('|' | '}') => break,
                None => return Err(unclosed()),
                Some(_) => return Err(no_column()),
            }
        }
        while self.rest().starts_with('|') {
            self.at += 1;
            value.functions.push(self.function(unclosed)?);
        }
        self.at += 1;
        Ok(value)
    }

    /// `name argument…`, up to the next `|` or `}`.
    fn function(&mut self, unclosed: impl Fn() -> Mistake) -> Result<Function, Mistake> {
        self.skip_blanks();
        let start = self.at;
        let name = self.word(&unclosed)?.to_owned();
        let mut arguments = Vec::new();
        loop {
            self.skip_blanks();
            if self.rest().starts_with(['|', '}']) {
                break;
            }
            match self.quoted(&unclosed)? {
                Some(argument) => arguments.push(argument),
                None => {
                    let at = self.at;
                    let word = self.word(&unclosed)?;
                    if word.is_empty() {
                        return Err((at, "a function's arguments stand in quotes".into()));
                    }
                    arguments.push(word.to_owned());
                }
            }
        }
        if name.is_empty() {
            return Err((start, "a function is expected after \"|\"".into()));
        }
        Function::of(&name, &arguments).map_err(|reason| (start, reason))
    }

    /// Letters, digits and anything else up to a blank, a quote or the end of a function.
    fn word(&mut self, unclosed: impl Fn() -> Mistake) -> Result<&'a str, Mistake> {
        let rest = self.rest();
        let length = rest
            .find(|character: char| character.is_whitespace() || "|{}\"".contains(character))
            .ok_or_else(unclosed)?;
        self.at += length;
        Ok(&rest[..length])
    }

    /// A text in quotes, in which two quotes stand for one; nothing if there is no quote here.
    fn quoted(&mut self, unclosed: impl Fn() -> Mistake) -> Result<Option<String>, Mistake> {
        if !self.rest().starts_with('"') {
            return Ok(None);
        }
        self.at += 1;
        let mut text = String::new();
        loop {
            let rest = self.rest();
            let length = rest.find('"').ok_or_else(&unclosed)?;
            text.push_str(&rest[..length]);
            self.at += length + 1;
            if !self.rest().starts_with('"') {
                return Ok(Some(text));
            }
            text.push('"');
            self.at += 1;
        }
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_pointed_at() {
        for (text, position) in [
            ("ä{b", 2),
            ("{}", 0),
            ("a}b", 1),
            ("{a{b}}", 0),
            ("{a,}", 0),
            ("{\"a\" b}", 0),
            ("x{a|}", 4),
            ("x{a| lwer}", 5),
            ("x{a|replace \"(\" \"\"}", 4),
            ("x{a|split \";}", 1),
            ("x{a|limit", 1),
            ("x{a|split {}", 10),
            ("x{a|lower", 1),
        ] {
            assert_eq!(Template::parse(text).unwrap_err().position, position, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in [
            "SMTP:{mail|lower}",
            "{mobile,telephoneNumber}",
            "{{x}} {\"Name, Vorname\"|replace \"^(\"\"|a{2}|)\" \"$1}\"|limit 64}",
            "{ou|lookup \"units.csv\" \"name\"}",
        ] {
            let template = Template::parse(text).unwrap();
            assert_eq!(Template::of(template.parts).as_str(), text);
        }
        let columns = Template::parse("{ \"a,b\" , c |upper} {d}").unwrap();
        assert_eq!(columns.columns().collect::<Vec<_>>(), ["a,b", "c", "d"]);
    }
}
