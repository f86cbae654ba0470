//! Free text: `q` of organizations and users.

use api::app_settings::ServeSettings;
use rstest::rstest;
use serde_json::json;
use tests::database::{execute, text_rows};
use tests::{Backend, TestApp, TestDatabase};

#[rstest]
#[tokio::test]
async fn finds_text_in_any_case_and_takes_wildcards_as_they_are(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    for (name, slug) in [
        ("Apples & Pears", "a"),
        ("100% Juice", "b"),
        ("snake_case", "c"),
        ("back\\slash", "d"),
    ] {
        app.system_admin
            .post("/v1/organizations", json!({"name": name, "slug": slug}))
            .await
            .created();
    }
    for (text, expected) in [
        ("APPLE", vec!["Apples & Pears"]),
        ("%25", vec!["100% Juice"]),
        ("_", vec!["snake_case"]),
        ("%5C", vec!["back\\slash"]),
        ("nothing", vec![]),
    ] {
        let page = app
            .system_admin
            .get(&format!("/v1/organizations?q={text}"))
            .await
            .ok();
        let names: Vec<_> = page["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|organization| organization["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, expected, "{text}");
    }
    app.user(json!({"email": "zoe@example.com", "first_name": "Zoe", "username": "zz"}))
        .await;
    for text in ["ZOE@", "zo", "zz"] {
        let page = app
            .system_admin
            .get(&format!("/v1/users?q={text}"))
            .await
            .ok();
        assert_eq!(page["data"].as_array().unwrap().len(), 1, "{text}");
    }
}

/// Where the same has to be found.
enum Place {
    Sqlite,
    Postgres,
    PostgresOfLocaleC,
}

#[rstest]
#[tokio::test]
async fn letters_are_folded_alike_wherever_they_are_kept(
    #[values(Place::Sqlite, Place::Postgres, Place::PostgresOfLocaleC)] place: Place,
) {
    let database = match place {
        Place::Sqlite => TestDatabase::migrated(Backend::Sqlite).await,
        Place::Postgres => TestDatabase::migrated(Backend::Postgres).await,
        Place::PostgresOfLocaleC => TestDatabase::of_locale_c().await,
    };
    let app = TestApp::start_on(database, ServeSettings::default(), 8).await;
    let signs = r"a[b](c){2}|d^e$.*+?\-#&~<x>";
    let names = [
        "Élan",
        "öl",
        "Straße",
        "İstanbul",
        "Dıyarbakır",
        "ΟΔΟΣ",
        "λόγος",
        "ЖУК",
        "Ǆ",
        signs,
    ];
    for (number, name) in names.into_iter().enumerate() {
        let organization = json!({"name": name, "slug": format!("s{number}")});
        let answer = app.system_admin.post("/v1/organizations", organization);
        answer.await.created();
        app.user(json!({"last_name": name})).await;
    }
    for (text, found) in [
        ("éLAN", Some("Élan")),
        ("elan", None),
        ("ÖL", Some("öl")),
        ("STRAẞE", Some("Straße")),
        ("STRASSE", Some("Straße")),
        ("istanbul", Some("İstanbul")),
        ("DIYARBAKIR", Some("Dıyarbakır")),
        ("οδος", Some("ΟΔΟΣ")),
        ("οδοσ", Some("ΟΔΟΣ")),
        ("ΛΌΓΟΣ", Some("λόγος")),
        ("жук", Some("ЖУК")),
        ("ǆ", Some("Ǆ")),
        (&signs.to_uppercase(), Some(signs)),
        (".*+", Some(signs)),
        ("***", None),
        ("(?i)", None),
        ("a.b", None),
    ] {
        let q: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
        for (list, field) in [("organizations", "name"), ("users", "last_name")] {
            let path = format!("/v1/{list}?q={q}");
            let page = app.system_admin.get(&path).await.ok();
            let rows = page["data"].as_array().unwrap().iter();
            let names: Vec<_> = rows.map(|row| row[field].as_str().unwrap()).collect();
            assert_eq!(names, Vec::from_iter(found), "{text} among {list}");
        }
    }
}

/// Whether it can be: the planner would rather read the few rows of a test.
#[tokio::test]
async fn a_part_of_a_name_is_found_by_the_index() {
    let database = TestDatabase::migrated(Backend::Postgres).await;
    let connection = database.connect().await;
    execute(&connection, "SET enable_seqscan = off")
        .await
        .unwrap();
    for text in ["öL 4321", "sesskis 4321"] {
        let pattern = api::values::characters::in_any_case(text);
        let plan = format!("EXPLAIN SELECT id FROM organizations WHERE name ~ '{pattern}'");
        let plan = text_rows(&connection, &plan).await.join("\n");
        assert!(plan.contains("organizations_name_idx"), "{plan}");
    }
}
