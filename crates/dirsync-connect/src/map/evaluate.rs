//! Evaluates a map for rows. Its buffers are used again for the next row.

use std::collections::BTreeMap;

use dirsync_directory::{RowFilter, fold_into};

use super::plan::{Plan, PlannedPart, PlannedRule, Target};
use super::row::Row;
use super::values::Values;
use crate::draft::Draft;
use crate::guid;

/// The most bytes that a line of a map makes of a row: 16 MiB, as many as a row may have.
///
/// A template that has a split column writes its other columns once for each part, and a function may make
/// much of each of many values: a row of 1 MiB could become hundreds of gigabytes.
const MADE_BYTES_MAX: usize = 16 << 20;

/// A line of a map makes more than [`MADE_BYTES_MAX`] of a row.
#[derive(Debug, PartialEq, Eq)]
struct TooMuch;

/// The parts of a row that are not in its record.
#[derive(Debug, Default)]
pub(crate) struct Subject {
    pub(crate) origin: String,
    pub(crate) key: String,
    /// The key is a mail address, because the row has no other.
    pub(crate) derived_key: bool,
}

impl Subject {
    pub(crate) fn clear(&mut self) {
        self.origin.clear();
        self.key.clear();
        self.derived_key = false;
    }
}

/// The number of rows that a map left out for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The reason: `hidden`, `skipped`, or a word of the map.
    pub reason: String,
    /// The number of rows.
    pub rows: u64,
}

/// What a map made of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowMade {
    /// The line of the file on which the row begins.
    pub line: u64,
    /// The lines of the map, in the order in which they are evaluated.
    pub made: Vec<Made>,
    /// The reason for which the row was left out.
    pub left_out: Option<String>,
}

/// What a line of a map made of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The line's name: `key`, `name`, or the attribute of a detail.
    pub line: String,
    /// The values; none if all its columns are empty or no condition is met.
    pub values: Vec<String>,
}

/// A map with what its evaluation needs.
#[derive(Debug)]
pub(crate) struct Evaluator {
    plan: Plan,
    buffers: Buffers,
    left_out: BTreeMap<String, u64>,
    derived_keys: u64,
    /// What the lines make is kept of this many rows more.
    traced: usize,
    trace: Vec<RowMade>,
}

#[derive(Debug, Default)]
struct Buffers {
    /// The values of each pair of braces of a template.
    slots: Vec<Values>,
    /// The values that a function gives, before they take the place of those that it got.
    given: Values,
    text: String,
    folded: String,
}

/// The number of a template's columns that have a value in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filled {
    /// None of them.
    Empty,
    /// Some of them.
    Partly,
    /// All of them, or the template has no columns.
    Whole,
}

