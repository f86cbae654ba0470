//! Events: their filters, their order, and that nobody writes them.

use reqwest::Method;
use rstest::rstest;
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use serde_json::{Value, json};
use tests::database::{execute, text_rows};
use tests::{Backend, Caller, TestApp, id_of};
use uuid::Uuid;

fn ids(page: &Value) -> Vec<&str> {
    let events = page["data"].as_array().unwrap();
    events
        .iter()
        .map(|event| event["id"].as_str().unwrap())
        .collect()
}

#[rstest]
#[tokio::test]
async fn each_filter_finds_what_fits_and_nothing_else(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let owner = app.outsider().await;
    let organization = app.organization(&owner).await;
    let member = app.member(organization, "member").await;
    let path = format!("/v1/organizations/{organization}");
    let headers = [("X-Correlation-Id", "the-change")];
    let body = Some(json!({"name": "Changed"}));
    owner.send(Method::PATCH, &path, body, &headers).await.ok();

    let all = app
        .system_admin
        .get("/v1/events?order=asc&limit=200")
        .await
        .ok();
    let all = all["data"].as_array().unwrap();
    let moment = all[4]["event_timestamp"].as_str().unwrap();
    let touches = |event: &Value, kind: &str, id: String| event["tags"][kind] == id.as_str();
    let (user, of_organization) = (member.user_id().to_string(), organization.to_string());
    type Fits<'a> = Box<dyn Fn(&Value) -> bool + 'a>;
    let cases: Vec<(String, Fits)> = vec![
        (
            format!("organization_id={organization}"),
            Box::new(|event| event["organization_id"] == of_organization.as_str()),
        ),
        (
            format!("user_id={}", owner.user_id()),
            Box::new(|event| event["user_id"] == owner.user_id().to_string().as_str()),
        ),
        (
            "aggregate_type=membership".to_owned(),
            Box::new(|event| event["aggregate_type"] == "membership"),
        ),
        (
            format!("aggregate_id={organization}"),
            Box::new(|event| event["aggregate_id"] == of_organization.as_str()),
        ),
        (
            "event_type=USER.*&event_type=ORGANIZATION.UPDATED".to_owned(),
            Box::new(|event| {
                event["aggregate_type"] == "user" || event["event_type"] == "ORGANIZATION.UPDATED"
            }),
        ),
        (
            "correlation_id=the-change".to_owned(),
            Box::new(|event| event["correlation_id"] == "the-change"),
        ),
        (
            format!("tag=user:{user}"),
            Box::new(|event| touches(event, "user", user.clone())),
        ),
        (
            format!("tag=user:{user}&tag=organization:{organization}"),
            Box::new(|event| {
                touches(event, "user", user.clone())
                    && touches(event, "organization", of_organization.clone())
            }),
        ),
        (
            format!("from={moment}"),
            Box::new(|event| event["event_timestamp"].as_str() >= Some(moment)),
        ),
        (
            format!("to={moment}"),
            Box::new(|event| event["event_timestamp"].as_str() < Some(moment)),
        ),
    ];
    for (query, fits) in cases {
        let expected: Vec<_> = all
            .iter()
            .filter(|event| fits(event))
            .map(|event| event["id"].as_str().unwrap())
            .collect();
        assert!(
            !expected.is_empty() && expected.len() < all.len(),
            "{query}"
        );
        let path = format!("/v1/events?order=asc&limit=200&{query}");
        assert_eq!(
            ids(&app.system_admin.get(&path).await.ok()),
            expected,
            "{query}"
        );
        let path = format!("/v1/events?limit=200&{query}");
        let mut newest_first = expected;
        newest_first.reverse();
        assert_eq!(
            ids(&app.system_admin.get(&path).await.ok()),
            newest_first,
            "{query}"
        );
    }
}

