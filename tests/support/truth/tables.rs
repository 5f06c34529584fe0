//! Which rows every table should hold, from what the sandbox says about itself and nothing else.

use std::collections::{BTreeMap, HashSet};
use std::io::{Read, Write};
use std::net::TcpStream;

use ingest::sandbox::{Sandbox, Settings};
use ingest::table::{PARTS_TOTAL, PARTS_TRUNCATED, TableSpec, Unknown};

use super::Cells;
use super::object::{at, expected, id, list};

/// The rows that a table should hold, in no order.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    pub(super) rows: Vec<Cells>,
    /// Rows that no answer shows any more, though they may have been read when one did.
    pub(super) hidden: Vec<Cells>,
}

impl Truth {
    /// How many rows there have to be.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }
}

/// What a table should hold as API 2.`minor` has it. `knows_parts` says whether the table that counts the parts of
/// its rows was read too.
pub(crate) fn of(sandbox: &Sandbox, table: &TableSpec, minor: u8, knows_parts: bool) -> Truth {
    let served = Served { sandbox, table, minor };
    let rows = match table.name {
        "conversation_parts" => return served.conversation_parts(),
        "ticket_parts" => return served.ticket_parts(),
        "company_segments" => return served.company_segments(),
        "ticket_type_attributes" => served.ticket_type_attributes(),
        "contact_notes" => served.contact_notes(),
        "article_statistics" => served.article_statistics(),
        "data_attributes" => served.data_attributes(),
        "contact_attributes" => served.attributes_of("contact"),
        "company_attributes" => served.attributes_of("company"),
        "ip_allowlist" => vec![expected(table, &get(sandbox, "/ip_allowlist", minor).1, None)],
        _ if table.unknown == Unknown::LeftOut => served.links(),
        name => {
            let of_one = |text: &String| {
                let mut row = expected(table, text, None);
                if knows_parts && !table.filled.is_empty() {
                    let total = sandbox.parts(&id(text)).len();
                    let is_cut = total > sandbox.shown_parts(&id(text)).len();
                    row.insert(PARTS_TOTAL.to_owned(), Some(total.to_string()));
                    row.insert(PARTS_TRUNCATED.to_owned(), Some(is_cut.to_string()));
                }
                row
            };
            served.rows_of(name).iter().map(of_one).collect()
        }
    };
    Truth { rows, hidden: Vec::new() }
}

struct Served<'s> {
    sandbox: &'s Sandbox,
    table: &'s TableSpec,
    minor: u8,
}

