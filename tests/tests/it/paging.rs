//! Pages: each row that stays is seen exactly once, in order, whatever comes and goes between two pages.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use rstest::rstest;
use serde_json::{Value, json};
use tests::{Answer, Backend, Caller, TestApp, id_of};
use tokio::runtime::Runtime;
use uuid::Uuid;

/// A list that can grow and shrink, as one caller sees it.
struct List {
    kind: Kind,
    caller: Caller,
    organization: Uuid,
    /// The ids of its rows, oldest first.
    rows: Vec<Uuid>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Organizations,
    Users,
    Memberships,
    ApiKeys,
    EventsOldestFirst,
    EventsNewestFirst,
}

const KINDS: [Kind; 6] = [
    Kind::Organizations,
    Kind::Users,
    Kind::Memberships,
    Kind::ApiKeys,
    Kind::EventsOldestFirst,
    Kind::EventsNewestFirst,
];

impl List {
    /// A list of its own, which no other test case fills.
    async fn of(app: &TestApp, kind: Kind) -> Self {
        let caller = app.outsider().await;
        let organization = app.organization(&caller).await;
        let mut list = Self {
            kind,
            caller,
            organization,
            rows: Vec::new(),
        };
        list.rows = ids(&list.get(&list.path(200)).await.ok());
        if kind == Kind::EventsNewestFirst {
            list.rows.reverse();
        }
        list
    }