#[rstest]
#[tokio::test]
async fn an_id_is_found_however_it_is_spelled(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let owner = app.outsider().await;
    let organization = app.organization(&owner).await;
    let path = format!("/v1/organizations/{organization}");
    let changed = owner.patch(&path, json!({"name": "Changed"})).await;
    let request = changed.header("x-request-id").unwrap();
    // What a client called the whole stays in its own letters.
    let whole = "0E3F5A52-6B0C-4E4B-9B4B-6C1C4AF0B7A1";
    let headers = [("X-Correlation-Id", whole)];
    let body = Some(json!({"name": "Again"}));
    owner.send(Method::PATCH, &path, body, &headers).await.ok();

    let list = async |query: &str| {
        let page = app.system_admin.get(&format!("/v1/events?{query}")).await;
        let page = page.ok();
        let ids = ids(&page).into_iter().map(str::to_owned);
        ids.collect::<Vec<_>>()
    };
    for (query, id) in [
        ("tag=organization:", organization.to_string()),
        ("correlation_id=", request.to_owned()),
    ] {
        let expected = list(&format!("{query}{id}")).await;
        assert!(!expected.is_empty(), "{query}{id}");
        for spelling in [
            id.to_uppercase(),
            id.replace('-', ""),
            format!("%7B{}%7D", id.to_uppercase()),
            format!("urn:uuid:{id}"),
        ] {
            let found = list(&format!("{query}{spelling}")).await;
            assert_eq!(found, expected, "{query}{spelling}");
        }
    }
    let found = list(&format!("correlation_id={whole}")).await;
    assert_eq!(found.len(), 1);
}

#[rstest]
#[tokio::test]
async fn nobody_writes_them(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let event = id_of(&app.events_of(app.first_organization).await[0]);
    let one = format!("/v1/events/{event}");
    for (method, path) in [
        (Method::POST, "/v1/events"),
        (Method::PATCH, one.as_str()),
        (Method::PUT, one.as_str()),
        (Method::DELETE, one.as_str()),
    ] {
        let answer = app
            .system_admin
            .send(method, path, Some(json!({})), &[])
            .await;
        answer.is_problem(405, "method-not-allowed");
        assert_eq!(answer.header("allow"), Some("GET, HEAD"));
    }
}

/// A trail by two keys from two addresses, by the command line, and past both.
async fn mixed_trail(app: &TestApp) -> (Caller, Uuid) {
    let owner = app.outsider().await;
    let organization = app.organization(&owner).await;
    let path = format!("/v1/organizations/{organization}");
    let second = app.key_for(owner.user_id(), json!({})).await;
    for name in ["One", "Two"] {
        second.patch(&path, json!({"name": name})).await.ok();
    }
    let connection = app.database.connect().await;
    let change = "UPDATE organizations SET city = 'Bern' WHERE slug LIKE 'o-%'";
    execute(&connection, change).await.unwrap();
    (owner, organization)
}

#[rstest]
#[tokio::test]
async fn what_a_leaked_key_did_is_found_by_key_source_and_address(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let (owner, organization) = mixed_trail(&app).await;
    let all = app
        .system_admin
        .get("/v1/events?order=asc&limit=200")
        .await
        .ok();
    let all = all["data"].as_array().unwrap();
    let keys: std::collections::BTreeSet<_> = all
        .iter()
        .filter_map(|event| event["metadata"]["api_key_id"].as_str())
        .collect();
    assert!(keys.len() >= 3, "{keys:?}");
    for caller in [&app.system_admin, &owner] {
        let seen = caller.get("/v1/events?order=asc&limit=200").await.ok();
        let seen = seen["data"].as_array().unwrap();
        let find = async |query: &str, fits: &dyn Fn(&Value) -> bool| {
            let expected: Vec<_> = seen
                .iter()
                .filter(|event| fits(event))
                .map(|event| event["id"].as_str().unwrap())
                .collect();
            let path = format!("/v1/events?order=asc&limit=200&{query}");
            assert_eq!(ids(&caller.get(&path).await.ok()), expected, "{query}");
            expected.len()
        };
        for key in &keys {
            let fits = |event: &Value| event["metadata"]["api_key_id"] == *key;
            for key in [key.to_string(), key.to_uppercase()] {
                find(&format!("api_key_id={key}"), &fits).await;
            }
        }
        for source in ["api", "cli", "database"] {
            let query = format!("source={source}");
            let found = find(&query, &|event| event["source"] == source).await;
            assert!(found > 0 || source == "cli" && caller.user_id() == owner.user_id());
        }
        for spelling in [
            "127.0.0.1",
            "::ffff:127.0.0.1",
            "::FFFF:7f00:1",
            "0:0:0:0:0:ffff:7f00:0001",
        ] {
            let fits = |event: &Value| event["ip_address"] == "127.0.0.1";
            assert!(find(&format!("ip_address={spelling}"), &fits).await > 0);
        }
        assert_eq!(find("ip_address=::1", &|_| false).await, 0);
        let both = format!("source=api&ip_address=127.0.0.1&organization_id={organization}");
        assert!(
            find(&both, &|event| event["source"] == "api"
                && event["organization_id"] == organization.to_string())
            .await
                > 0
        );
    }
}

