//! Callers as values: a test says who asks.

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;
use uuid::Uuid;

/// Someone who calls the API.
#[derive(Clone)]
pub struct Caller {
    client: reqwest::Client,
    url: String,
    key: Option<String>,
    user_id: Option<Uuid>,
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    request: String,
}

impl Caller {
    pub fn new(
        client: reqwest::Client,
        url: &str,
        key: Option<&str>,
        user_id: Option<Uuid>,
    ) -> Self {
        Self {
            client,
            url: url.to_owned(),
            key: key.map(str::to_owned),
            user_id,
        }
    }

    /// The user's id.
    pub fn user_id(&self) -> Uuid {
        self.user_id.expect("a caller with a known user")
    }

    /// The user's id, where it is known.
    pub fn known_user_id(&self) -> Option<Uuid> {
        self.user_id
    }

    /// The same caller, of whom it is known who it is.
    pub fn of(mut self, user_id: Uuid) -> Self {
        self.user_id = Some(user_id);
        self
    }

    /// The text of the key.
    pub fn key(&self) -> &str {
        self.key.as_deref().expect("a caller with a key")
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None, &[]).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(body), &[]).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PATCH, path, Some(body), &[]).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None, &[]).await
    }

    /// Any request, with headers of its own.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(&body);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::read(request).await
    }

    /// A request to be completed by the test; send it with [`Answer::read`].
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url));
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }
}

impl Answer {
    /// The answer to a request that was sent otherwise; `request` is how it is shown.
    pub(crate) fn new(request: String, status: u16, headers: HeaderMap, text: String) -> Self {
        Self {
            status,
            headers,
            text,
            request,
        }
    }

    /// Sends the request and reads the answer to its end.
    pub async fn read(request: reqwest::RequestBuilder) -> Self {
        Self::try_read(request)
            .await
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// Sends the request and reads the answer to its end, if there is one.
    pub async fn try_read(request: reqwest::RequestBuilder) -> reqwest::Result<Self> {
        let (client, request) = request.build_split();
        let request = request.expect("a request that can be sent");
        let shown = format!("{} {}", request.method(), request.url());
        let response = client.execute(request).await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        Ok(Self::new(shown, status, headers, text))
    }

    /// An answer as it came over the wire, to a request that no client would send.
    pub fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let header = |line: &str| {
            let (name, value) = line.split_once(':').expect("a header");
            let name: reqwest::header::HeaderName = name.parse().expect("a header's name");
            (name, value.trim().parse().expect("a header's value"))
        };
        Self {
            status: status
                .and_then(|status| status.parse().ok())
                .expect("a status"),
            headers: lines.map(header).collect(),
            text: body.to_owned(),
            request: "a request by hand".to_owned(),
        }
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{self:?}: {error}"))
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body of an answer with this status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> &Self {
        assert_eq!(
            self.status, status,
            "{} answered {}: {}",
            self.request, self.status, self.text
        );
        self
    }

    #[track_caller]
    pub fn ok(&self) -> Value {
        self.expect(200).json()
    }

    #[track_caller]
    pub fn created(&self) -> Value {
        self.expect(201).json()
    }

    /// That it is the problem with this slug, in the right form.
    #[track_caller]
    pub fn is_problem(&self, status: u16, slug: &str) -> Value {
        self.expect(status);
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        let problem = self.json();
        assert_eq!(problem["type"], format!("/problems/{slug}"), "{self:?}");
        assert_eq!(problem["status"], status, "{self:?}");
        assert_eq!(
            problem["instance"].as_str(),
            self.header("x-request-id"),
            "{self:?}"
        );
        problem
    }
}
