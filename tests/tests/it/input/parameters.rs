//! Query parameters and ids in paths that are not of their form.

use reqwest::Method;
use rstest::rstest;
use serde_json::json;
use tests::{Answer, Backend, RawRequest, TestApp, collections, content};
use uuid::Uuid;

use super::{codes, pointers};

/// Sent as it stands: a client would mend some of it.
async fn get(app: &TestApp, target: &str) -> Answer {
    RawRequest::new(&app.url, "GET", target)
        .key(app.system_admin.key())
        .send()
        .await
}

#[rstest]
#[tokio::test]
async fn an_unknown_parameter_is_named(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    for list in collections() {
        let query = "colour=red&Limit=1&offset=1&=x&sort%5Bname%5D=asc&limit%00=1";
        let answer = get(&app, &format!("/v1/{list}?{query}")).await;
        let problem = answer.is_problem(400, "bad-parameter");
        let expected = [
            "/colour",
            "/Limit",
            "/offset",
            "/",
            "/sort[name]",
            "/limit\0",
        ];
        assert_eq!(pointers(&problem), expected.map(String::from).into());
        assert_eq!(codes(&problem), ["unknown-field"].into());
    }
}

#[rstest]
#[tokio::test]
async fn a_parameter_is_sent_once(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    for (list, parameter) in [
        ("organizations", "limit=1"),
        ("organizations", "q=a"),
        ("organizations", "status=active"),
        ("users", "role=admin"),
        (
            "memberships",
            "user_id=01890a5d-ac96-774b-bcce-b302099a8057",
        ),
        ("api-keys", "key_type=personal"),
        ("api-keys", "cursor=x"),
        ("events", "order=asc"),
        ("events", "from=2026-01-01T00:00:00Z"),
    ] {
        let name = parameter.split('=').next().unwrap();
        for query in [
            format!("{parameter}&{parameter}"),
            format!("{parameter}&{name}="),
        ] {
            let problem = get(&app, &format!("/v1/{list}?{query}"))
                .await
                .is_problem(400, "bad-parameter");
            assert_eq!(pointers(&problem), [format!("/{name}")].into(), "{query}");
        }
    }
    get(
        &app,
        "/v1/events?event_type=USER.*&event_type=USER.*&tag=user:1&tag=user:1",
    )
    .await
    .expect(200);
}

#[rstest]
#[case("organizations", "limit=0")]
#[case("organizations", "limit=201")]
#[case("organizations", "limit=")]
#[case("organizations", "limit=-1")]
#[case("organizations", "limit=%2B1")]
#[case("organizations", "limit=1.0")]
#[case("organizations", "limit=1e1")]
#[case("organizations", "limit=0x10")]
#[case("organizations", "limit=%D9%A1")]
#[case("organizations", "limit=99999999999999999999999999")]
#[case("organizations", "status=Active")]
#[case("organizations", "status=")]
#[case("organizations", "q=")]
#[case("organizations", "q=%00")]
#[case("organizations", "q=a%0Ab")]
#[case("organizations", "q=%20%20")]
#[case("organizations", "q=%FF")]
#[case("organizations", "q=%C3")]
#[case("organizations", "q=%ED%A0%80")]
#[case("users", "organization_id=1")]
#[case("users", "organization_id=01890a5dac96774bbcceb302099a8057")]
#[case("users", "role=owner")]
#[case("memberships", "role=root")]
#[case("memberships", "user_id=%7B01890a5d-ac96-774b-bcce-b302099a8057%7D")]
#[case("api-keys", "key_type=machine")]
#[case("events", "event_type=created")]
#[case("events", "event_type=USER.CREATED&event_type=*")]
#[case("events", "aggregate_type=User")]
#[case("events", "aggregate_id=x")]
#[case("events", "tag=user")]
#[case("events", "tag=user:")]
#[case("events", "tag=:x")]
#[case("events", "from=yesterday")]
#[case("events", "from=2026-01-01")]
#[case("events", "to=2026-01-01T00:00:00")]
#[case("events", "to=1767225600")]
#[case("events", "order=up")]
#[case("events", "api_key_id=rbk_0f1e2d3c4b5a6978")]
#[case("events", "source=system")]
#[case("events", "source=API")]
#[case("events", "ip_address=192.0.2")]
#[case("events", "ip_address=192.0.2.256")]
#[case("events", "ip_address=192.0.2.0/24")]
#[case("events", "ip_address=%5B::1%5D")]
#[case("events", "ip_address=fe80::1%25eth0")]
#[case("events", "ip_address=localhost")]
#[case("events", "correlation_id=")]
#[case("events", "correlation_id=a%20b")]
#[tokio::test]
async fn a_parameter_that_is_not_of_its_form_is_named(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[case] list: &str,
    #[case] query: &str,
) {
    let app = TestApp::start(backend).await;
    let problem = get(&app, &format!("/v1/{list}?{query}"))
        .await
        .is_problem(400, "bad-parameter");
    let name = query.split('=').next().unwrap();
    assert_eq!(pointers(&problem), [format!("/{name}")].into());
}

