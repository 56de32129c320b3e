//! Address files that are made by the rules of their formats, with the people in them.

use data_encoding::BASE64;
use dirsync_connect::Format;
use encoding_rs::Encoding;
use serde_json::{Value, json};

/// Random numbers that are the same in every run (SplitMix64).
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn of<'a, T: ?Sized>(&mut self, values: &[&'a T]) -> &'a T {
        values[self.below(values.len())]
    }

    fn shuffle<T>(&mut self, values: &mut [T]) {
        for at in (1..values.len()).rev() {
            values.swap(at, self.below(at + 1));
        }
    }

    /// Words with blanks between them, made of ASCII letters, of those of an encoding, and of some marks.
    fn text(&mut self, letters: &str, marks: &str) -> String {
        let letters: Vec<char> = letters.chars().collect();
        let marks: Vec<char> = marks.chars().collect();
        let mut words = Vec::new();
        for _ in 0..1 + self.below(3) {
            let mut word = String::new();
            for _ in 0..1 + self.below(12) {
                word.push(match self.below(6) {
                    0 if !letters.is_empty() => letters[self.below(letters.len())],
                    1 if !marks.is_empty() && self.one_in(2) => marks[self.below(marks.len())],
                    _ => char::from(b'a' + self.below(26) as u8),
                });
            }
            words.push(word);
        }
        let text = words.join(" ").trim().to_owned();
        if text.is_empty() { "x".to_owned() } else { text }
    }
}

/// A person in a file.
struct Person {
    name: String,
    mails: Vec<String>,
    phones: Vec<(&'static str, String)>,
    title: String,
}

const SORTS: [&str; 3] = ["telephoneNumber", "mobile", "facsimileTelephoneNumber"];

impl Person {
    /// A person whose texts have these letters and marks.
    fn random(random: &mut Random, letters: &str, marks: &str) -> Self {
        let mut mail = |number: usize| {
            let local = random.of(&["ana", "Ben.Cho", "o'hara", "c+d", "x_1"]);
            format!("{local}{number}.{}@Mail-{}.example", random.below(100), random.below(9))
        };
        let (first, second) = (mail(1), mail(2));
        let mails = if random.one_in(2) { vec![first] } else { vec![first, second] };
        let mut phones = Vec::new();
        for sort in SORTS {
            if random.one_in(2) {
                phones.push((
                    sort,
                    format!("+{} ({}) 0{}-{}", 1 + random.below(99), 30, 7, random.below(9999)),
                ));
            }
        }
        let title = if random.one_in(3) { String::new() } else { random.text(letters, marks) };
        Self { name: random.text(letters, marks), mails, phones, title }
    }

    fn phone(&self, wanted: &str) -> &str {
        let found = self.phones.iter().find(|(sort, _)| *sort == wanted);
        found.map_or("", |(_, number)| number.as_str())
    }