impl Evaluator {
    /// `traced` is the number of rows of which the values of all lines are kept.
    pub(crate) fn new(plan: Plan, traced: usize) -> Self {
        Self {
            plan,
            buffers: Buffers::default(),
            left_out: BTreeMap::new(),
            derived_keys: 0,
            traced,
            trace: Vec::new(),
        }
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Makes the entry of a row. Returns false if the map leaves the row out.
    ///
    /// # Errors
    ///
    /// The reason for which the row cannot be used, if a line makes too much of it.
    pub(crate) fn fill<R: Row>(
        &mut self,
        line: u64,
        row: &R,
        draft: &mut Draft,
        subject: &mut Subject,
    ) -> Result<bool, String> {
        if self.traced > 0 {
            self.traced -= 1;
            let made = self.made(line, row);
            self.trace.push(made);
        }
        draft.clear();
        subject.clear();
        let Self { plan, buffers, left_out, .. } = self;
        for line in &plan.lines {
            let target = &line.target;
            let mut stays = true;
            let made =
                buffers.each(target, &line.rules, row, &mut |rule, value, folded| match target {
                    Target::Hidden | Target::Skip => {
                        if let Some(reason) = reason(target, value) {
                            stays = false;
                            count(left_out, reason);
                        }
                    }
                    Target::Origin => subject.origin.push_str(value),
                    Target::Key if rule.is_mail => {
                        fold_into(value, folded);
                        subject.key.push_str(folded);
                        subject.derived_key = true;
                    }
                    Target::Key => subject.key.push_str(&guid::canonical(value)),
                    Target::Kind => draft.kind(value),
                    Target::Name => draft.name(value),
                    Target::Address => draft.address(value),
                    Target::Detail(attribute) => draft.detail(attribute, value),
                });
            if made.is_err() {
                return Err(format!(
                    "the map's line \"{}\" makes more than {} MiB of the row",
                    target.name(),
                    MADE_BYTES_MAX >> 20
                ));
            }
            if !stays {
                return Ok(false);
            }
        }
        self.derived_keys += u64::from(subject.derived_key);
        Ok(true)
    }

    /// What every line makes of a row.
    fn made<R: Row>(&mut self, line: u64, row: &R) -> RowMade {
        let mut made = RowMade { line, made: Vec::new(), left_out: None };
        for line in &self.plan.lines {
            let mut values = Vec::new();
            let whole = self.buffers.each(&line.target, &line.rules, row, &mut |_, value, _| {
                values.push(value.to_owned());
            });
            if whole.is_err() {
                // The row is refused.
                values.clear();
            }
            let first = values.first().map_or("", String::as_str);
            if let Some(reason) = reason(&line.target, first)
                && made.left_out.is_none()
                && !first.is_empty()
            {
                made.left_out = Some(reason.to_owned());
            }
            made.made.push(Made { line: line.target.name().to_owned(), values });
        }
        made
    }

    /// The rows that were traced since the last call.
    pub(crate) fn take_trace(&mut self) -> Vec<RowMade> {
        std::mem::take(&mut self.trace)
    }

    /// The rows that were left out so far.
    pub(crate) fn left_out(&self) -> Vec<LeftOut> {
        let counts = self.left_out.iter();
        counts.map(|(reason, rows)| LeftOut { reason: reason.clone(), rows: *rows }).collect()
    }

    /// Adds notes on the rows so far.
    pub(crate) fn summarize(&self, notes: &mut Vec<String>) {
        if self.derived_keys > 0 && !self.plan.key_is_mail {
            let rows = if self.derived_keys == 1 { "row has" } else { "rows have" };
            notes.push(format!(
                "warning: {} {rows} no key; the mail address is used, so an entry whose address changes \
                 is another entry",
                self.derived_keys
            ));
        }
        notes.extend(self.plan.lookups.iter().filter_map(|(_, lookup)| lookup.note()));
    }
}

/// The reason for which a value of `hidden` or `skip` leaves a row out, or `None` if the row stays.
fn reason<'a>(target: &Target, value: &'a str) -> Option<&'a str> {
    let is = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(value));
    match target {
        _ if is(&["", "false", "no", "0"]) => None,
        Target::Hidden => Some("hidden"),
        Target::Skip if is(&["true", "yes", "1"]) => Some("skipped"),
        Target::Skip => Some(value),
        _ => None,
    }
}

/// Counts a row that is left out. Reasons that a column names may be many, so not all are told apart.
fn count(left_out: &mut BTreeMap<String, u64>, reason: &str) {
    const REASONS_MAX: usize = 20;
    if let Some(rows) = left_out.get_mut(reason) {
        *rows += 1;
    } else if left_out.len() < REASONS_MAX {
        left_out.insert(reason.to_owned(), 1);
    } else {
        *left_out.entry("other reasons".into()).or_default() += 1;
    }
}

impl Buffers {
    /// Calls `take` with the values of a line: of all its rules, or the first value of the first rule that
    /// has one. `take` also gets scratch space.
    fn each<R: Row>(
        &mut self,
        target: &Target,
        rules: &[PlannedRule],
        row: &R,
        take: &mut dyn FnMut(&PlannedRule, &str, &mut String),
    ) -> Result<(), TooMuch> {
        let mut made = 0;
        for rule in rules {
            if let Some(condition) = &rule.condition
                && !meets(condition, row, &mut self.folded)
            {
                continue;
            }
            let given = self.rule(target, rule, row, &mut made, take)?;
            if given && target.is_single() {
                break;
            }
        }
        Ok(())
    }

