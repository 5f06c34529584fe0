//! `ingest tables`: what can be read, without asking anybody.

use crate::support::binary::{Project, assert_shows};

#[test]
fn every_table_with_what_it_takes_to_read_it() {
    assert_shows!(Project::empty().ingest(&["tables"]).run(), @r"
    exit code: 0
    ----- stdout -----
    table                            key                               cursor      strategy            endpoint                                                     permission                                    remark
    intercom.contacts                id                                updated_at  merge               POST /contacts/search                                        Read and list users and companies
    intercom.companies               id                                updated_at  merge               GET /companies/scroll                                        Read and list users and companies
    intercom.conversations           id                                updated_at  merge               POST /conversations/search                                   Read conversations
    intercom.tickets                 id                                updated_at  merge               POST /tickets/search                                         Read tickets
    intercom.articles                id                                updated_at  merge               GET /articles                                                Read and list articles
    intercom.conversation_parts      id                                updated_at  merge               GET /conversations/{id}                                      Read conversations
    intercom.ticket_parts            id                                updated_at  merge               inside tickets                                               Read tickets
    intercom.tags                    id                                -           replace             GET /tags                                                    Read tags
    intercom.segments                id                                -           replace             GET /segments                                                Read and list users and companies
    intercom.admins                  id                                -           replace             GET /admins                                                  Read admins
    intercom.teams                   id                                -           replace             GET /teams                                                   Read and list users and companies
    intercom.data_attributes         model, full_name, id              -           replace             GET /data_attributes                                         Read and list users and companies
    intercom.contact_attributes      model, full_name, id              -           replace             GET /data_attributes                                         Read and list users and companies
    intercom.company_attributes      model, full_name, id              -           replace             GET /data_attributes                                         Read and list users and companies
    intercom.ticket_types            id                                -           replace             GET /ticket_types                                            Read tickets
    intercom.ticket_type_attributes  id                                -           replace             inside ticket_types                                          Read tickets
    intercom.ticket_states           id                                -           replace             GET /ticket_states                                           Read tickets
    intercom.subscription_types      id                                -           replace             GET /subscription_types                                      Read and list users and companies
    intercom.away_status_reasons     id, label                         -           replace             GET /away_status_reasons                                     Read admins                                   from API 2.14
    intercom.ip_allowlist            type                              -           replace             GET /ip_allowlist                                            Manage IP allowlist                           only when named, from API 2.14
    intercom.collections             id                                updated_at  merge               GET /help_center/collections                                 Read and list articles
    intercom.help_centers            id                                -           replace             GET /help_center/help_centers                                Read and list articles
    intercom.internal_articles       id                                updated_at  merge               GET /internal_articles                                       Read and list articles                        from API 2.13
    intercom.article_statistics      article_id                        -           replace per parent  GET /articles/{id}                                           Read and list articles                        only when named
    intercom.news_items              id                                updated_at  merge               GET /news/news_items                                         Read and list news items and newsfeeds
    intercom.newsfeeds               id                                updated_at  merge               GET /news/newsfeeds                                          Read and list news items and newsfeeds
    intercom.newsfeed_items          newsfeed_id, news_item_id         -           replace per parent  GET /news/newsfeeds/{id}/items                               Read and list news items and newsfeeds
    intercom.content_import_sources  id                                updated_at  merge               GET /ai/content_import_sources                               Read and write AI content                     only when named
    intercom.external_pages          id                                updated_at  merge               GET /ai/external_pages                                       Read and write AI content                     only when named
    intercom.calls                   id                                updated_at  merge               GET /calls                                                   Read conversations                            from API 2.14
    intercom.activity_logs           id                                created_at  merge               GET /admins/activity_logs                                    Read admin activity logs
    intercom.contact_companies       contact_id, company_id            -           replace per parent  inside contacts, GET /contacts/{id}/companies where cut      Read and list users and companies
    intercom.contact_segments        contact_id, segment_id            -           replace per parent  POST /contacts/search by segment_id                          Read and list users and companies
    intercom.contact_subscriptions   contact_id, subscription_type_id  -           replace per parent  inside contacts, GET /contacts/{id}/subscriptions where cut  Read and list users and companies
    intercom.contact_tags            contact_id, tag_id                -           replace per parent  POST /contacts/search by tag_id                              Read and list users and companies, Read tags
    intercom.contact_notes           contact_id, note_id               -           replace per parent  GET /contacts/{id}/notes                                     Read and list users and companies
    intercom.company_segments        company_id, segment_id            -           replace per parent  inside companies, GET /companies/{id}/segments where cut     Read and list users and companies
    intercom.company_tags            company_id, tag_id                -           replace per parent  inside companies                                             Read and list users and companies
    intercom.conversation_contacts   conversation_id, contact_id       -           replace per parent  inside conversations                                         Read conversations
    intercom.conversation_tags       conversation_id, tag_id           -           replace per parent  inside conversations                                         Read conversations
    intercom.conversation_teammates  conversation_id, admin_id         -           replace per parent  inside conversations                                         Read conversations
    intercom.team_admins             team_id, admin_id                 -           replace             inside teams                                                 Read and list users and companies
    ");
}

#[test]
fn the_list_carries_the_connections_name() {
    let project = Project::empty();
    project.write("connections.yml", "connections: {intercom: [{name: acme, access_token: $UNSET}]}");
    // By name, and by type, since there is only one of it. No token is needed for looking.
    for typed in ["acme", "intercom"] {
        let list = project.ingest(&["tables", typed]).without("INTERCOM_ACCESS_TOKEN").run().exits(0);
        assert!(list.stdout.contains("acme.contacts"), "{list}");
    }
    assert_shows!(project.ingest(&["tables", "acne"]).run(), @r"
    exit code: 2
    ----- stderr -----
    error: connection acne: unknown
      hint: did you mean acme? known connections: acme
    ");
}

#[test]
fn columns_are_listed_with_their_types() {
    let list = Project::empty().ingest(&["tables", "--columns"]).run().exits(0);
    let tags: Vec<&str> = list.stdout.lines().skip_while(|line| *line != "intercom.tags").collect();
    insta::assert_snapshot!(tags.iter().take_while(|line| !line.is_empty()).copied().collect::<Vec<_>>().join("\n"), @r"
    intercom.tags
      type          VARCHAR
      id            VARCHAR
      name          VARCHAR
      _extra        JSON
      _ingested_at  TIMESTAMP WITH TIME ZONE
    ");
}

#[test]
fn json_says_the_same_as_text() {
    let project = Project::empty();
    let json = project.ingest(&["tables", "--output", "json"]).run().exits(0).json();
    let text = project.ingest(&["tables"]).run().exits(0).stdout;
    let columns = project.ingest(&["tables", "--columns"]).run().exits(0).stdout;
    let tables = json.as_array().unwrap();
    assert_eq!(tables.len(), text.lines().count() - 1);
    for (table, line) in tables.iter().zip(text.lines().skip(1)) {
        for member in ["name", "endpoint", "permission", "strategy"] {
            assert!(line.contains(table[member].as_str().unwrap()), "{member} in {line}");
        }
        assert_eq!(table["only_when_named"] == true, line.contains("only when named"), "{line}");
        if let Some(version) = table["since_api_version"].as_str() {
            assert!(line.ends_with(&format!("from API {version}")), "{line}");
        }
        let names = |list: &serde_json::Value| list.as_array().unwrap().len();
        assert!(names(&table["key"]) > 0 && names(&table["columns"]) > 2, "{table}");
    }
    let parts = tables.iter().find(|table| table["name"] == "intercom.ticket_parts").unwrap();
    assert_eq!(parts["inside"], "tickets");
    let listed: usize = tables.iter().map(|table| table["columns"].as_array().unwrap().len()).sum();
    assert_eq!(listed, columns.lines().filter(|line| line.starts_with("  ")).count());
}