    fn path(&self, limit: usize) -> String {
        let organization = self.organization;
        match self.kind {
            Kind::Organizations => format!("/v1/organizations?limit={limit}&q=Org&status=active"),
            Kind::Users => format!("/v1/users?organization_id={organization}&limit={limit}"),
            Kind::Memberships => {
                format!("/v1/memberships?limit={limit}&organization_id={organization}")
            }
            Kind::ApiKeys => format!("/v1/api-keys?limit={limit}&key_type=personal"),
            Kind::EventsOldestFirst => {
                format!("/v1/events?tag=organization:{organization}&limit={limit}&order=asc")
            }
            Kind::EventsNewestFirst => format!(
                "/v1/events?organization_id={organization}&limit={limit}&event_type=ORGANIZATION.*&event_type=MEMBERSHIP.*"
            ),
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.caller.get(path).await
    }

    async fn insert(&mut self) {
        let organization = self.organization;
        let name = Uuid::now_v7().simple().to_string();
        let invitation =
            json!({"organization_id": organization, "email": format!("{name}@example.com")});
        let row = match self.kind {
            Kind::Organizations => {
                let organization = json!({"name": format!("Org {name}"), "slug": name});
                let created = self.caller.post("/v1/organizations", organization).await;
                id_of(&created.created())
            }
            Kind::Users => {
                let created = self.caller.post("/v1/memberships", invitation).await;
                created.created()["user_id"]
                    .as_str()
                    .unwrap()
                    .parse()
                    .unwrap()
            }
            Kind::Memberships => {
                let created = self.caller.post("/v1/memberships", invitation).await;
                id_of(&created.created())
            }
            Kind::ApiKeys => {
                let key = json!({"name": name, "scopes": ["events:read"]});
                id_of(&self.caller.post("/v1/api-keys", key).await.created())
            }
            Kind::EventsOldestFirst | Kind::EventsNewestFirst => {
                let path = format!("/v1/organizations/{organization}");
                self.caller.patch(&path, json!({"name": name})).await.ok();
                let newest = format!("/v1/events?organization_id={organization}&limit=1");
                id_of(&self.get(&newest).await.ok()["data"][0])
            }
        };
        self.rows.push(row);
    }

    /// Removes the row at this place, unless it is an event. The first one is what the caller needs to ask.
    async fn remove(&mut self, place: usize) {
        let row = self.rows[place];
        let path = match self.kind {
            Kind::Organizations => format!("/v1/organizations/{row}"),
            Kind::Memberships => format!("/v1/memberships/{row}"),
            Kind::ApiKeys => format!("/v1/api-keys/{row}"),
            Kind::Users => {
                let filter = format!("organization_id={}&user_id={row}", self.organization);
                let page = self.get(&format!("/v1/memberships?{filter}")).await.ok();
                format!("/v1/memberships/{}", id_of(&page["data"][0]))
            }
            Kind::EventsOldestFirst | Kind::EventsNewestFirst => return,
        };
        self.caller.delete(&path).await.expect(204);
        self.rows.remove(place);
    }
}

fn ids(page: &Value) -> Vec<Uuid> {
    let rows = page["data"].as_array().expect("a page");
    rows.iter().map(id_of).collect()
}

/// What happens between two pages.
#[derive(Clone, Debug)]
enum Step {
    Insert,
    Remove(Index),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    vec(
        prop_oneof![Just(Step::Insert), any::<Index>().prop_map(Step::Remove)],
        0..4,
    )
}

async fn change(list: &mut List, steps: &[Step]) {
    for step in steps {
        match step {
            Step::Insert => list.insert().await,
            Step::Remove(which) if list.rows.len() > 1 => {
                list.remove(1 + which.index(list.rows.len() - 1)).await;
            }
            Step::Remove(_) => {}
        }
    }
}

/// The page after this one; its link says the same as its cursor, and keeps the filters.
fn next(page: &Answer, path: &str) -> Result<Option<String>, TestCaseError> {
    let body = page.ok();
    let Some(cursor) = body["next_cursor"].as_str() else {
        prop_assert_eq!(&body["next_cursor"], &Value::Null);
        prop_assert_eq!(page.header("link"), None);
        return Ok(None);
    };
    let link = page.header("link").expect("a link");
    let link = link
        .strip_prefix('<')
        .and_then(|link| link.strip_suffix(">; rel=\"next\""))
        .expect("a link in the form of RFC 8288");
    let parameters = |path: &str| {
        let (path, query) = path.split_once('?').expect("a query");
        let mut parameters: Vec<String> = query
            .replace("%3A", ":")
            .split('&')
            .map(str::to_owned)
            .filter(|parameter| !parameter.starts_with("cursor="))
            .collect();
        parameters.sort();
        (path.to_owned(), parameters)
    };
    prop_assert_eq!(parameters(link), parameters(path));
    let suffix = format!("cursor={cursor}");
    prop_assert!(link.ends_with(&suffix));
    Ok(Some(link.to_owned()))
}

async fn walk(
    app: &TestApp,
    kind: Kind,
    first: usize,
    limit: usize,
    between: &[Vec<Step>],
) -> Result<(), TestCaseError> {
    let mut list = List::of(app, kind).await;
    for _ in 0..first {
        list.insert().await;
    }
    let at_first = list.rows.clone();
    let mut ever: BTreeSet<Uuid> = at_first.iter().copied().collect();
    let mut seen = Vec::new();
    let mut path = list.path(limit);
    let mut between = between.iter();
    loop {
        let page = list.get(&path).await;
        let rows = ids(&page.ok());
        prop_assert!(rows.len() <= limit);
        seen.extend(rows);
        let Some(link) = next(&page, &path)? else {
            break;
        };
        path = link;
        if let Some(steps) = between.next() {
            change(&mut list, steps).await;
            ever.extend(&list.rows);
        }
    }
    let mut stayed: Vec<Uuid> = at_first;
    stayed.retain(|row| list.rows.contains(row));
    if kind == Kind::EventsNewestFirst {
        stayed.reverse();
    }
    let seen_of_these: Vec<Uuid> = seen
        .iter()
        .copied()
        .filter(|row| stayed.contains(row))
        .collect();
    prop_assert_eq!(seen_of_these, stayed);
    let distinct: BTreeSet<Uuid> = seen.iter().copied().collect();
    prop_assert_eq!(distinct.len(), seen.len(), "a row was seen twice");
    prop_assert!(distinct.is_subset(&ever), "a row was seen that never was");
    Ok(())
}

#[rstest]
fn each_row_that_stays_is_seen_once_and_in_order(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[values(0, 1, 2, 3, 4, 5)] kind: usize,
) {
    let runtime = Runtime::new().expect("a runtime");
    let app = runtime.block_on(TestApp::start(backend));
    let config = Config {
        cases: 8,
        max_shrink_iters: 50,
        failure_persistence: None,
        ..Config::default()
    };
    let input = (0..12_usize, 1..6_usize, vec(steps(), 0..6));
    let result = TestRunner::new(config).run(&input, |(first, limit, between)| {
        runtime.block_on(walk(&app, KINDS[kind], first, limit, &between))
    });
    if let Err(failure) = result {
        panic!("{:?}: {failure}", KINDS[kind]);
    }
}

#[rstest]
#[tokio::test]
async fn a_page_has_as_many_as_asked_for_and_50_unless_asked(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let mut list = List::of(&app, Kind::ApiKeys).await;
    while list.rows.len() < 202 {
        list.insert().await;
    }
    for (query, expected, more) in [
        ("", 50, true),
        ("?limit=1", 1, true),
        ("?limit=200", 200, true),
        ("?limit=0200", 200, true),
    ] {
        let page = list.get(&format!("/v1/api-keys{query}")).await.ok();
        assert_eq!(ids(&page), list.rows[..expected], "{query}");
        assert_eq!(page["next_cursor"].is_string(), more, "{query}");
    }
    // The last page is full, and says that nothing follows.
    list.remove(1).await;
    list.remove(1).await;
    let page = list.get("/v1/api-keys?limit=200").await;
    assert_eq!(ids(&page.ok()), list.rows);
    assert_eq!(page.ok()["next_cursor"], Value::Null);
    assert_eq!(page.header("link"), None);
}

#[rstest]
#[tokio::test]
async fn a_cursor_is_good_for_the_list_that_gave_it_alone(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let admin = &app.system_admin;
    let user = app.outsider().await;
    app.organization(&user).await;
    let lists = [
        "/v1/organizations?limit=1",
        "/v1/users?limit=1",
        "/v1/memberships?limit=1",
        "/v1/api-keys?limit=1",
        "/v1/events?limit=1&order=asc",
        "/v1/events?limit=1&order=desc",
    ];
    for giver in lists {
        let page = admin.get(giver).await.ok();
        let cursor = page["next_cursor"].as_str().expect("more than one row");
        for taker in lists {
            let answer = admin.get(&format!("{taker}&cursor={cursor}")).await;
            match giver == taker {
                true => drop(answer.ok()),
                false => drop(answer.is_problem(400, "bad-cursor")),
            }
        }
        let events_without_order = format!("/v1/events?cursor={cursor}");
        if giver.ends_with("order=desc") {
            admin.get(&events_without_order).await.ok();
        } else {
            admin
                .get(&events_without_order)
                .await
                .is_problem(400, "bad-cursor");
        }
    }
}

#[rstest]
#[tokio::test]
async fn a_cursor_that_was_tampered_with_is_refused(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let admin = &app.system_admin;
    app.organization(admin).await;
    for list in ["/v1/organizations", "/v1/events"] {
        let page = admin.get(&format!("{list}?limit=1")).await.ok();
        let good = page["next_cursor"].as_str().unwrap();
        let garbage = [
            String::new(),
            "x".to_owned(),
            "null".to_owned(),
            "😀".to_owned(),
            "%00".to_owned(),
            format!("{good}%3D"),
            format!("{good}A"),
            format!("{good}{good}"),
            good[1..].to_owned(),
            good[..good.len() - 3].to_owned(),
            "W10".to_owned(),                             // []
            "e30".to_owned(),                             // {}
            "WzFd".to_owned(),                            // [1]
            "WyJvcmdhbml6YXRpb24iXQ".to_owned(),          // ["organization"]
            "WyJvcmdhbml6YXRpb24iLCJ4Il0".to_owned(),     // ["organization","x"]
            "WyJvcmdhbml6YXRpb24iLCIiLCIiXQ".to_owned(),  // ["organization","",""]
            "WyJldmVudHMgZGVzYyIsIngiLCJ5Il0".to_owned(), // ["events desc","x","y"]
            "A".repeat(5000),
        ];
        for cursor in garbage {
            admin
                .get(&format!("{list}?cursor={cursor}"))
                .await
                .is_problem(400, "bad-cursor");
        }
    }
}

#[rstest]
#[tokio::test]
async fn a_page_ends_by_its_bytes_and_the_next_one_goes_on(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    const MEBIBYTE: usize = 1_048_576;
    let app = TestApp::start(backend).await;
    let ada = app.outsider().await;
    let mut organizations = Vec::new();
    // The fourth alone is more than a page has.
    for (index, bytes) in [300_000, 300_000, 600_000, 1_000_000, 20, 20]
        .into_iter()
        .enumerate()
    {
        let body = json!({
            "name": "Large",
            "slug": format!("large-{index}"),
            "metadata": {"padding": "x".repeat(bytes)},
        });
        organizations.push(id_of(&ada.post("/v1/organizations", body).await.created()));
    }
    let path = format!("/v1/organizations/{}", organizations[3]);
    let body = json!({"settings": {"padding": "x".repeat(1_000_000)}});
    ada.patch(&path, body).await.ok();

    let mut events = ids(&ada.get("/v1/events?order=asc&limit=1").await.ok());
    let first = events.remove(0);
    for (list, least_pages) in [
        ("/v1/organizations?limit=200", 4),
        ("/v1/events?limit=200", 4),
    ] {
        let mut seen = Vec::new();
        let mut cursor: Option<String> = None;
        let mut pages = 0;
        loop {
            let path = match &cursor {
                Some(cursor) => format!("{list}&cursor={cursor}"),
                None => list.to_owned(),
            };
            let answer = ada.get(&path).await;
            let page = ids(&answer.ok());
            assert!(!page.is_empty(), "{list}");
            // A little is left for what is around the resources.
            let is_small = answer.text.len() <= MEBIBYTE + 10_000;
            assert!(is_small || page.len() == 1, "{list}: {}", answer.text.len());
            assert_eq!(
                answer.header("link").is_some(),
                !answer.json()["next_cursor"].is_null()
            );
            seen.extend(page);
            pages += 1;
            match answer.json()["next_cursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => break,
            }
        }
        assert!(pages >= least_pages, "{list}: {pages}");
        let distinct: BTreeSet<Uuid> = seen.iter().copied().collect();
        assert_eq!(distinct.len(), seen.len(), "{list}");
        if list.starts_with("/v1/organizations") {
            assert_eq!(seen, organizations);
        } else {
            assert_eq!(seen.last(), Some(&first));
            // The organizations, their memberships, and one change.
            assert_eq!(seen.len(), 2 * organizations.len() + 1);
        }
    }
}