    /// [`Self::rule`] of a column alone, which most rules are: its values are taken as they are.
    fn columns<R: Row>(
        &mut self,
        target: &Target,
        rule: &PlannedRule,
        columns: &[usize],
        row: &R,
        take: &mut dyn FnMut(&PlannedRule, &str, &mut String),
    ) -> bool {
        for column in columns {
            let mut given = false;
            for value in row.values(*column).filter(|value| !value.is_empty()) {
                given = true;
                take(rule, value, &mut self.folded);
                if target.is_single() {
                    break;
                }
            }
            if given {
                return true;
            }
        }
        false
    }

    /// Calls `take` with the values of a rule, and adds their bytes to `made`. Returns whether there is one.
    fn rule<R: Row>(
        &mut self,
        target: &Target,
        rule: &PlannedRule,
        row: &R,
        made: &mut usize,
        take: &mut dyn FnMut(&PlannedRule, &str, &mut String),
    ) -> Result<bool, TooMuch> {
        if let [PlannedPart::Value(columns, steps)] = rule.parts.as_slice()
            && steps.is_empty()
        {
            return Ok(self.columns(target, rule, columns, row, take));
        }
        let mut used = 0;
        for part in &rule.parts {
            if let PlannedPart::Value(columns, steps) = part {
                if used == self.slots.len() {
                    self.slots.push(Values::default());
                }
                let slot = &mut self.slots[used];
                used += 1;
                slot.clear();
                // Of several columns, the first that has a value.
                for column in columns {
                    row.values(*column).for_each(|value| slot.push(value));
                    if slot.len() > 0 {
                        break;
                    }
                }
                for step in steps {
                    self.given.clear();
                    let slot = &mut self.slots[used - 1];
                    for value in slot.iter() {
                        step.apply(value, &mut self.given, &mut self.folded);
                        if self.given.bytes() > MADE_BYTES_MAX {
                            return Err(TooMuch);
                        }
                    }
                    std::mem::swap(slot, &mut self.given);
                }
            }
        }
        let slots = &self.slots[..used];
        // The first with several values is gone through; the others give their first value.
        let many = slots.iter().position(|slot| slot.len() > 1);
        let times = if target.is_single() { 1 } else { many.map_or(1, |at| slots[at].len()) };
        let mut given = false;
        for number in 0..times {
            let filled = fill(&rule.parts, slots, many.map(|at| (at, number)), &mut self.text);
            *made += self.text.len();
            if *made > MADE_BYTES_MAX {
                return Err(TooMuch);
            }
            if filled == Filled::Whole || filled == Filled::Partly && !target.needs_all() {
                given = true;
                take(rule, &self.text, &mut self.folded);
            }
        }
        Ok(given)
    }
}

fn meets<R: Row>(condition: &RowFilter, row: &R, folded: &mut String) -> bool {
    condition.matches(&mut |column, test| {
        row.values(column).any(|value| {
            fold_into(value, folded);
            test(folded)
        })
    })
}

