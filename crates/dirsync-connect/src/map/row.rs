//! Rows as maps see them: columns with numbers, each with any number of values.

/// The columns of a file, which get their numbers when the file is opened.
pub(crate) trait Columns {
    /// The number of a column, or `None` if the file has no column of that name.
    fn number(&mut self, name: &str) -> Option<usize>;

    /// The names of the columns, as far as they are known before the first row.
    fn names(&self) -> Vec<&str>;
}

/// A row of a file.
pub(crate) trait Row {
    /// The values of a column, without blanks around them and without empty ones. A column that the row
    /// does not have has none.
    fn values(&self, column: usize) -> impl Iterator<Item = &str>;
}

/// The name that is nearest to a mistaken one, if one is near.
pub(crate) fn nearest<'a>(word: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Longer words are no slips of the hand, and comparing them would cost.
    const BYTES_MAX: usize = 128;
    let wanted = word.to_lowercase();
    let words = words.into_iter().filter(|word| word.len() <= BYTES_MAX);
    let near =
        words.map(|candidate| (strsim::levenshtein(&wanted, &candidate.to_lowercase()), candidate));
    near.filter(|_| word.len() <= BYTES_MAX)
        .min()
        .filter(|(distance, _)| *distance <= 1 + word.len() / 3)
        .map(|(_, candidate)| candidate)
}
