//! What can happen on a walk.

use reqwest::Method;
use serde_json::{Value, json};
use tests::database::execute;
use tests::stage::{Stage, email};
use tests::{Answer, Caller, id_of, unique};
use uuid::Uuid;

/// What happens, by whom, to which, and how: each taken modulo what there is.
pub type Step = (usize, usize, usize, usize);

/// A walk under way, and all that it has made.
pub struct Walk {
    pub stage: Stage,
    /// What no event and no answer may show.
    pub secrets: Vec<String>,
    /// All that was answered, but for new keys' texts.
    pub answers: String,
    callers: Vec<Caller>,
    organizations: Vec<Uuid>,
    users: Vec<Uuid>,
    memberships: Vec<Uuid>,
    api_keys: Vec<Uuid>,
}

/// One of them, whichever the number means.
fn pick<T>(list: &[T], number: usize) -> &T {
    &list[number % list.len()]
}

impl Walk {
    /// The system admin, who stays, and two people with an organization each.
    pub async fn begin(stage: Stage) -> Self {
        let callers = vec![
            stage.app.system_admin.clone(),
            stage.owner.clone(),
            stage.outsider.clone(),
        ];
        let second = stage.app.organization(&stage.outsider).await;
        let memberships = stage.app.system_admin.get("/v1/memberships").await.ok();
        let memberships = memberships["data"].as_array().expect("a page");
        let mut walk = Self {
            secrets: callers.iter().map(|it| it.key().to_owned()).collect(),
            answers: String::new(),
            organizations: vec![stage.organization, second],
            users: vec![stage.owner.user_id(), stage.outsider.user_id()],
            memberships: memberships.iter().map(id_of).collect(),
            api_keys: Vec::new(),
            callers,
            stage,
        };
        // Something of everything, whatever comes.
        for action in [0, 1, 2, 3] {
            walk.take((action, 0, 0, 0)).await;
        }
        walk
    }

    /// Takes one step.
    pub async fn take(&mut self, (action, who, which, how): Step) {
        let caller = pick(&self.callers, who).clone();
        match action % 24 {
            0 => self.creates_an_organization(&caller).await,
            1 => self.creates_a_user(how).await,
            2 => self.invites(&caller, which, how).await,
            3 => self.makes_a_key(&caller, which, how).await,
            4..=6 => self.edits_an_organization(&caller, which, how).await,
            7..=9 => self.edits_a_user(&caller, which, how).await,
            10..=13 => self.edits_a_membership(&caller, which, how).await,
            14 | 15 => self.edits_a_key(&caller, which, how).await,
            16 | 17 => self.accepts(which).await,
            18 | 19 => self.removes_something(&caller, which, how).await,
            _ => self.writes_past_the_api(which, how).await,
        }
    }

    /// Sends it, and takes note of the answer. The admin goes where others may not, so that most of it succeeds.
    async fn send(
        &mut self,
        caller: &Caller,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let first = caller.send(method.clone(), path, body.clone(), &[]).await;
        let answer = match first.status {
            401 | 403 | 404 => {
                self.note(&first);
                let admin = &self.stage.app.system_admin;
                admin.send(method, path, body, &[]).await
            }
            _ => first,
        };
        self.note(&answer);
        answer
    }

    fn note(&mut self, answer: &Answer) {
        assert!(answer.status < 500, "{answer:?}");
        if answer.status >= 400 {
            let problem = answer.json();
            let slug = problem["type"].as_str().unwrap_or_default();
            answer.is_problem(answer.status, slug.trim_start_matches("/problems/"));
        }
        let mut text = answer.text.clone();
        if let Ok(Value::Object(mut body)) = serde_json::from_str(&text)
            && let Some(key) = body.remove("key")
        {
            assert_eq!(answer.status, 201, "a key is shown once: {answer:?}");
            self.secrets.extend(key.as_str().map(str::to_owned));
            text = Value::Object(body).to_string();
        }
        self.answers.push_str(&text);
    }

