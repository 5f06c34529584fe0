//! "Did you mean ...?"

/// The candidate closest to what was typed, ignoring case, or `None` when nothing is close enough to be meant.
///
/// Close enough is one edit in three letters (at least one); swapped neighbours count as one edit. The first
/// of equally close candidates wins.
pub fn nearest<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    let furthest = (typed.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&typed, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= furthest && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_candidate_is_close_or_absent() {
        let tables = ["contacts", "companies", "conversations", "tags", "us", "eu"];
        for (typed, expected) in [
            ("contacts", Some("contacts")),
            ("contcats", Some("contacts")),
            ("Contact", Some("contacts")),
            ("comapnies", Some("companies")),
            ("conversation", Some("conversations")),
            ("usa", Some("us")),
            ("EU", Some("eu")),
            ("tickets", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, tables), expected, "{typed}");
        }
    }

    #[test]
    fn nothing_is_near_an_empty_list() {
        assert_eq!(nearest("contacts", []), None);
    }
}