#[rstest]
#[tokio::test]
async fn an_address_is_found_however_it_is_asked_for(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let connection = app.database.connect().await;
    for (number, address) in ["192.0.2.7", "2001:db8::7"].iter().enumerate() {
        let id = backend.id(Uuid::now_v7());
        let insert = format!(
            "INSERT INTO events (id, event_type, aggregate_type, aggregate_id, aggregate_version, data, ip_address)
             VALUES ({id}, 'A.B', 'a', {id}, {}, '{{}}', '{address}')",
            number + 1
        );
        execute(&connection, &insert).await.unwrap();
    }
    for (spelling, count) in [
        ("192.0.2.7", 1),
        ("::ffff:192.0.2.7", 1),
        ("::ffff:c000:207", 1),
        ("2001:0DB8:0:0:0:0:0:7", 1),
        ("2001:db8::7", 1),
        ("::192.0.2.7", 0),
    ] {
        let page = app
            .system_admin
            .get(&format!("/v1/events?ip_address={spelling}"))
            .await
            .ok();
        assert_eq!(ids(&page).len(), count, "{spelling}");
    }
}

/// A page is read along an index in the order of time, by whoever asks; with so many events that a scan would be seen.
#[rstest]
#[tokio::test]
async fn these_filters_are_served_by_their_indexes(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let (owner, organization) = mixed_trail(&app).await;
    let connection = app.database.connect().await;
    let many = match backend {
        Backend::Sqlite => format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
             INSERT INTO events (event_type, aggregate_type, aggregate_id, aggregate_version, data, metadata, source,
                                 ip_address, organization_id)
             SELECT 'A.B', 'a', randomblob(16), 1, '{{}}', json_object('api_key_id', hex(i % 200)), 'api',
                    '10.0.0.' || (i % 200), {} FROM n",
            backend.id(organization)
        ),
        Backend::Postgres => format!(
            "INSERT INTO events (event_type, aggregate_type, aggregate_id, aggregate_version, data, metadata, source,
                                 ip_address, organization_id)
             SELECT 'A.B', 'a', gen_random_uuid(), 1, '{{}}', jsonb_build_object('api_key_id', i % 200), 'api',
                    '10.0.0.' || (i % 200), {} FROM generate_series(1, 20000) AS n(i); ANALYZE",
            backend.id(organization)
        ),
    };
    execute(&connection, &many).await.unwrap();
    for caller in [&app.system_admin, &owner] {
        for (query, index) in [
            (
                "api_key_id=01890a5d-ac96-774b-bcce-b302099a8057",
                "events_api_key_id_event_timestamp_idx",
            ),
            ("source=database", "events_source_event_timestamp_idx"),
            (
                "ip_address=2001:db8::1",
                "events_ip_address_event_timestamp_idx",
            ),
            (
                "ip_address=192.0.2.1",
                "events_ip_address_event_timestamp_idx",
            ),
        ] {
            app.probe.watch();
            caller.get(&format!("/v1/events?{query}")).await.ok();
            let steps = app.probe.steps();
            let plan = plan(backend, &connection, steps.last().unwrap()).await;
            assert!(plan.contains(index), "{query}: {plan}");
            assert!(!plan.contains("Seq Scan on events"), "{query}: {plan}");
            assert!(!plan.contains("SCAN events"), "{query}: {plan}");
        }
    }
}

/// How the database would run a statement, whatever its values are.
async fn plan(backend: Backend, connection: &DatabaseConnection, sql: &str) -> String {
    if backend == Backend::Sqlite {
        let explain = Statement::from_string(
            connection.get_database_backend(),
            format!("EXPLAIN QUERY PLAN {sql}"),
        );
        let rows = connection.query_all_raw(explain).await.unwrap();
        let lines = rows.iter().map(|row| row.try_get("", "detail").unwrap());
        return lines.collect::<Vec<String>>().join("\n");
    }
    let (start, _) = sql.rsplit_once(" LIMIT $").expect("a limit");
    let mut values = 0;
    while start.contains(&format!("${}", values + 1)) {
        values += 1;
    }
    let arguments = match values {
        0 => String::new(),
        _ => format!("({})", vec!["NULL"; values].join(", ")),
    };
    let prepare =
        format!("SET plan_cache_mode = force_generic_plan; PREPARE page AS {start} LIMIT 51");
    execute(connection, &prepare).await.unwrap();
    let lines = text_rows(connection, &format!("EXPLAIN EXECUTE page{arguments}")).await;
    execute(connection, "DEALLOCATE page").await.unwrap();
    lines.join("\n")
}