impl Served<'_> {
    fn rows_of(&self, table: &str) -> Vec<String> {
        self.sandbox.truth_text_at(table, self.minor)
    }

    fn expected(&self, text: &str, parent: &str) -> Cells {
        expected(self.table, text, Some(parent))
    }

    fn conversation_parts(&self) -> Truth {
        let mut truth = Truth::default();
        for conversation in self.rows_of("conversations") {
            let id = id(&conversation);
            self.add_parts(&mut truth, &id, None);
        }
        truth
    }

    fn ticket_parts(&self) -> Truth {
        let mut truth = Truth::default();
        for ticket in self.rows_of("tickets") {
            let shown = list(&ticket, &["ticket_parts", "ticket_parts"]);
            self.add_parts(&mut truth, &id(&ticket), Some(shown));
        }
        truth
    }

    /// Adds the parts that an answer shows, as it shows them, and those that it no longer does.
    fn add_parts(&self, truth: &mut Truth, parent: &str, shown: Option<Vec<String>>) {
        let text = |part: &serde_json::Value| part.to_string();
        let all = self.sandbox.parts(parent);
        let shown = shown.unwrap_or_else(|| self.sandbox.shown_parts(parent).iter().map(text).collect());
        let hidden = all.len() - shown.len();
        truth.rows.extend(shown.iter().map(|part| self.expected(part, parent)));
        truth.hidden.extend(all[..hidden].iter().map(|part| self.expected(&text(part), parent)));
    }

    fn ticket_type_attributes(&self) -> Vec<Cells> {
        let mut rows = Vec::new();
        for kind in self.rows_of("ticket_types") {
            let lists = ["data", "ticket_type_attributes"];
            let attributes = lists.iter().flat_map(|key| list(&kind, &["ticket_type_attributes", key]));
            rows.extend(attributes.map(|attribute| self.expected(&attribute, &id(&kind))));
        }
        rows
    }

    fn contact_notes(&self) -> Vec<Cells> {
        let contacts = self.sandbox.truth_text("contacts");
        let notes = contacts.iter().flat_map(|contact| {
            let contact = id(contact);
            let notes = self.sandbox.notes(&contact);
            notes.into_iter().map(move |note| (contact.clone(), note.to_string()))
        });
        notes.map(|(contact, note)| self.expected(&note, &contact)).collect()
    }

    /// What the sandbox tells of itself is what API 2.14 shows; newer ones show more.
    fn article_statistics(&self) -> Vec<Cells> {
        let statistics = |id: &String| {
            if self.minor < 16 {
                return self.sandbox.article_statistics(id).expect("the article is there").to_string();
            }
            let article = get(self.sandbox, &format!("/articles/{id}"), self.minor).1;
            at(&article, &["statistics"]).expect("articles have statistics")
        };
        let articles = self.rows_of("articles").into_iter().map(|article| id(&article));
        articles.map(|id| self.expected(&statistics(&id), &id)).collect()
    }

    fn attributes_of(&self, model: &str) -> Vec<Cells> {
        let model = format!("{model:?}");
        let mut rows = self.rows_of("data_attributes");
        rows.retain(|row| at(row, &["model"]).as_ref() == Some(&model));
        rows.iter().map(|row| expected(self.table, row, None)).collect()
    }

    /// Since 2.16 the attributes of conversations are another endpoint's, and shaped otherwise.
    fn data_attributes(&self) -> Vec<Cells> {
        let mut rows = [self.attributes_of("contact"), self.attributes_of("company")].concat();
        if self.minor < 16 {
            rows.extend(self.attributes_of("conversation"));
        } else {
            let declared = self.sandbox.conversation_attributes();
            rows.extend(declared.iter().map(|row| expected(self.table, &row.to_string(), None)));
        }
        rows
    }

    /// Links of a company whose list is cut and whose own list is not found are those that it shows; what was
    /// known of it before stays.
    fn company_segments(&self) -> Truth {
        let mut unfindable = BTreeMap::new();
        for company in self.rows_of("companies") {
            let id = id(&company);
            if at(&company, &["segments", "has_more"]).as_deref() == Some("true")
                && get(self.sandbox, &format!("/companies/{id}/segments"), self.minor).0 == 404
            {
                let shown = list(&company, &["segments", "segments"]);
                unfindable.insert(id, shown.iter().map(|entry| self::id(entry)).collect::<HashSet<_>>());
            }
        }
        let (mut rows, mut hidden) = (Vec::new(), Vec::new());
        for (company, segment) in self.sandbox.links("company_segments") {
            let is_shown = unfindable.get(&company).is_none_or(|shown| shown.contains(&segment));
            let row = self.link(&company, &segment, None);
            if is_shown { rows.push(row) } else { hidden.push(row) }
        }
        Truth { rows, hidden }
    }

    /// Pairs of ids, with what the parent's row says beside them.
    fn links(&self) -> Vec<Cells> {
        let name = self.table.name;
        let mut links = self.sandbox.links(name);
        // Who belongs to a group is asked group by group; contacts keep what refers to groups that are gone.
        if let Some(groups) = [("contact_tags", "tags"), ("contact_segments", "segments")]
            .iter()
            .find_map(|(links, groups)| (*links == name).then_some(groups))
        {
            let groups: HashSet<String> = self.rows_of(groups).iter().map(|group| id(group)).collect();
            links.retain(|(_, group)| groups.contains(group));
        }
        let (parents, path) = match name {
            "company_tags" => ("companies", ["tags", "tags"]),
            "conversation_tags" => ("conversations", ["tags", "tags"]),
            "conversation_contacts" => ("conversations", ["contacts", "contacts"]),
            _ => ("", ["", ""]),
        };
        let parents = if parents.is_empty() { Vec::new() } else { self.rows_of(parents) };
        let mut entries = BTreeMap::new();
        for parent in &parents {
            let (of, shown) = (id(parent), list(parent, &path));
            entries.extend(shown.into_iter().map(|entry| ((of.clone(), id(&entry)), entry)));
        }
        let link = |pair: &(String, String)| self.link(&pair.0, &pair.1, entries.get(pair));
        links.iter().map(link).collect()
    }

    fn link(&self, parent: &str, child: &str, entry: Option<&String>) -> Cells {
        let bare = format!("{{\"id\":{child:?}}}");
        let mut row = self.expected(entry.unwrap_or(&bare), parent);
        for (key, value) in self.table.key.iter().zip([parent, child]) {
            row.insert(key.name.to_owned(), Some(value.to_owned()));
        }
        row
    }
}

/// Status and body of a plain `GET`, sent by nobody's client.
fn get(sandbox: &Sandbox, path: &str, minor: u8) -> (u16, String) {
    let base_url = sandbox.base_url();
    let host = base_url.trim_start_matches("http://");
    let token = Settings::default().token;
    let mut stream = TcpStream::connect(host).expect("the sandbox listens");
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nAuthorization: Bearer {token}\r\nIntercom-Version: 2.{minor}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("the sandbox reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the sandbox answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.expect("a status"), body.to_owned())
}