    fn expected(&self) -> Value {
        let mut phones = self.phones.clone();
        phones.sort_unstable();
        let phones: Vec<_> = phones.iter().map(|(sort, number)| json!([sort, number])).collect();
        json!({ "name": self.name, "mails": self.mails, "phones": phones, "title": self.title })
    }
}

/// A file, and the people in it.
pub struct File {
    pub format: Format,
    pub content: Vec<u8>,
    /// The encoding that has to be named, because the file does not tell.
    pub encoding: Option<String>,
    /// The settings of the other reader.
    pub argument: String,
    pub people: Value,
}

/// Encodings with letters that they have.
const CHARSETS: [(&str, &str); 5] = [
    ("utf-8", "äÖßéñŁżЖя漢字😀\u{301}\u{200d}"),
    ("windows-1252", "äÖßéñøÆ€œ"),
    ("windows-1250", "ąęŁżźčŘžő"),
    ("windows-1251", "ЖяюЩдё№"),
    ("iso-8859-15", "äÖßéñ€Žœ"),
];

fn encoded(text: &str, charset: &str) -> Vec<u8> {
    let (bytes, _, lossy) = Encoding::for_label(charset.as_bytes()).unwrap().encode(text);
    assert!(!lossy, "{text:?} has letters that {charset} lacks");
    bytes.into_owned()
}

impl File {
    pub fn generate(format: Format, random: &mut Random) -> Self {
        match format {
            Format::Csv => csv(random),
            Format::Ldif => ldif(random),
            Format::Vcard => vcard(random),
        }
    }
}

fn csv(random: &mut Random) -> File {
    let (name, delimiter) =
        [("comma", ','), ("semicolon", ';'), ("tab", '\t'), ("pipe", '|')][random.below(4)];
    // The last two have a byte order mark.
    let form = random.below(CHARSETS.len() + 2);
    let (charset, letters) = CHARSETS[if form < CHARSETS.len() { form } else { 0 }];
    let people: Vec<Person> = (0..1 + random.below(4))
        .map(|_| Person::random(random, letters, "\"\",;|\t\n'=()/\\#:"))
        .collect();
    let mut columns = vec![
        "Display Name",
        "E-mail Address",
        "E-mail 2 Address",
        "Business Phone",
        "Mobile Phone",
        "Business Fax",
        "Job Title",
        "Nothing of ours",
    ];
    random.shuffle(&mut columns);
    let end = random.of(&["\n", "\r\n"]);
    let always = random.one_in(3);
    let mut rows = vec![columns.iter().map(|column| (*column).to_owned()).collect::<Vec<_>>()];
    for person in &people {
        let value = |column: &&str| match *column {
            "Display Name" => person.name.clone(),
            "E-mail Address" => person.mails[0].clone(),
            "E-mail 2 Address" => person.mails.get(1).cloned().unwrap_or_default(),
            "Business Phone" => person.phone(SORTS[0]).to_owned(),
            "Mobile Phone" => person.phone(SORTS[1]).to_owned(),
            "Business Fax" => person.phone(SORTS[2]).to_owned(),
            "Job Title" => person.title.clone(),
            _ => random.text(letters, "\",\n"),
        };
        rows.push(columns.iter().map(value).collect());
    }
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        let fields = row.iter().map(|field| {
            let special = field.contains(['"', '\n', '\r', delimiter]);
            if special || always {
                format!("\"{}\"", field.replace('"', "\"\""))
            } else {
                field.clone()
            }
        });
        text.push_str(&fields.collect::<Vec<_>>().join(&delimiter.to_string()));
        // The last line may lack its end.
        if number + 1 < rows.len() || !random.one_in(4) {
            text.push_str(end);
        }
    }
    let marked = format!("\u{feff}{text}");
    let (content, python, encoding) = match form.checked_sub(CHARSETS.len()) {
        None if form == 0 => (text.into_bytes(), "utf-8", None),
        None => (encoded(&text, charset), charset, Some(charset.to_owned())),
        Some(0) if random.one_in(2) => (marked.into_bytes(), "utf-8-sig", None),
        Some(0) => (marked.encode_utf16().flat_map(u16::to_be_bytes).collect(), "utf-16", None),
        Some(_) => (marked.encode_utf16().flat_map(u16::to_le_bytes).collect(), "utf-16", None),
    };
    let people = people.iter().map(Person::expected).collect();
    File { format: Format::Csv, content, encoding, argument: format!("{name}/{python}"), people }
}

