//! Many at once: no change is lost, and what only one may do one does.

use std::collections::BTreeMap;

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use tests::{Answer, Backend, Caller, Stage, unique};
use tokio::task::JoinSet;
use uuid::Uuid;

/// Sends them all at once.
async fn at_once(
    requests: impl IntoIterator<Item = impl Future<Output = Answer> + Send + 'static>,
) -> Vec<Answer> {
    let mut set = JoinSet::new();
    for request in requests {
        set.spawn(request);
    }
    set.join_all().await
}

fn patch(
    caller: &Caller,
    path: &str,
    body: Value,
    if_match: Option<&'static str>,
) -> impl Future<Output = Answer> + Send + 'static {
    let (caller, path) = (caller.clone(), path.to_owned());
    async move {
        let headers: Vec<_> = if_match.map(|tag| ("If-Match", tag)).into_iter().collect();
        caller
            .send(Method::PATCH, &path, Some(body), &headers)
            .await
    }
}

fn by_status(answers: &[Answer]) -> BTreeMap<u16, usize> {
    let mut counts = BTreeMap::new();
    for answer in answers {
        *counts.entry(answer.status).or_default() += 1;
    }
    counts
}

#[rstest]
#[tokio::test]
async fn of_concurrent_changes_none_is_lost(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    const CHANGES: usize = 20;
    let stage = Stage::set(backend).await;
    let path = format!("/v1/organizations/{}", stage.organization);
    let change = |index: usize| {
        let body = json!({"metadata": {format!("change-{index}"): index}});
        patch(&stage.owner, &path, body, None)
    };
    let answers = at_once((0..CHANGES).map(change)).await;
    assert_eq!(by_status(&answers), BTreeMap::from([(200, CHANGES)]));
    let mut versions: Vec<_> = answers
        .iter()
        .map(|answer| answer.ok()["version"].as_u64())
        .collect();
    versions.sort_unstable();
    let all: Vec<_> = (2..=CHANGES as u64 + 1).map(Some).collect();
    assert_eq!(versions, all, "each has a version of its own");

    let organization = stage.owner.get(&path).await.ok();
    let metadata = organization["metadata"].as_object().expect("an object");
    assert_eq!(metadata.len(), CHANGES, "{metadata:?}");
    let snapshot = stage.snapshot().await;
    let events = snapshot.events_of(stage.organization);
    let versions: Vec<_> = events
        .map(|event| event["aggregate_version"].as_u64())
        .collect();
    let all: Vec<_> = (1..=CHANGES as u64 + 1).map(Some).collect();
    assert_eq!(versions, all, "one event for each version");
}

#[rstest]
#[tokio::test]
async fn of_concurrent_changes_of_one_version_one_succeeds(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let stage = Stage::set(backend).await;
    let path = format!("/v1/organizations/{}", stage.organization);
    for etag in ["\"1\"", "\"2\"", "\"3\""] {
        let change = |index: usize| {
            let body = json!({"metadata": {"etag": etag, "change": index}});
            patch(&stage.owner, &path, body, Some(etag))
        };
        let answers = at_once((0..8).map(change)).await;
        assert_eq!(by_status(&answers), BTreeMap::from([(200, 1), (412, 7)]));
        for refused in answers.iter().filter(|answer| answer.status == 412) {
            refused.is_problem(412, "version-conflict");
        }
        let won = answers.iter().find(|answer| answer.status == 200);
        let now = stage.owner.get(&path).await.ok();
        assert_eq!(won.map(Answer::ok), Some(now), "the one that won is there");
    }
    let snapshot = stage.snapshot().await;
    assert_eq!(snapshot.events_of(stage.organization).count(), 4);
}

#[rstest]
#[tokio::test]
async fn of_concurrent_deletions_one_succeeds(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let stage = Stage::set(backend).await;
    let path = format!("/v1/organizations/{}", stage.organization);
    let delete = |_| {
        let (owner, path) = (stage.owner.clone(), path.clone());
        async move { owner.delete(&path).await }
    };
    let answers = at_once((0..6).map(delete)).await;
    assert_eq!(by_status(&answers), BTreeMap::from([(204, 1), (404, 5)]));
    let snapshot = stage.snapshot().await;
    assert_eq!(snapshot.events_of(stage.organization).count(), 2);
}

