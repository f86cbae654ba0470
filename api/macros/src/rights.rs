//! Reads who may do what with a resource.

use proc_macro2::Span;
use syn::{Error, Ident};

/// What the options say of it.
#[derive(Default)]
pub struct Said {
    pub read: Option<Ident>,
    pub write: Option<Ident>,
    pub change: Option<Ident>,
    pub remove: Option<Ident>,
    /// Whether rows belong to an organization.
    pub has_organization: bool,
    /// Whether rows are somebody's own.
    pub has_person: bool,
}

/// Who reads and who writes; none where that is written by hand.
pub struct Rights {
    pub read: Option<Ident>,
    pub write: Option<Writing>,
}

/// Who makes, changes and removes.
pub struct Writing {
    pub create: Ident,
    pub change: Ident,
    pub remove: Ident,
}

/// What a right is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Read,
    Write,
    Change,
}

const ROLES: [&str; 4] = ["Viewer", "Member", "Admin", "Owner"];

impl Rights {
    /// What the options say of it.
    pub fn of(said: &Said, errors: &mut Vec<Error>) -> Self {
        let mut missing = |option: &str, words: &str| {
            let known = "`Viewer`, `Member`, `Admin` or `Owner` of its organization, `Own`, `SystemAdmin`, or `by_hand`";
            let words = format!("who {words} is not said: `{option} = …`, one of {known}");
            errors.push(Error::new(Span::call_site(), words));
        };
        if said.read.is_none() {
            missing("read", "sees rows");
        }
        if said.write.is_none() {
            missing("write", "makes, changes and removes rows");
        }
        // What is wrong is told; a right that nobody has but system admins takes its place.
        let mut known = |right: &Option<Ident>, place: Place| {
            let nobody = || Ident::new("SystemAdmin", Span::call_site());
            let right = right.clone().unwrap_or_else(nobody);
            match fault(&right, place, said) {
                None => right,
                Some(words) => {
                    errors.push(Error::new(right.span(), words));
                    nobody()
                }
            }
        };
        let (read, create) = (
            known(&said.read, Place::Read),
            known(&said.write, Place::Write),
        );
        let mut or = |right: &Option<Ident>, other: &Ident| match right {
            Some(_) => known(right, Place::Change),
            None => other.clone(),
        };
        let change = or(&said.change, &create);
        let remove = or(&said.remove, &change);
        let by_hand = |right: &Ident| right == "by_hand";
        let write = (!by_hand(&create)).then_some(Writing {
            create,
            change,
            remove,
        });
        Self {
            read: (!by_hand(&read)).then_some(read),
            write,
        }
    }
}

/// What is wrong with a right.
fn fault(right: &Ident, place: Place, said: &Said) -> Option<&'static str> {
    let right = right.to_string();
    match right.as_str() {
        "by_hand" | "SystemAdmin" => None,
        "Fellow" if place == Place::Read => None,
        "Author" if place == Place::Change => None,
        "Own" if said.has_person => None,
        "Own" => Some(
            "whose a row is, is not said: `own = …` among the options, the column of the person",
        ),
        role if ROLES.contains(&role) => match said.has_organization {
            true => None,
            false => Some(
                "a role is one in an organization, and that of a row is not said: `organization = …` among the options",
            ),
        },
        _ => Some(
            "there is no such right here; known: Viewer, Member, Admin, Owner, Own, SystemAdmin, by_hand; Fellow for `read`; Author for `change` and `remove`",
        ),
    }
}

/// Whether the right is a role in the organization.
pub fn is_role(right: &Ident) -> bool {
    ROLES.iter().any(|role| right == role)
}