#[rstest]
#[tokio::test]
async fn every_faulty_parameter_is_named_at_once(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let query = "limit=0&order=up&from=x&to=y&user_id=z&organization_id=&colour=red&tag=";
    let problem = get(&app, &format!("/v1/events?{query}"))
        .await
        .is_problem(400, "bad-parameter");
    let names = query.split('&').map(|pair| pair.split('=').next().unwrap());
    let expected = names.map(|name| format!("/{name}")).collect();
    assert_eq!(pointers(&problem), expected);
}

#[rstest]
#[tokio::test]
async fn a_search_takes_its_text_as_it_stands(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let organization = json!({"name": "100% _Real_ \\o/ 'quoted' 😀", "slug": "real"});
    app.system_admin
        .post("/v1/organizations", organization)
        .await
        .created();
    for (query, found) in [
        ("100%25", 1),
        ("%25", 1),
        ("_", 1),
        ("_real_", 1),
        ("%5C", 1),
        ("%27", 1),
        ("%F0%9F%98%80", 1),
        ("100%25+_real_", 1),
        ("a%25l", 0),
        ("r__l", 0),
        ("%27+OR+1%3D1+--", 0),
    ] {
        let page = get(&app, &format!("/v1/organizations?q={query}"))
            .await
            .ok();
        assert_eq!(page["data"].as_array().unwrap().len(), found, "{query}");
    }
}

#[rstest]
#[tokio::test]
async fn what_is_no_id_names_nothing(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let connection = app.database.connect().await;
    let before = content(&connection).await;
    let first = app.first_organization;
    let garbage = [
        "1".to_owned(),
        "x".to_owned(),
        first.simple().to_string(),
        first.urn().to_string(),
        format!("%7B{first}%7D"),
        format!("{first}0"),
        format!("{first}%00"),
        format!("%20{first}"),
        "%FF".to_owned(),
        "%".to_owned(),
        "%zz".to_owned(),
        "..".to_owned(),
        "%2e%2e".to_owned(),
        "null".to_owned(),
        "'%20OR%201=1".to_owned(),
        "%F0%9F%98%80".repeat(500),
        Uuid::nil().to_string(),
        Uuid::max().to_string(),
    ];
    for list in collections() {
        for id in &garbage {
            let path = format!("/v1/{list}/{id}");
            get(&app, &path).await.is_problem(404, "not-found");
            if list != "events" {
                for method in ["PATCH", "DELETE"] {
                    let request = RawRequest::new(&app.url, method, &path)
                        .key(app.system_admin.key())
                        .header("Content-Type", "application/json");
                    let answer = request.send_body("{}").await;
                    answer.is_problem(404, "not-found");
                }
            }
        }
    }
    for slug in [
        "",
        "First",
        "%FF",
        "%00",
        "a%20b",
        "%F0%9F%98%80",
        &"x".repeat(5000),
    ] {
        get(&app, &format!("/v1/organizations/by-slug/{slug}"))
            .await
            .is_problem(404, "not-found");
    }
    assert_eq!(content(&connection).await, before);
}

#[rstest]
#[tokio::test]
async fn an_id_may_be_written_in_capitals_and_is_shown_in_small_letters(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let id = app.first_organization.to_string();
    let path = format!("/v1/organizations/{}", id.to_uppercase());
    let answer = app.system_admin.send(Method::GET, &path, None, &[]).await;
    assert_eq!(answer.ok()["id"], id);
}