#[rstest]
#[tokio::test]
async fn of_concurrent_creations_of_one_slug_one_succeeds(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let stage = Stage::set(backend).await;
    for _ in 0..3 {
        let before = stage.snapshot().await;
        let body = json!({"name": "New", "slug": unique()});
        let create = |index: usize| {
            let callers = [&stage.owner, &stage.outsider];
            let (caller, body) = (callers[index % 2].clone(), body.clone());
            async move { caller.post("/v1/organizations", body).await }
        };
        let answers = at_once((0..8).map(create)).await;
        assert_eq!(by_status(&answers), BTreeMap::from([(201, 1), (409, 7)]));
        for refused in answers.iter().filter(|answer| answer.status == 409) {
            let problem = refused.is_problem(409, "already-exists");
            assert_eq!(problem["errors"][0]["pointer"], "/slug");
        }
        let after = stage.snapshot().await;
        assert_eq!(after.events_since(&before).len(), 2, "one was made");
    }
}

/// Two owners, each by their membership.
async fn two_owners(stage: &Stage) -> (Uuid, [(Caller, Uuid); 2]) {
    let owners = [stage.app.outsider().await, stage.app.outsider().await];
    let id = stage.app.organization(&owners[0]).await;
    stage.app.join(id, &owners[1], "owner").await;
    let path = format!("/v1/memberships?organization_id={id}");
    let page = owners[0].get(&path).await.ok();
    let of = |owner: Caller| {
        let memberships = page["data"].as_array().expect("a page");
        let own = memberships
            .iter()
            .find(|membership| membership["user_id"] == json!(owner.user_id()));
        let own = tests::id_of(own.expect("the owner's membership"));
        (owner, own)
    };
    (id, owners.map(of))
}

/// The ways in which each of two owners can take themselves, or the other, away.
#[derive(Clone, Copy, Debug)]
enum Way {
    Leave,
    StepDown,
    RemoveTheOther,
    DemoteTheOther,
    SuspendTheOther,
    DeleteThemselves,
}

impl Way {
    fn takes_the_other_away(self) -> bool {
        use Way::{DemoteTheOther, RemoveTheOther, SuspendTheOther};
        matches!(self, RemoveTheOther | DemoteTheOther | SuspendTheOther)
    }

    fn go(
        self,
        own: &(Caller, Uuid),
        other: &(Caller, Uuid),
    ) -> impl Future<Output = Answer> + Send + 'static {
        let membership = |id: Uuid| format!("/v1/memberships/{id}");
        let (method, path, body) = match self {
            Self::Leave => (Method::DELETE, membership(own.1), None),
            Self::StepDown => (
                Method::PATCH,
                membership(own.1),
                Some(json!({"role": "member"})),
            ),
            Self::RemoveTheOther => (Method::DELETE, membership(other.1), None),
            Self::DemoteTheOther => (
                Method::PATCH,
                membership(other.1),
                Some(json!({"role": "viewer"})),
            ),
            Self::SuspendTheOther => (
                Method::PATCH,
                membership(other.1),
                Some(json!({"status": "suspended"})),
            ),
            Self::DeleteThemselves => {
                let path = format!("/v1/users/{}", own.0.user_id());
                (Method::DELETE, path, None)
            }
        };
        let caller = own.0.clone();
        async move { caller.send(method, &path, body, &[]).await }
    }
}

#[rstest]
#[tokio::test]
async fn of_two_owners_who_go_at_once_one_stays(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[values(
        [Way::Leave, Way::Leave],
        [Way::StepDown, Way::StepDown],
        [Way::RemoveTheOther, Way::RemoveTheOther],
        [Way::DemoteTheOther, Way::DemoteTheOther],
        [Way::SuspendTheOther, Way::SuspendTheOther],
        [Way::DeleteThemselves, Way::DeleteThemselves],
        [Way::Leave, Way::DeleteThemselves],
        [Way::StepDown, Way::DeleteThemselves]
    )]
    ways: [Way; 2],
) {
    let stage = Stage::set(backend).await;
    for _ in 0..6 {
        let (id, owners) = two_owners(&stage).await;
        let answers = at_once([
            ways[0].go(&owners[0], &owners[1]),
            ways[1].go(&owners[1], &owners[0]),
        ])
        .await;
        let succeeded = answers.iter().filter(|it| it.status < 300).count();
        assert_eq!(succeeded, 1, "{ways:?}: {answers:?}");
        for refused in answers.iter().filter(|it| it.status >= 300) {
            // Whoever was taken away before they were looked at is not let in at all.
            match (ways[0].takes_the_other_away(), refused.status) {
                (true, 403) => refused.is_problem(403, "forbidden"),
                (true, 404) => refused.is_problem(404, "not-found"),
                _ => refused.is_problem(409, "last-owner"),
            };
        }
        let path = format!("/v1/memberships?organization_id={id}&role=owner&status=active");
        let left = stage.app.system_admin.get(&path).await.ok();
        assert_eq!(left["data"].as_array().map(Vec::len), Some(1), "{left}");
    }
}
