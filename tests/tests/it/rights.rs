//! Rights: every cell of the table of roles, as the API answers it.

use rstest::rstest;
use serde_json::{Value, json};
use tests::{Answer, Backend, Caller, collections, id_of};
use uuid::Uuid;

use crate::cast::{Cast, ids_of};

/// What someone asks for; each time of something that was made for it.
#[derive(Clone, Copy, Debug)]
enum Request {
    ReadOrganization,
    ReadOrganizationBySlug,
    ReadMembership,
    ReadMember,
    ChangeOrganization,
    InviteSomeone(&'static str),
    InviteByEmail,
    InviteWithPermissions,
    Retitle(&'static str),
    GiveRole(&'static str, &'static str),
    GivePermissions(&'static str),
    Suspend(&'static str),
    Reactivate(&'static str),
    Remove(&'static str),
    CreateKey,
    ReadKey,
    ChangeKey,
    RevokeKey,
    ReadEvent,
    DeleteOrganization,
}

/// What the answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// 2xx.
    Yes,
    /// Seen, but not allowed: 403.
    No,
    /// Not seen: 404.
    Hid,
    /// Nobody known: 401.
    Who,
}

use Outcome::{Hid, No, Who, Yes};
use Request::*;

/// The columns: owner, admin, member, viewer, outsider, anonymous, system auditor, system admin.
#[rustfmt::skip]
const TABLE: [(Request, [Outcome; 8]); 46] = [
    // Read it, its members.
    (ReadOrganization,              [Yes, Yes, Yes, Yes, Hid, Who, Yes, Yes]),
    (ReadOrganizationBySlug,        [Yes, Yes, Yes, Yes, Hid, Who, Yes, Yes]),
    (ReadMembership,                [Yes, Yes, Yes, Yes, Hid, Who, Yes, Yes]),
    (ReadMember,                    [Yes, Yes, Yes, Yes, Hid, Who, Yes, Yes]),
    // Change it.
    (ChangeOrganization,            [Yes, Yes, No,  No,  Hid, Who, No,  Yes]),
    // Invite, change and remove members below owner.
    (InviteSomeone("viewer"),       [Yes, Yes, No,  No,  Hid, Who, No,  Yes]),
    (InviteSomeone("member"),       [Yes, Yes, No,  No,  Hid, Who, No,  Yes]),
    (InviteSomeone("admin"),        [Yes, Yes, No,  No,  Hid, Who, No,  Yes]),
    (InviteByEmail,                 [Yes, Yes, No,  No,  Hid, Who, No,  Yes]),
    (InviteWithPermissions,         [Yes, Yes, No,  No,  Hid, Who, No,  Yes]),
    (Retitle("viewer"),             [Yes, Yes, No,  No,  Hid, Who, No,  Yes]),
    (Retitle("member"),             [Yes, Yes, No,  No,  Hid, Who, No,  Yes]),
    (Retitle("admin"),              [Yes, Yes, No,  No,  Hid, Who, No,  Yes]),
    (GiveRole("viewer", "member"),  [Yes, Yes, No,  No,  Hid, Who, No,  Yes]),
    (GiveRole("viewer", "admin"),   [Yes, Yes, No,  No,  Hid, Who, No,  Yes]),
    (GiveRole("member", "viewer"),  [Yes, Yes, No,  No,  Hid, Who, No,  Yes]),
    (GiveRole("member", "admin"),   [Yes, Yes, No,  No,  Hid, Who, No,  Yes]),
    (GiveRole("admin", "member"),   [Yes, Yes, No,  No,  Hid, Who, No,  Yes]),
    (GiveRole("admin", "viewer"),   [Yes, Yes, No,  No,  Hid, Who, No,  Yes]),
    (GivePermissions("viewer"),     [Yes, Yes, No,  No,  Hid, Who, No,  Yes]),
    (GivePermissions("member"),     [Yes, Yes, No,  No,  Hid, Who, No,  Yes]),
    (GivePermissions("admin"),      [Yes, Yes, No,  No,  Hid, Who, No,  Yes]),
    (Suspend("viewer"),             [Yes, Yes, No,  No,  Hid, Who, No,  Yes]),
    (Suspend("member"),             [Yes, Yes, No,  No,  Hid, Who, No,  Yes]),
    (Suspend("admin"),              [Yes, Yes, No,  No,  Hid, Who, No,  Yes]),
    (Reactivate("member"),          [Yes, Yes, No,  No,  Hid, Who, No,  Yes]),
    (Reactivate("admin"),           [Yes, Yes, No,  No,  Hid, Who, No,  Yes]),
    (Remove("viewer"),              [Yes, Yes, No,  No,  Hid, Who, No,  Yes]),
    (Remove("member"),              [Yes, Yes, No,  No,  Hid, Who, No,  Yes]),
    (Remove("admin"),               [Yes, Yes, No,  No,  Hid, Who, No,  Yes]),
    // Its keys: members and viewers do not see them, auditors do.
    (CreateKey,                     [Yes, Yes, No,  No,  Hid, Who, No,  Yes]),
    (ReadKey,                       [Yes, Yes, Hid, Hid, Hid, Who, Yes, Yes]),
    (ChangeKey,                     [Yes, Yes, Hid, Hid, Hid, Who, No,  Yes]),
    (RevokeKey,                     [Yes, Yes, Hid, Hid, Hid, Who, No,  Yes]),
    // Read its events.
    (ReadEvent,                     [Yes, Yes, Hid, Hid, Hid, Who, Yes, Yes]),
    // Delete it.
    (DeleteOrganization,            [Yes, No,  No,  No,  Hid, Who, No,  Yes]),
    // Grant or take owner.
    (InviteSomeone("owner"),        [Yes, No,  No,  No,  Hid, Who, No,  Yes]),
    (GiveRole("viewer", "owner"),   [Yes, No,  No,  No,  Hid, Who, No,  Yes]),
    (GiveRole("member", "owner"),   [Yes, No,  No,  No,  Hid, Who, No,  Yes]),
    (GiveRole("admin", "owner"),    [Yes, No,  No,  No,  Hid, Who, No,  Yes]),
    (GiveRole("owner", "admin"),    [Yes, No,  No,  No,  Hid, Who, No,  Yes]),
    (Retitle("owner"),              [Yes, No,  No,  No,  Hid, Who, No,  Yes]),
    (GivePermissions("owner"),      [Yes, No,  No,  No,  Hid, Who, No,  Yes]),
    (Suspend("owner"),              [Yes, No,  No,  No,  Hid, Who, No,  Yes]),
    (Reactivate("owner"),           [Yes, No,  No,  No,  Hid, Who, No,  Yes]),
    (Remove("owner"),               [Yes, No,  No,  No,  Hid, Who, No,  Yes]),
];

impl Request {
    async fn by(self, caller: &Caller, cast: &Cast) -> Answer {
        let organization = format!("/v1/organizations/{}", cast.organization);
        match self {
            ReadOrganization => caller.get(&organization).await,
            ReadOrganizationBySlug => {
                let read = cast.owner.get(&organization).await.ok();
                let slug = read["slug"].as_str().unwrap();
                let path = format!("/v1/organizations/by-slug/{slug}");
                caller.get(&path).await
            }
            ReadMembership => caller.get(&cast.someone("member").await).await,
            ReadMember => {
                let path = format!("/v1/users/{}", cast.member.user_id());
                caller.get(&path).await
            }
            ChangeOrganization => {
                let change = json!({"description": Uuid::now_v7().to_string()});
                caller.patch(&organization, change).await
            }
            InviteSomeone(_) | InviteByEmail | InviteWithPermissions => {
                let invitation = self.invitation(cast).await;
                caller.post("/v1/memberships", invitation).await
            }
            CreateKey => {
                let key = json!({
                    "name": "ours", "organization_id": cast.organization, "key_type": "organization", "scopes": ["*"],
                });
                caller.post("/v1/api-keys", key).await
            }
            ReadKey => caller.get(&cast.key_of_organization().await).await,
            ChangeKey => {
                let path = cast.key_of_organization().await;
                caller.patch(&path, json!({"name": "renamed"})).await
            }
            RevokeKey => caller.delete(&cast.key_of_organization().await).await,
            ReadEvent => {
                let event = id_of(&cast.app.events_of(cast.organization).await[0]);
                caller.get(&format!("/v1/events/{event}")).await
            }
            DeleteOrganization => {
                let organization = cast.another_organization().await;
                let path = format!("/v1/organizations/{organization}");
                caller.delete(&path).await
            }
            _ => self.of_a_member(caller, cast).await,
        }
    }

    async fn invitation(self, cast: &Cast) -> Value {
        let email = format!("{}@example.com", Uuid::now_v7().simple());
        let (role, permissions) = match self {
            InviteSomeone(role) => (role, None),
            InviteByEmail => {
                return json!({"organization_id": cast.organization, "email": email});
            }
            _ => ("member", Some(json!({"events:read": true}))),
        };
        let user = cast.stranger().await;
        json!({
            "organization_id": cast.organization, "user_id": user, "role": role, "permissions": permissions,
        })
    }

    /// A change of a new member with a certain role.
    async fn of_a_member(self, caller: &Caller, cast: &Cast) -> Answer {
        let (role, change) = match self {
            Retitle(role) => (role, json!({"job_title": "Cook", "department": "Kitchen"})),
            GiveRole(role, new) => (role, json!({"role": new})),
            GivePermissions(role) => (role, json!({"permissions": {"events:read": true}})),
            Suspend(role) => (role, json!({"status": "suspended"})),
            Reactivate(role) => (role, json!({"status": "active"})),
            Remove(role) => (role, Value::Null),
            other => panic!("{other:?} is not a change of a member"),
        };
        let path = cast.someone(role).await;
        match self {
            Remove(_) => return caller.delete(&path).await,
            Reactivate(_) => {
                let suspended = json!({"status": "suspended"});
                cast.owner.patch(&path, suspended).await.ok();
            }
            _ => {}
        }
        caller.patch(&path, change).await
    }
}

impl Outcome {
    #[track_caller]
    fn is_that_of(self, answer: &Answer, what: &str) {
        let (status, slug) = match self {
            Yes => {
                assert!(
                    [200, 201, 204].contains(&answer.status),
                    "{what}: {answer:?}"
                );
                return;
            }
            No => (403, "forbidden"),
            Hid => (404, "not-found"),
            Who => (401, "unauthenticated"),
        };
        assert_eq!(answer.status, status, "{what}: {}", answer.text);
        answer.is_problem(status, slug);
    }
}

#[rstest]
#[tokio::test]
async fn every_cell_of_the_table_of_roles(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let cast = Cast::of(backend).await;
    let anonymous = cast.app.anonymous();
    let callers = [
        ("owner", &cast.owner),
        ("admin", &cast.admin),
        ("member", &cast.member),
        ("viewer", &cast.viewer),
        ("outsider", &cast.outsider),
        ("anonymous", &anonymous),
        ("auditor", &cast.auditor),
        ("system admin", &cast.app.system_admin),
    ];
    for (request, outcomes) in TABLE {
        for ((name, caller), outcome) in callers.into_iter().zip(outcomes) {
            let answer = request.by(caller, &cast).await;
            outcome.is_that_of(&answer, &format!("{request:?} by {name}"));
        }
    }
}

/// Whether the caller's lists have something of the organization: organizations, memberships, users, keys, events.
async fn lists_of(caller: &Caller, cast: &Cast) -> [bool; 5] {
    let organization = cast.organization;
    let has = async |path: String| {
        let page = caller.get(&path).await.ok();
        !ids_of(&page).is_empty()
    };
    let of_it = format!("?organization_id={organization}&limit=1");
    let organizations = caller.get("/v1/organizations?limit=200").await.ok();
    [
        ids_of(&organizations).contains(&organization),
        has(format!("/v1/memberships{of_it}")).await,
        has(format!("/v1/users{of_it}")).await,
        has(format!("/v1/api-keys{of_it}")).await,
        has(format!("/v1/events{of_it}")).await,
    ]
}

#[rstest]
#[tokio::test]
async fn lists_have_what_may_be_read(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let cast = Cast::of(backend).await;
    cast.key_of_organization().await;
    for (name, caller, lists) in [
        ("owner", &cast.owner, [true; 5]),
        ("admin", &cast.admin, [true; 5]),
        ("member", &cast.member, [true, true, true, false, false]),
        ("viewer", &cast.viewer, [true, true, true, false, false]),
        ("outsider", &cast.outsider, [false; 5]),
        ("auditor", &cast.auditor, [true; 5]),
        ("system admin", &cast.app.system_admin, [true; 5]),
    ] {
        assert_eq!(lists_of(caller, &cast).await, lists, "{name}");
    }
    for list in collections() {
        let answer = cast.app.anonymous().get(&format!("/v1/{list}")).await;
        answer.is_problem(401, "unauthenticated");
        assert!(answer.header("www-authenticate").is_some());
    }
}

#[rstest]
#[tokio::test]
async fn users_are_made_and_changed_by_themselves_and_system_admins(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let cast = Cast::of(backend).await;
    let new = json!({"email": "new@example.com"});
    for caller in [&cast.owner, &cast.admin, &cast.outsider, &cast.auditor] {
        let answer = caller.post("/v1/users", new.clone()).await;
        answer.is_problem(403, "forbidden");
    }
    let path = format!("/v1/users/{}", cast.member.user_id());
    let change = json!({"bio": "changed by another"});
    for (caller, status, slug) in [
        (&cast.owner, 403, "forbidden"),
        (&cast.admin, 403, "forbidden"),
        (&cast.viewer, 403, "forbidden"),
        (&cast.auditor, 403, "forbidden"),
        (&cast.outsider, 404, "not-found"),
        (&cast.app.anonymous(), 401, "unauthenticated"),
    ] {
        let answer = caller.patch(&path, change.clone()).await;
        answer.is_problem(status, slug);
        caller.delete(&path).await.is_problem(status, slug);
    }
    for caller in [&cast.member, &cast.app.system_admin] {
        let change = json!({"bio": Uuid::now_v7().to_string()});
        caller.patch(&path, change).await.ok();
    }
}
