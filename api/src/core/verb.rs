//! What can happen to an aggregate.

macro_rules! verbs {
    ($($verb:ident = $name:literal,)*) => {
        /// What happened to an aggregate: the part of the event's type after the dot.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the names are those of the REST contract's table of event types")]
        pub enum Verb { $($verb,)* }

        impl Verb {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Verb::$verb,)*];

            /// Its name in the event's type.
            pub fn name(self) -> &'static str { match self { $(Verb::$verb => $name,)* } }
        }
    };
}

verbs! {
    Created = "CREATED",
    Updated = "UPDATED",
    Deleted = "DELETED",
    Suspended = "SUSPENDED",
    Reactivated = "REACTIVATED",
    EmailChanged = "EMAIL_CHANGED",
    PasswordChanged = "PASSWORD_CHANGED",
    RoleChanged = "ROLE_CHANGED",
    Invited = "INVITED",
    Accepted = "ACCEPTED",
    Removed = "REMOVED",
    Deactivated = "DEACTIVATED",
    Revoked = "REVOKED",
}