/// Writes a value of a template.
///
/// The blanks of the template around an empty column become one, so that `{first} {middle} {last}` has no
/// gap for a person without a middle name.
fn fill(
    parts: &[PlannedPart],
    slots: &[Values],
    many: Option<(usize, usize)>,
    text: &mut String,
) -> Filled {
    text.clear();
    let (mut columns, mut empty) = (0, 0);
    let mut after_empty = false;
    for part in parts {
        match part {
            PlannedPart::Text(literal) => {
                let gap = after_empty && (text.is_empty() || text.ends_with(' '));
                text.push_str(if gap { literal.trim_start_matches(' ') } else { literal });
            }
            PlannedPart::Value(..) => {
                let number = many.filter(|(at, _)| *at == columns).map_or(0, |(_, number)| number);
                let value = slots.get(columns).and_then(|slot| slot.get(number));
                columns += 1;
                empty += usize::from(value.is_none());
                after_empty = value.is_none();
                text.push_str(value.unwrap_or_default());
            }
        }
    }
    if after_empty {
        text.truncate(text.trim_end_matches(' ').len());
    }
    match empty {
        0 => Filled::Whole,
        _ if empty == columns => Filled::Empty,
        _ => Filled::Partly,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::{Columns, Map, Rule, Template};

    const NAMES: [&str; 4] = ["first", "middle", "last", "proxies"];

    struct Sample<'a>([&'a [&'a str]; 4]);

    impl Row for Sample<'_> {
        fn values(&self, column: usize) -> impl Iterator<Item = &str> {
            let values = self.0.get(column).copied().unwrap_or_default();
            values.iter().copied().filter(|value| !value.is_empty())
        }
    }

    struct Names;

    impl Columns for Names {
        fn number(&mut self, name: &str) -> Option<usize> {
            NAMES.iter().position(|known| *known == name)
        }

        fn names(&self) -> Vec<&str> {
            NAMES.to_vec()
        }
    }

    fn rule(text: &str) -> Rule {
        Template::parse(text).unwrap().into()
    }

    fn if_rule(text: &str, condition: &str) -> Rule {
        let condition = dirsync_directory::Filter::over_columns(condition).unwrap();
        Rule { condition: Some(condition), ..rule(text) }
    }

    fn evaluator(map: &Map) -> Evaluator {
        Evaluator::new(Plan::new("a.csv".as_ref(), map, &mut Names).unwrap(), 0)
    }

    fn addresses(rules: Vec<Rule>, row: &Sample<'_>) -> String {
        let mut evaluator = evaluator(&Map { address: rules, ..Map::default() });
        let (mut draft, mut subject) = (Draft::default(), Subject::default());
        assert!(evaluator.fill(1, row, &mut draft, &mut subject).unwrap());
        draft.record().addresses
    }

    fn name(rules: Vec<Rule>, row: &Sample<'_>) -> String {
        let mut evaluator = evaluator(&Map { name: rules, ..Map::default() });
        let (mut draft, mut subject) = (Draft::default(), Subject::default());
        assert!(evaluator.fill(1, row, &mut draft, &mut subject).unwrap());
        draft.record().name
    }

    const ANA: Sample<'_> = Sample([&["Ana  Maria"], &[], &["Souza"], &["a@x", "b@x"]]);

    #[test]
    fn templates_fill_and_collapse() {
        for (template, expected) in [
            ("{first} {middle} {last}", "Ana  Maria Souza"),
            ("{middle} {last}", "Souza"),
            ("{last} {middle}", "Souza"),
            ("{last}  {first}", "Souza  Ana  Maria"),
            ("{{x}} {last}", "{x} Souza"),
            ("fixed", "fixed"),
            ("x {middle}", ""),
            ("{middle,last,first|upper}", "SOUZA"),
            ("{proxies}", "a@x"),
        ] {
            assert_eq!(name(vec![rule(template)], &ANA), expected, "{template}");
        }
    }

    #[test]
    fn the_first_rule_with_a_value_makes_what_there_is_one_of() {
        let rules = vec![
            rule("{middle}"),
            if_rule("B", "(last=b*)"),
            if_rule("S", "(last=SOUZA)"),
            rule("C"),
        ];
        assert_eq!(name(rules, &ANA), "S");
    }

    #[test]
    fn a_template_is_written_for_each_value() {
        let rules = vec![rule("SMTP:{proxies}"), rule("X:{last}"), rule("X:{middle}/{last}")];
        assert_eq!(addresses(rules, &ANA), "SMTP:a@x\tSMTP:b@x\tX:Souza", "all columns are needed");
        let rules = vec![rule("X:{last}/{proxies|replace \"@\" \".\"}/{proxies}")];
        assert_eq!(addresses(rules, &ANA), "X:Souza/a.x/a@x\tX:Souza/b.x/a@x");
    }

    #[test]
    fn a_row_of_which_a_line_makes_too_much_is_refused() {
        let parts = "a;".repeat(100_000);
        let long = "x".repeat(100_000);
        let row: [&[&str]; 4] = [&[&parts], &[], &[&long], &[]];
        for line in [
            "{first|split \";\"} {last}",
            "{first|split \";\"|replace \"\" \"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\"}",
        ] {
            let details = [("ou".parse().unwrap(), vec![rule(line)])].into();
            let mut evaluator = evaluator(&Map { details, ..Map::default() });
            evaluator.traced = 1;
            let (mut draft, mut subject) = (Draft::default(), Subject::default());
            let refused = evaluator.fill(1, &Sample(row), &mut draft, &mut subject).unwrap_err();
            assert_eq!(refused, "the map's line \"ou\" makes more than 16 MiB of the row");
            let row: [&[&str]; 4] = [&["a;b"], &[], &["x"], &[]];
            assert_eq!(evaluator.fill(2, &Sample(row), &mut draft, &mut subject), Ok(true));
            assert_eq!(draft.record().details.lines().count(), 2, "the next row is taken");
        }
    }

    #[test]
    fn rows_are_left_out_and_counted_by_reason() {
        let map = Map {
            hidden: vec![rule("{middle}")],
            skip: vec![if_rule("guests", "(last=guest)"), rule("{first}")],
            ..Map::default()
        };
        let mut evaluator = evaluator(&map);
        let (mut draft, mut subject) = (Draft::default(), Subject::default());
        let mut stays = |first, middle, last| {
            let row: [&[&str]; 4] = [&[first], &[middle], &[last], &[]];
            evaluator.fill(1, &Sample(row), &mut draft, &mut subject).unwrap()
        };
        assert!(stays("", "False", "x"));
        assert!(stays("no", "0", "x"));
        assert!(!stays("", "True", "guest"));
        assert!(!stays("", "", "guest"));
        assert!(!stays("YES", "", "x"));
        assert!(!stays("1", "", "x"));
        assert!((0..100).all(|_| !stays("left", "", "x")));
        let counts: Vec<_> =
            evaluator.left_out().into_iter().map(|left| (left.reason, left.rows)).collect();
        let expected = [("guests", 1), ("hidden", 1), ("left", 100), ("skipped", 2)]
            .map(|(reason, rows)| (reason.to_owned(), rows));
        assert_eq!(counts, expected);
    }

    /// This takes the place of counting allocations, which needs unsafe code.
    #[test]
    fn a_row_uses_the_buffers_of_the_row_before() {
        let map = Map {
            key: vec![rule("{first|lower}")],
            name: vec![if_rule("{first} {last|upper}", "(last=*)"), rule("{middle}")],
            address: vec![rule("SMTP:{proxies|replace \"^0(.)\" \"$1\"|limit 64|trim}")],
            details: [("ou".parse().unwrap(), vec![rule("{last|split \",\"|digits}")])].into(),
            ..Map::default()
        };
        let mut evaluator = evaluator(&map);
        let (mut draft, mut subject) = (Draft::default(), Subject::default());
        let mut first = None;
        for number in 0..1000 {
            let text = format!("0{:03}@x.example", 999 - number);
            let row: [&[&str]; 4] = [&[&text], &[], &["So,u2,z1a"], &[&text, "0a@x.example"]];
            evaluator.fill(1, &Sample(row), &mut draft, &mut subject).unwrap();
            let buffers = &evaluator.buffers;
            // Two buffers change places with each function, so they are compared as a set.
            let mut values: Vec<_> =
                buffers.slots.iter().chain([&buffers.given]).map(Values::buffers).collect();
            values.sort_unstable();
            let texts = [&buffers.text, &buffers.folded, &subject.key]
                .map(|text| (text.as_ptr() as usize, text.capacity()));
            if number == 9 {
                first = Some((values, texts));
            } else if number > 9 {
                assert_eq!(first.as_ref(), Some(&(values, texts)), "row {number}");
            }
        }
    }
}