    async fn creates_an_organization(&mut self, caller: &Caller) {
        let body = json!({"name": "New", "slug": unique(), "metadata": {"a": [1, 2.5, null, {"b": "\u{e9}"}]}});
        let answer = self
            .send(caller, Method::POST, "/v1/organizations", Some(body))
            .await;
        if answer.status == 201 {
            let id = id_of(&answer.json());
            self.organizations.push(id);
            let path = format!("/v1/memberships?organization_id={id}");
            let page = self.stage.app.system_admin.get(&path).await.ok();
            self.memberships.push(id_of(&page["data"][0]));
        }
    }

    async fn creates_a_user(&mut self, how: usize) {
        let mut body =
            json!({"email": email(), "first_name": "Ada", "preferences": {"dark": true}});
        // Hashing takes its time, on purpose.
        if how.is_multiple_of(3) {
            let password = format!("secret {}", unique());
            body["password"] = json!(password);
            self.secrets.push(password);
        }
        let admin = self.stage.app.system_admin.clone();
        let answer = self
            .send(&admin, Method::POST, "/v1/users", Some(body))
            .await;
        let id = id_of(&answer.created());
        self.users.push(id);
        let key = json!({"user_id": id, "name": "theirs", "scopes": ["*"]});
        let answer = self
            .send(&admin, Method::POST, "/v1/api-keys", Some(key))
            .await;
        self.note_key(&answer, Some(id));
    }

    fn note_key(&mut self, answer: &Answer, user_id: Option<Uuid>) {
        if answer.status != 201 {
            return;
        }
        let key = answer.json();
        self.api_keys.push(id_of(&key));
        let text = key["key"].as_str().expect("the key's text");
        let mut caller = self.stage.app.with_key(text);
        if let Some(user_id) = user_id {
            caller = caller.of(user_id);
        }
        self.callers.push(caller);
    }

    async fn invites(&mut self, caller: &Caller, which: usize, how: usize) {
        let mut body = json!({
            "organization_id": pick(&self.organizations, which),
            "role": pick(&["owner", "admin", "member", "viewer"], how),
        });
        if how.is_multiple_of(5) {
            body["email"] = json!(email());
        } else {
            body["user_id"] = json!(pick(&self.users, how));
        }
        let answer = self
            .send(caller, Method::POST, "/v1/memberships", Some(body))
            .await;
        if answer.status == 201 {
            let id = id_of(&answer.json());
            self.memberships.push(id);
        }
    }

    async fn makes_a_key(&mut self, caller: &Caller, which: usize, how: usize) {
        let scopes = pick(&["*", "organizations:write", "memberships:write"], how);
        let mut body = json!({"name": "a key", "scopes": [scopes]});
        if how.is_multiple_of(2) {
            body["organization_id"] = json!(pick(&self.organizations, which));
        }
        let answer = self
            .send(caller, Method::POST, "/v1/api-keys", Some(body))
            .await;
        self.note_key(&answer, None);
    }

    async fn edits_an_organization(&mut self, caller: &Caller, which: usize, how: usize) {
        let path = format!("/v1/organizations/{}", pick(&self.organizations, which));
        let body = match how % 6 {
            0 => json!({"status": "suspended"}),
            1 => json!({"status": "active"}),
            2 => json!({"settings": {"a": how, "b": null}}),
            3 => json!({"subscription_expires_at": "2040-01-31T12:00:00.25+05:30"}),
            4 => json!({"description": "\u{1f600} \"quoted\"\n", "city": null}),
            _ => json!({"city": "Z\u{fc}rich", "slug": unique()}),
        };
        self.send(caller, Method::PATCH, &path, Some(body)).await;
    }

    async fn edits_a_user(&mut self, caller: &Caller, which: usize, how: usize) {
        let path = format!("/v1/users/{}", pick(&self.users, which));
        let body = match how % 8 {
            0 => json!({"status": "suspended"}),
            1 | 2 => json!({"status": "active"}),
            3 => json!({"email": email()}),
            4 => json!({"role": pick(&["user", "auditor"], which)}),
            5 => {
                let password = format!("secret {}", unique());
                self.secrets.push(password.clone());
                json!({"password": password})
            }
            6 => json!({"preferences": {"a": {"b": how}}, "username": unique()}),
            _ => json!({"bio": "a\tb", "last_name": null, "timezone": "Europe/London"}),
        };
        self.send(caller, Method::PATCH, &path, Some(body)).await;
    }

