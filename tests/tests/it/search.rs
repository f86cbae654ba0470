//! Free text: `q` of organizations and users.

use rstest::rstest;
use serde_json::json;
use tests::{Backend, TestApp};

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
