//! Names and phrases everything is invented from.

use fastrand::Rng;

const FIRST: [&str; 24] = [
    "Ada",
    "Zoë",
    "Łukasz",
    "Amina",
    "Søren",
    "Ólafur",
    "Mei",
    "Priya",
    "Jürgen",
    "Noémie",
    "Dmitri",
    "Anaïs",
    "Tomás",
    "Ngọc",
    "Kwame",
    "Ingrid",
    "Yusuf",
    "Chloé",
    "Mateo",
    "Aoife",
    "Hana",
    "Björn",
    "李",
    "أمينة",
];
const LAST: [&str; 20] = [
    "Lovelace",
    "O'Brien",
    "Nuñez",
    "Kowalski",
    "Okafor",
    "Sørensen",
    "van Dijk",
    "García Márquez",
    "Müller",
    "Ito",
    "Nguyễn",
    "Haddad",
    "Rossi",
    "Åkesson",
    "Smith-Jones",
    "Dvořák",
    "Öztürk",
    "Silva",
    "雷",
    "Petrović",
];
const COMPANY: [&str; 16] = [
    "Northwind",
    "Bäckerei Süß",
    "Acme & Sons",
    "Tōkyō Tools",
    "Café Olé",
    "Blue \"Door\" Ltd",
    "Røros",
    "Globex",
    "Initech",
    "Umbrella",
    "Stark",
    "Wayne",
    "Hooli",
    "Vandelay",
    "Wonka 🍫",
    "Tyrell",
];
const FORM: [&str; 6] = ["Ltd", "GmbH", "Inc.", "S.A.", "AB", "株式会社"];
const WORDS: [&str; 40] = [
    "order",
    "refund",
    "invoice",
    "please",
    "account",
    "upgrade",
    "the",
    "login",
    "cannot",
    "find",
    "export",
    "report",
    "seat",
    "billing",
    "thanks",
    "again",
    "morning",
    "team",
    "webhook",
    "token",
    "delivery",
    "late",
    "parcel",
    "address",
    "change",
    "password",
    "reset",
    "email",
    "never",
    "arrived",
    "plan",
    "annual",
    "discount",
    "question",
    "about",
    "integration",
    "mobile",
    "crash",
    "naïve",
    "übergabe",
];
const COUNTRIES: [(&str, &str, &str, &str, &str); 7] = [
    ("Ireland", "IE", "EU", "Dublin", "Dublin"),
    ("United States", "US", "NA", "California", "San Francisco"),
    ("Germany", "DE", "EU", "Bayern", "München"),
    ("Brazil", "BR", "SA", "São Paulo", "São Paulo"),
    ("Japan", "JP", "AS", "Tōkyō", "Tōkyō"),
    ("Poland", "PL", "EU", "Łódzkie", "Łódź"),
    ("Australia", "AU", "OC", "Victoria", "Melbourne"),
];

pub(super) fn pick<'a>(rng: &mut Rng, words: &[&'a str]) -> &'a str {
    words.get(rng.usize(0..words.len().max(1))).copied().unwrap_or_default()
}

pub(super) fn person(rng: &mut Rng) -> String {
    format!("{} {}", pick(rng, &FIRST), pick(rng, &LAST))
}

pub(super) fn company(rng: &mut Rng) -> String {
    format!("{} {}", pick(rng, &COMPANY), pick(rng, &FORM))
}

/// Country, its code, its continent's code, region, city.
pub(super) fn place(rng: &mut Rng) -> (&'static str, &'static str, &'static str, &'static str, &'static str) {
    COUNTRIES[rng.usize(0..COUNTRIES.len())]
}

/// `count` words, the first with a capital.
pub(super) fn sentence(rng: &mut Rng, count: usize) -> String {
    let mut text = String::with_capacity(count * 8);
    for at in 0..count {
        let word = pick(rng, &WORDS);
        if at == 0 {
            text.extend(word.chars().take(1).flat_map(char::to_uppercase));
            text.extend(word.chars().skip(1));
        } else {
            text.push(' ');
            text.push_str(word);
        }
    }
    text
}

/// Plain words of at least `bytes` bytes.
pub(super) fn filling(rng: &mut Rng, bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 16);
    while text.len() < bytes {
        text.push_str(pick(rng, &WORDS));
        text.push(' ');
    }
    text
}

/// A message body as the messenger writes it.
pub(super) fn html(rng: &mut Rng, sentences: usize) -> String {
    let mut body = String::new();
    for at in 0..sentences {
        let words = 4 + rng.usize(0..12);
        let sentence = sentence(rng, words);
        match at % 4 {
            1 => body.push_str(&format!("<p>{sentence} <b>{}</b> &amp; more…</p>\n", pick(rng, &WORDS))),
            2 => body
                .push_str(&format!("<p><a href=\"https://example.com/?q=1&amp;r=2\">{sentence}</a></p>\n")),
            3 => body.push_str(&format!("<ul><li>{sentence}</li><li>🙂</li></ul>\n")),
            _ => body.push_str(&format!("<p>{sentence}.</p>\n")),
        }
    }
    body
}