    async fn edits_a_membership(&mut self, caller: &Caller, which: usize, how: usize) {
        let path = format!("/v1/memberships/{}", pick(&self.memberships, which));
        let body = match how % 7 {
            0 => json!({"status": "suspended"}),
            1 => json!({"status": "active"}),
            2 => json!({"role": "owner"}),
            3 => json!({"role": pick(&["admin", "member", "viewer"], which)}),
            4 => json!({"permissions": {"events:read": true, "users:read": null}}),
            5 => json!({"metadata": {"n": how}, "job_title": "Engineer"}),
            _ => json!({"department": null, "role": "admin", "status": "suspended"}),
        };
        self.send(caller, Method::PATCH, &path, Some(body)).await;
    }

    async fn edits_a_key(&mut self, caller: &Caller, which: usize, how: usize) {
        let path = format!("/v1/api-keys/{}", pick(&self.api_keys, which));
        let body = match how % 4 {
            0 => json!({"status": "inactive"}),
            1 => json!({"status": "active"}),
            2 => json!({"scopes": ["users:read", "events:read"], "description": "less"}),
            _ => json!({"expires_at": "2041-01-31T12:00:00Z", "name": "until then"}),
        };
        self.send(caller, Method::PATCH, &path, Some(body)).await;
    }

    /// An invited person comes and accepts.
    async fn accepts(&mut self, which: usize) {
        let path = format!("/v1/memberships/{}", pick(&self.memberships, which));
        let answer = self.stage.app.system_admin.get(&path).await;
        self.note(&answer);
        if answer.status != 200 {
            return;
        }
        let membership = answer.json();
        let own = |caller: &&Caller| {
            let id = caller.known_user_id();
            id.is_some_and(|id| membership["user_id"] == json!(id))
        };
        if let Some(person) = self.callers.iter().find(own).cloned() {
            let body = json!({"status": "active"});
            self.send(&person, Method::PATCH, &path, Some(body)).await;
        }
    }

    async fn removes_something(&mut self, caller: &Caller, which: usize, how: usize) {
        let path = match how % 8 {
            0 => format!("/v1/organizations/{}", pick(&self.organizations, which)),
            1 => format!("/v1/users/{}", pick(&self.users, which)),
            2..=4 => format!("/v1/memberships/{}", pick(&self.memberships, which)),
            _ => format!("/v1/api-keys/{}", pick(&self.api_keys, which)),
        };
        self.send(caller, Method::DELETE, &path, None).await;
    }

    /// Another program changes something that is still there; never who owns what, which is the API's to watch over.
    async fn writes_past_the_api(&mut self, which: usize, how: usize) {
        let secret = format!("token {}", unique());
        let (table, id, change) = match how % 8 {
            0 => (
                "organizations",
                pick(&self.organizations, which),
                "city = 'Oslo', version = version".to_owned(),
            ),
            1 => (
                "organizations",
                pick(&self.organizations, which),
                "settings = '{\"by\": \"hand\", \"n\": [1, 2.5, true]}'".to_owned(),
            ),
            2 => (
                "users",
                pick(&self.users, which),
                format!("mfa_secret = '{secret}', mfa_enabled = TRUE"),
            ),
            3 => (
                "users",
                pick(&self.users, which),
                "failed_login_attempts = failed_login_attempts + 1".to_owned(),
            ),
            4 => (
                "users",
                pick(&self.users, which),
                "email_verified_at = '2026-11-21T10:00:00.123456+00:00', email_verified = TRUE"
                    .to_owned(),
            ),
            5 => (
                "memberships",
                pick(&self.memberships, which),
                format!("invitation_token = '{secret}', version = version + 1"),
            ),
            6 => (
                "api_keys",
                pick(&self.api_keys, which),
                "usage_limit = 10, usage_count = usage_count + 1".to_owned(),
            ),
            _ => (
                "api_keys",
                pick(&self.api_keys, which),
                "permissions = '{\"by\": \"hand\"}'".to_owned(),
            ),
        };
        self.secrets.push(secret);
        let id = self.stage.app.database.backend().id(*id);
        let sql = format!(
            "UPDATE {table} SET {change} WHERE id = {id} AND CAST(status AS text) <> 'deleted'"
        );
        execute(&self.stage.connection, &sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}
