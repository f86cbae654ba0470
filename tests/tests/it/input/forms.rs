//! Forms that others have laid down: what is taken, how it is kept, and what is refused.

use rstest::rstest;
use serde_json::{Value, json};
use tests::database::execute;
use tests::{Backend, TestApp, id_of, run, told};

/// A value, and how it is kept; none where it is refused.
type Case<'a> = (&'a str, Option<&'a str>);

const URLS: &[Case] = &[
    ("https://example.com", Some("https://example.com")),
    ("HTTP://X.com", Some("HTTP://X.com")),
    (
        "https://x.com:8443/a/b;c=1,2?d=%C3%A9&e=/?#f?/",
        Some("https://x.com:8443/a/b;c=1,2?d=%C3%A9&e=/?#f?/"),
    ),
    ("http://192.0.2.1:80", Some("http://192.0.2.1:80")),
    ("http://[::1]:80/", Some("http://[::1]:80/")),
    (
        "http://[2001:db8::192.0.2.1]",
        Some("http://[2001:db8::192.0.2.1]"),
    ),
    ("http://localhost:3000/", Some("http://localhost:3000/")),
    ("http://ada@x.com/", Some("http://ada@x.com/")),
    ("http://[::1", None),
    ("http://::1]/", None),
    ("http://[]/", None),
    ("http://[1::2::3]/", None),
    ("http://[12345::]/", None),
    ("http://300.1.2.3/", None),
    ("http://1.2.3.4.5/", None),
    ("http://x.com:65536/", None),
    ("http://x.com:port/", None),
    ("http://:80/", None),
    ("http:///x", None),
    ("http:/x.com", None),
    ("http:x.com/aaaa", None),
    (r"http:\\x.com", None),
    ("http://x..com/", None),
    ("http://-x.com/", None),
    ("http://x.com/%zz", None),
    ("http://x.com/%", None),
    ("http://x.com/a|b", None),
    ("http://x.com/<a>", None),
    ("http://x.com/?a[]=1", None),
    ("http://x.com/#a#b", None),
    ("http://x.com/a b", None),
    ("http://xn--a/", None),
    ("ftp://x.com/", None),
    ("javascript://x.com/%0aalert(1)", None),
];

const ZONES: &[Case] = &[
    ("UTC", Some("UTC")),
    ("Europe/Berlin", Some("Europe/Berlin")),
    ("europe/berlin", Some("Europe/Berlin")),
    (
        "America/Argentina/Buenos_Aires",
        Some("America/Argentina/Buenos_Aires"),
    ),
    ("Asia/Calcutta", Some("Asia/Calcutta")),
    ("Etc/GMT-14", Some("Etc/GMT-14")),
    ("Factory", None),
    ("factory", None),
    ("Mars/Phobos", None),
    ("Europe", None),
    ("Europe/", None),
    ("posixrules", None),
    ("localtime", None),
    ("Etc/Unknown", None),
    ("UTC+2", None),
    ("../etc/passwd", None),
];

const LANGUAGES: &[Case] = &[
    ("en", Some("en")),
    ("EN", Some("en")),
    ("pt-br", Some("pt-BR")),
    ("zh-Hans", Some("zh-Hans")),
    ("ZH-HANS-cn", Some("zh-Hans-CN")),
    ("es-419", Some("es-419")),
    ("zh-yue", Some("zh-yue")),
    ("de-1996", Some("de-1996")),
    ("sl-rozaj", Some("sl-rozaj")),
    ("x-Ours", Some("x-ours")),
    ("en-x-ours", Some("en-x-ours")),
    ("en_US", None),
    ("english", None),
    ("e", None),
    ("en-", None),
    ("-en", None),
    ("en--US", None),
    ("en-US-GB", None),
    ("en-u", None),
    ("12", None),
    ("zh-Hans-CN-x", None),
];

const EMAILS: &[Case] = &[
    ("ada@example.com", Some("ada@example.com")),
    (
        "Ada.Lovelace+Test@Example.COM",
        Some("ada.lovelace+test@example.com"),
    ),
    ("o'neil=1/2@x-y.example", Some("o'neil=1/2@x-y.example")),
    ("a@1.example", Some("a@1.example")),
    ("ada@invalid.example", Some("ada@invalid.example")),
    ("ada@x.notinvalid", Some("ada@x.notinvalid")),
    ("foo..bar@x.com", None),
    (".foo@x.com", None),
    ("foo.@x.com", None),
    ("foo@-x.com", None),
    ("foo@x-.com", None),
    ("foo@x..com", None),
    ("foo@x.com.", None),
    ("foo@x", None),
    ("foo@[192.0.2.1]", None),
    ("\"foo bar\"@x.com", None),
    ("Foo <foo@x.com>", None),
    ("foo@bar@x.com", None),
    ("f\u{f6}o@x.com", None),
    ("x@invalid", None),
    ("x@y.invalid", None),
    ("x@y.InVaLiD", None),
    ("x@y.invalid.", None),
];

