//! Parsed text: types that cannot hold what the database or the contract would refuse.
//!
//! A pattern is written once, and is both the check and what the OpenAPI document says. They keep to what the regular
//! expressions of Rust, ECMA-262 and Python have in common.

use std::net::IpAddr;
use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use regex::Regex;
use secrecy::SecretString;
use serde::{Serialize, Serializer};
use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type};

use crate::values::characters;
use crate::values::clock;
use crate::values::column::{ColumnType, plain};
use crate::values::forms;
use crate::values::input::{Fault, Field};

/// Any text without control characters, but for tabs and line breaks.
const PARAGRAPHS: &str = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$";

fn string_schema(
    pattern: &str,
    format: Option<&str>,
    (minimum, maximum): (usize, usize),
    example: &str,
) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::String))
        .format(format.map(|name| SchemaFormat::Custom(name.to_owned())))
        .pattern(Some(pattern))
        .min_length(Some(minimum))
        .max_length(Some(maximum))
        .examples([example])
        .into()
}

fn text_of(value: &Value) -> Result<&str, Fault> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(Fault::wrong_type("a string", other)),
    }
}

/// The text as it is kept, if it has the wanted number of characters (Unicode scalar values) and the wanted form.
/// `normal` has nothing for a text of which the pattern could not say what is wrong.
fn checked(
    value: &Value,
    pattern: &Regex,
    maximum: usize,
    normal: fn(&str) -> Option<String>,
    (code, wanted): (&'static str, &str),
) -> Result<String, Fault> {
    let text = text_of(value)?;
    let length = text.chars().count();
    if length > maximum {
        return Err(Fault::new(
            "too-long",
            format!("Must have at most {maximum} characters, not {length}."),
        ));
    }
    let kept = pattern.is_match(text).then(|| normal(text)).flatten();
    kept.ok_or_else(|| Fault::new(code, wanted))
}

macro_rules! text_types {
    ($($(#[doc = $doc:literal])* $name:ident($pattern:expr, $minimum:literal..=$maximum:literal, $code:literal, $wanted:literal, $example:literal, $normal:expr $(, $format:literal)?);)*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(String);

        impl From<$name> for String {
            fn from(text: $name) -> Self { text.0 }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str { &self.0 }
        }

        impl Field for $name {
            fn present(value: &Value) -> Result<Self, Fault> {
                // The pattern is a constant, and a test below builds each.
                static PATTERN: LazyLock<Regex> = LazyLock::new(|| Regex::new($pattern).expect("a constant pattern"));
                checked(value, &PATTERN, $maximum, $normal, ($code, $wanted)).map(Self)
            }

            fn schema() -> RefOr<Schema> {
                let format = [$($format)?].first().copied();
                string_schema($pattern, format, ($minimum, $maximum), $example)
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> RefOr<Schema> { <Self as Field>::schema() }
        }

        impl utoipa::ToSchema for $name {}

        impl ColumnType for $name {
            type Stored = String;
            type Shown = String;

            fn store(self) -> String { self.0 }

            fn show(stored: &mut String) -> String { std::mem::take(stored) }

            fn shown_schema(description: &str) -> RefOr<Schema> { plain(Type::String, None, description) }
        }
    )*

        #[cfg(test)]
        mod tests {
            use super::*;

            /// The example of each type is valid, and a control character never is.
            #[test]
            fn examples_are_taken_and_control_characters_refused() {
                $(
                    assert!($name::present(&Value::from($example)).is_ok(), stringify!($name));
                    assert!($name::present(&Value::from(concat!($example, "\0"))).is_err(), stringify!($name));
                    assert!($name::present(&Value::Null).is_err(), stringify!($name));
                    assert!($name::present(&Value::from("x".repeat($maximum + 1))).is_err(), stringify!($name));
                )*
            }
        }
    };
}

fn trimmed(text: &str) -> Option<String> {
    characters::is_seen(text).then(|| text.trim().to_owned())
}

fn lowered(text: &str) -> Option<String> {
    Some(text.to_ascii_lowercase())
}

fn same(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// What the document says of an address; the parser of the standard library is the check, and takes no less.
const ADDRESS: &str = concat!(
    r"^((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(\.(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])){3}",
    r"|([0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}",
    r"|([0-9A-Fa-f]{1,4}:){1,7}:",
    r"|([0-9A-Fa-f]{1,4}:){1,6}(:[0-9A-Fa-f]{1,4})",
    r"|([0-9A-Fa-f]{1,4}:){1,5}(:[0-9A-Fa-f]{1,4}){1,2}",
    r"|([0-9A-Fa-f]{1,4}:){1,4}(:[0-9A-Fa-f]{1,4}){1,3}",
    r"|([0-9A-Fa-f]{1,4}:){1,3}(:[0-9A-Fa-f]{1,4}){1,4}",
    r"|([0-9A-Fa-f]{1,4}:){1,2}(:[0-9A-Fa-f]{1,4}){1,5}",
    r"|[0-9A-Fa-f]{1,4}:((:[0-9A-Fa-f]{1,4}){1,6})",
    r"|:((:[0-9A-Fa-f]{1,4}){1,7}|:)",
    r"|::[Ff]{4}:(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(\.(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])){3})$",
);

text_types! {
    /// A name to show; blanks around it are cut off.
    Name(&characters::LINE, 1..=255, "invalid-text", "Must be one line with something to see in it, without control characters and direction overrides.", "Example Ltd", trimmed);
    /// One line of at most 255 characters.
    Line255(&characters::LINE, 1..=255, "invalid-text", "Must be one line with something to see in it, without control characters and direction overrides.", "1 Example Street", trimmed);
    /// One line of at most 100 characters.
    Line100(&characters::LINE, 1..=100, "invalid-text", "Must be one line with something to see in it, without control characters and direction overrides.", "Springfield", trimmed);
    /// One line of at most 50 characters.
    Line50(&characters::LINE, 1..=50, "invalid-text", "Must be one line with something to see in it, without control characters and direction overrides.", "+44 20 7946 0000", trimmed);
    /// One line of at most 20 characters.
    Line20(&characters::LINE, 1..=20, "invalid-text", "Must be one line with something to see in it, without control characters and direction overrides.", "N1 9GU", trimmed);
    /// Text of several lines.
    Paragraphs(PARAGRAPHS, 0..=10000, "invalid-text", "Must be text without control characters other than tabs and line breaks.", "We make examples.", same);
    /// What stands for an organization in a URL.
    Slug(r"^[a-z0-9-]+$", 1..=100, "invalid-slug", "Must be lower-case letters, digits and hyphens.", "example-ltd", same);
    /// An e-mail address (RFC 5321, without quoted local parts and address literals); kept in lower case.
    Email(forms::EMAIL, 3..=254, "invalid-email", "Must be an e-mail address such as name@example.com, with at most 64 characters before the @, and not below .invalid.", "ada@example.com", forms::email, "email");
    /// A domain name; kept in lower case.
    Domain(forms::DOMAIN, 3..=253, "invalid-domain", "Must be a domain name such as example.com.", "example.com", lowered);
    /// The address of a page (RFC 3986): http or https.
    Url(forms::URL, 8..=500, "invalid-url", "Must be an address that starts with http:// or https:// and goes on with a host; what RFC 3986 has no place for is percent-encoded.", "https://example.com/", forms::url, "uri");
    /// A person's short name, unique, in lower case.
    Username(r"^[a-z0-9][a-z0-9._-]*$", 1..=100, "invalid-username", "Must start with a lower-case letter or a digit and go on with those, dots, underscores and hyphens.", "ada", same);
    /// A time zone's name in the tz database (IANA); kept as that writes it.
    TimeZone(forms::TIME_ZONE, 1..=50, "invalid-timezone", "Must be the name of a time zone in the tz database, such as Europe/London or UTC.", "Europe/London", forms::time_zone);
    /// A language tag (BCP 47); kept in the case that RFC 5646 recommends.
    Language(forms::LANGUAGE, 2..=10, "invalid-language", "Must be a language tag (BCP 47) such as en, pt-BR or zh-Hans.", "en", forms::language);
    /// The name of a kind of aggregate.
    AggregateType(r"^[a-z][a-z_]*$", 1..=100, "invalid-text", "Must be a name such as user.", "user", same);
    /// An event's type, or a family of types.
    EventType(r"^[A-Z][A-Z_]*\.([A-Z_]+|\*)$", 3..=255, "invalid-event-type", "Must be a type such as USER.CREATED, or a family such as USER.*.", "USER.*", same);
    /// An id that the sender of a request gave it.
    Identifier(r"^[\x21-\x7e]+$", 1..=128, "invalid-text", "Must be visible ASCII characters.", "01890a5d-ac96-774b-bcce-b302099a8057", same);
    /// What an event touches: kind and id.
    Tag(r"^[a-z][a-z_]*:[\x21-\x7e]+$", 3..=255, "invalid-tag", "Must be kind:id, such as user:01890a5d-ac96-774b-bcce-b302099a8057.", "user:01890a5d-ac96-774b-bcce-b302099a8057", same);
    /// Text to search for.
    SearchText(&characters::LINE, 1..=200, "invalid-text", "Must be one line with something to see in it, without control characters and direction overrides.", "example", trimmed);
}

impl Slug {
    /// A slug that resembles the name: its ASCII letters and digits in lower case, hyphens for the rest.
    pub fn from_name(name: &str) -> Self {
        let words = name
            .split(|letter: char| !letter.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty());
        let mut slug = words
            .map(str::to_ascii_lowercase)
            .collect::<Vec<_>>()
            .join("-");
        slug.truncate(100);
        if slug.is_empty() {
            slug.push_str("organization");
        }
        Self(slug)
    }
}

/// A password to be: 12 to 1,024 characters, any but control characters. Never shown, not even by `Debug`.
#[derive(Clone, Debug)]
pub struct Password(pub SecretString);

impl Field for Password {
    fn present(value: &Value) -> Result<Self, Fault> {
        let text = text_of(value)?;
        match text.chars().count() {
            0..12 => Err(Fault::new("too-short", "Must have at least 12 characters.")),
            12..=1024 if text.contains('\0') => {
                Err(Fault::new("invalid-text", "Must not contain NUL."))
            }
            12..=1024 => Ok(Self(SecretString::from(text))),
            _ => Err(Fault::new(
                "too-long",
                "Must have at most 1,024 characters.",
            )),
        }
    }

    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::String))
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
            .pattern(Some(r"^[^\x00]*$"))
            .min_length(Some(12))
            .max_length(Some(1024))
            .examples(["correct horse battery staple"])
            .into()
    }
}

/// A moment: RFC 3339 with any offset in, UTC with microseconds and `Z` out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub DateTime<Utc>);

impl<Zone: chrono::TimeZone> From<DateTime<Zone>> for Timestamp {
    fn from(moment: DateTime<Zone>) -> Self {
        Self(moment.with_timezone(&Utc))
    }
}

impl From<Timestamp> for DateTime<chrono::FixedOffset> {
    fn from(moment: Timestamp) -> Self {
        moment.0.fixed_offset()
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&clock::rfc3339(self.0))
    }
}

