//! Links between pages.

use super::{pages, top};

#[test]
fn every_link_leads_to_a_file() {
    let mut checked = 0;
    for page in pages() {
        let folder = top().join(&page.name).parent().unwrap().to_owned();
        let prose = page.prose();
        for rest in prose.split("](").skip(1) {
            let target = rest.split(')').next().unwrap_or_default();
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            assert!(folder.join(file).exists(), "{}: {target}", page.name);
            checked += 1;
        }
    }
    assert!(checked > 10, "only {checked} links were found");
}