#[rstest]
#[tokio::test]
async fn what_is_of_the_form_is_kept_and_what_is_not_is_named(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let ada = app.outsider().await;
    let user = format!("/v1/users/{}", ada.user_id());
    let organization = format!("/v1/organizations/{}", app.first_organization);
    // Local parts have 64 characters at most, addresses 254.
    let local = "l".repeat(64);
    let of_64 = format!("{local}@example.com");
    let of_65 = format!("l{of_64}");
    let labels = "d".repeat(60);
    let of_254 = format!("{local}@{labels}.{labels}.{labels}.exampl");
    let of_255 = format!("{of_254}e");
    let lengths = [
        (of_64.as_str(), Some(of_64.as_str())),
        (&of_65, None),
        (&of_254, Some(&of_254)),
        (&of_255, None),
    ];
    assert_eq!(of_254.len(), 254);
    for (path, field, code, cases) in [
        (&user, "email", "invalid-email", EMAILS),
        (&user, "email", "invalid-email", &lengths),
        (&organization, "email", "invalid-email", EMAILS),
        (&organization, "email", "invalid-email", &lengths),
        (&user, "avatar_url", "invalid-url", URLS),
        (&organization, "website", "invalid-url", URLS),
        (&user, "timezone", "invalid-timezone", ZONES),
        (&user, "language", "invalid-language", LANGUAGES),
    ] {
        for (value, kept) in cases {
            let answer = app.system_admin.patch(path, json!({field: value})).await;
            match kept {
                Some(kept) => assert_eq!(answer.ok()[field], *kept, "{field} {value}"),
                None => {
                    let problem = answer.is_problem(422, "invalid");
                    let error = &problem["errors"][0];
                    assert_eq!(error["pointer"], format!("/{field}"), "{value}");
                    let told = error["code"].as_str().unwrap();
                    assert!([code, "too-long"].contains(&told), "{value}: {problem}");
                }
            }
        }
    }
}

#[rstest]
#[tokio::test]
async fn what_ends_in_invalid_is_an_address_nowhere(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let admin = &app.system_admin;
    let ada = app.outsider().await;
    let own = format!("/v1/users/{}", ada.user_id());
    for address in [
        format!("{}@deleted.invalid", admin.user_id()),
        "x@y.INVALID".to_owned(),
    ] {
        let email = json!({"email": address});
        let invitation = json!({"organization_id": app.first_organization, "email": address});
        let organization = json!({"name": "New", "slug": "new", "email": address});
        for (path, body) in [
            ("/v1/users", &email),
            ("/v1/memberships", &invitation),
            ("/v1/organizations", &organization),
        ] {
            let answer = admin.post(path, body.clone()).await;
            let problem = answer.is_problem(422, "invalid");
            assert_eq!(problem["errors"][0]["code"], "invalid-email", "{path}");
        }
        let answer = ada.patch(&own, email).await;
        answer.is_problem(422, "invalid");
        let user = format!("--user={address}");
        for arguments in [
            vec!["bootstrap", "--email", &address],
            vec!["keys", "create", &user],
        ] {
            let (code, text, error) = told(&run(&app.database.url(), &arguments, ""));
            assert_eq!(code, 2, "{arguments:?}: {text} {error}");
        }
    }
}

#[rstest]
#[tokio::test]
async fn a_tombstones_address_that_was_taken_in_former_times_stops_no_deletion(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let (ada, eve) = (app.outsider().await, app.outsider().await);
    let taken = format!("{}@deleted.invalid", ada.user_id());
    let sql = format!(
        "UPDATE users SET email = '{taken}' WHERE id = {}",
        backend.id(eve.user_id())
    );
    execute(&app.database.connect().await, &sql).await.unwrap();
    let path = format!("/v1/users/{}", ada.user_id());
    app.system_admin.delete(&path).await.expect(204);
    let page = app.system_admin.get("/v1/users?status=deleted").await.ok();
    assert_eq!(id_of(&page["data"][0]), ada.user_id());
    let address = page["data"][0]["email"].as_str().unwrap();
    let id = ada.user_id().to_string();
    assert!(address.starts_with(&id) && address.ends_with(".deleted.invalid"));
    // The other one can go as well.
    let path = format!("/v1/users/{}", eve.user_id());
    app.system_admin.delete(&path).await.expect(204);
}

#[rstest]
#[tokio::test]
async fn a_line_is_one_line_with_something_to_see(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let admin = &app.system_admin;
    for text in [
        "\u{200b}",
        "\u{feff}",
        "\u{202e}",
        "\u{2060}\u{ad}",
        " \u{200d} ",
        "\u{3164}",
        "\u{2800}",
        "\u{fe0f}",
        "\u{e0001}",
        "Ada\u{2028}Byron",
        "Ada\u{2029}",
        "Ada\u{85}Byron",
        "\u{202e}Ada",
        "Ada\u{2066}Byron\u{2069}",
    ] {
        let organization = |field: &str| {
            let mut body = json!({"name": "New", "slug": "new"});
            body[field] = text.into();
            ("/v1/organizations", body)
        };
        let user = json!({"email": "x@example.com", "first_name": text});
        let membership = json!({"organization_id": app.first_organization,
            "email": "x@example.com", "job_title": text});
        let key = json!({"name": text, "scopes": ["*"]});
        for (path, body) in [
            organization("name"),
            organization("city"),
            organization("address_line1"),
            organization("phone"),
            organization("postal_code"),
            ("/v1/users", user),
            ("/v1/memberships", membership),
            ("/v1/api-keys", key),
        ] {
            let answer = admin.post(path, body.clone()).await;
            let problem = answer.is_problem(422, "invalid");
            assert_eq!(problem["errors"][0]["code"], "invalid-text", "{body}");
        }
    }
    let organization = format!("/v1/organizations/{}", app.first_organization);
    for text in [
        // A family and the flag of England; Persian with a non-joiner; Hebrew with a mark.
        "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
        "\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
        "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}",
        "\u{5d0}\u{5d3}\u{5d4}\u{200f} (Ada)",
        "\u{2764}\u{fe0f}",
    ] {
        let answer = admin.patch(&organization, json!({"name": text})).await;
        let kept: Value = answer.ok()["name"].clone();
        assert_eq!(kept, text);
    }
}