impl Field for Timestamp {
    fn present(value: &Value) -> Result<Self, Fault> {
        use chrono::Datelike;
        let wrong = || {
            Fault::new(
                "invalid-time",
                "Must be a time such as 2030-01-31T12:00:00Z (RFC 3339), in the years 1 to 9999.",
            )
        };
        let moment = DateTime::parse_from_rfc3339(text_of(value)?).map_err(|_| wrong())?;
        let moment = clock::to_microseconds(moment.with_timezone(&Utc));
        if (1..=9999).contains(&moment.year()) {
            Ok(Self(moment))
        } else {
            Err(wrong())
        }
    }

    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::String))
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .examples(["2030-01-31T12:00:00.000000Z"])
            .into()
    }
}

impl utoipa::PartialSchema for Timestamp {
    fn schema() -> RefOr<Schema> {
        <Self as Field>::schema()
    }
}

impl utoipa::ToSchema for Timestamp {}

impl ColumnType for Timestamp {
    type Stored = DateTime<chrono::FixedOffset>;
    type Shown = Self;

    fn store(self) -> Self::Stored {
        self.into()
    }

    fn show(stored: &mut Self::Stored) -> Self {
        (*stored).into()
    }

    fn shown_schema(description: &str) -> RefOr<Schema> {
        let mut reference = utoipa::openapi::Ref::from_schema_name("Timestamp");
        reference.description = description.to_owned();
        RefOr::Ref(reference)
    }

    fn components(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        let schema = <Self as utoipa::PartialSchema>::schema();
        schemas.push(("Timestamp".to_owned(), schema));
    }
}

/// An IP address, whatever its spelling. One of IPv4 that was mapped into IPv6 is that of IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address(pub IpAddr);

impl Field for Address {
    fn present(value: &Value) -> Result<Self, Fault> {
        let address = text_of(value)?.parse::<IpAddr>().map_err(|_| {
            Fault::new(
                "invalid-address",
                "Must be one IPv4 or IPv6 address, such as 192.0.2.1 or 2001:db8::1.",
            )
        })?;
        Ok(Self(address.to_canonical()))
    }

    fn schema() -> RefOr<Schema> {
        string_schema(ADDRESS, None, (2, 45), "192.0.2.1")
    }
}

impl utoipa::PartialSchema for Address {
    fn schema() -> RefOr<Schema> {
        <Self as Field>::schema()
    }
}

impl utoipa::ToSchema for Address {}