fn ldif(random: &mut Random) -> File {
    let end = random.of(&["\n", "\r\n"]);
    let mut text = String::from(random.of(&["", "version: 1", "# a comment: x"]));
    if !text.is_empty() {
        text.push_str(end);
        text.push_str(random.of(&["", end]));
    }
    let mut expected = Vec::new();
    for number in 0..1 + random.below(4) {
        let person = Person::random(random, CHARSETS[0].1, "\",;:<>#+=\\\n");
        let mut lines: Vec<(&str, &str)> =
            vec![("cn", &person.name), ("objectClass", "inetOrgPerson")];
        lines.extend(person.phones.iter().map(|(sort, number)| (*sort, number.as_str())));
        lines.extend(Some(("title", person.title.as_str())).filter(|(_, title)| !title.is_empty()));
        lines.push(("x-nothing", "of ours"));
        random.shuffle(&mut lines);
        // The order of the addresses says which is the primary one.
        lines.extend(person.mails.iter().map(|mail| ("mail", mail.as_str())));
        push_line(&mut text, "dn", &format!("uid={number},o=x"), end, random);
        for (name, value) in lines {
            if random.one_in(9) {
                text.push_str(random.of(&["# comment", "#comment: a"]));
                text.push_str(end);
            }
            let name = match random.below(3) {
                0 => name.to_ascii_lowercase(),
                1 => name.to_ascii_uppercase(),
                _ => name.to_owned(),
            };
            push_line(&mut text, &name, value, end, random);
        }
        text.push_str(end);
        expected.push(person.expected());
    }
    let (content, argument) = (text.into_bytes(), "utf-8".to_owned());
    File { format: Format::Ldif, content, encoding: None, argument, people: Value::Array(expected) }
}

/// Writes a line of LDIF, in base64 where it must be or may be, and folded anywhere.
fn push_line(text: &mut String, name: &str, value: &str, end: &str, random: &mut Random) {
    let safe = !value.starts_with([' ', ':', '<'])
        && !value.ends_with(' ')
        && !value.contains(['\n', '\r']);
    let line = if safe && !random.one_in(4) {
        format!("{name}:{}{value}", random.of(&["", " "]))
    } else {
        format!("{name}::{}{}", random.of(&["", " "]), BASE64.encode(value.as_bytes()))
    };
    for (at, character) in line.chars().enumerate() {
        if at > name.len() + 2 && random.one_in(30) {
            text.push_str(end);
            text.push(' ');
        }
        text.push(character);
    }
    text.push_str(end);
}

fn vcard(random: &mut Random) -> File {
    let mut content = Vec::new();
    let mut expected = Vec::new();
    for _ in 0..1 + random.below(3) {
        let version = random.of(&["2.1", "3.0", "4.0"]);
        let (charset, letters) =
            if version == "2.1" { CHARSETS[random.below(5)] } else { CHARSETS[0] };
        let marks = if version == "2.1" { "\"=,:'\n" } else { "\"=,;:\\'\n" };
        let person = Person::random(random, letters, marks);
        let mut card = Card { content: &mut content, version, charset, random };
        card.write(&person);
        expected.push(person.expected());
    }
    let argument = "none".to_owned();
    File {
        format: Format::Vcard,
        content,
        encoding: None,
        argument,
        people: Value::Array(expected),
    }
}

/// A card that is being written.
struct Card<'a> {
    content: &'a mut Vec<u8>,
    version: &'static str,
    charset: &'static str,
    random: &'a mut Random,
}

impl Card<'_> {
    fn write(&mut self, person: &Person) {
        let is_old = self.version == "2.1";
        self.line(b"BEGIN:VCARD");
        self.line(format!("VERSION:{}", self.version).as_bytes());
        self.text("FN", &person.name);
        self.text("TITLE", &person.title);
        if self.random.one_in(3) {
            // Bytes that are no text, in a property that nobody uses.
            self.line(b"X-PHOTO:\xff\xd8\xfe\x00\x80");
        }
        for (number, mail) in person.mails.iter().enumerate().rev() {
            let head = match (self.version, number, person.mails.len()) {
                ("2.1", 0, 2) => "EMAIL;PREF;INTERNET",
                ("2.1", ..) => "EMAIL;INTERNET",
                ("3.0", 0, 2) => "item1.EMAIL;TYPE=INTERNET,PREF",
                ("4.0", 0, 2) => "EMAIL;PREF=1",
                _ => "EMAIL;TYPE=work",
            };
            self.line(format!("{head}:{mail}").as_bytes());
        }
        for (sort, number) in &person.phones {
            let head = match (*sort, is_old) {
                ("mobile", true) => self.random.of(&["TEL;CELL", "TEL;WORK;CELL", "TEL;TYPE=CELL"]),
                ("mobile", false) => {
                    self.random.of(&["TEL;TYPE=cell", "a.TEL;TYPE=WORK;TYPE=CELL"])
                }
                ("telephoneNumber", true) => self.random.of(&["TEL;WORK", "TEL;WORK;VOICE", "TEL"]),
                ("telephoneNumber", false) => self.random.of(&["TEL;TYPE=work,voice", "TEL"]),
                (_, true) => self.random.of(&["TEL;FAX", "TEL;WORK;FAX"]),
                (_, false) => self.random.of(&["TEL;TYPE=\"work,fax\"", "TEL;TYPE=FAX"]),
            };
            let uri = if self.version == "4.0" { "tel:" } else { "" };
            self.line(format!("{head}:{uri}{number}").as_bytes());
        }
        self.line(b"END:VCARD");
    }

    /// Writes a text property, in one of the ways that the version has for it.
    fn text(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            return;
        }
        let is_ascii = value.is_ascii();
        if self.version != "2.1" {
            let escaped = value.replace('\\', "\\\\").replace('\n', "\\n");
            let escaped = escaped.replace(',', "\\,").replace(';', "\\;");
            return self.folded(format!("{name}:{escaped}").as_bytes());
        }
        let charset = match self.charset {
            "utf-8" => self.random.of(&["", ";CHARSET=UTF-8", ";charset=utf-8"]).to_owned(),
            other => format!(";CHARSET={other}"),
        };
        let bytes = encoded(value, self.charset);
        if !value.contains(['\n', '=']) && (is_ascii || self.random.one_in(3)) {
            let mut line = format!("{name}{charset}:").into_bytes();
            line.extend(bytes);
            return self.line(&line);
        }
        let encoding = self.random.of(&["QUOTED-PRINTABLE", "ENCODING=QUOTED-PRINTABLE"]);
        let head = match self.random.below(2) {
            0 => format!("{name}{charset};{encoding}:"),
            _ => format!("{name};{encoding}{charset}:"),
        };
        let mut line = head.into_bytes();
        let all = self.random.one_in(4);
        for byte in bytes {
            if self.random.one_in(15) {
                line.extend_from_slice(b"=\r\n");
            }
            match byte {
                b'\n' => line.extend_from_slice(b"=0D=0A"),
                b' ' | b'!'..=b'<' | b'>'..=b'~' if !all => line.push(byte),
                other => line.extend_from_slice(format!("={other:02X}").as_bytes()),
            }
        }
        // Some programs end the last line of a value like the others, and an empty line ends the value.
        let is_soft = self.random.one_in(4);
        line.extend_from_slice(if is_soft { b"=" } else { b"" });
        self.line(&line);
        if is_soft || self.random.one_in(3) {
            self.line(b"");
        }
    }

    fn line(&mut self, bytes: &[u8]) {
        self.content.extend_from_slice(bytes);
        self.content.extend_from_slice(b"\r\n");
    }

    /// Writes a line that is folded anywhere, even within a character. No folded line consists of blanks
    /// alone, which the other reader would take for the end of a value.
    fn folded(&mut self, bytes: &[u8]) {
        for (at, byte) in bytes.iter().enumerate() {
            if at > 8 && *byte != b' ' && self.random.one_in(25) {
                self.content.extend_from_slice(b"\r\n ");
            }
            self.content.push(*byte);
        }
        self.content.extend_from_slice(b"\r\n");
    }
}
