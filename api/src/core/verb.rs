//! What can happen to an aggregate.

macro_rules! verbs {
    ($($verb:ident = $name:literal,)*) => {
        /// What happened to an aggregate: the part of the event's type after the dot.
        ///
        /// Where one change is several of these, the greatest is the one that is told.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    Invited = "INVITED",
    Updated = "UPDATED",
    PasswordChanged = "PASSWORD_CHANGED",
    EmailChanged = "EMAIL_CHANGED",
    RoleChanged = "ROLE_CHANGED",
    Accepted = "ACCEPTED",
    Reactivated = "REACTIVATED",
    Suspended = "SUSPENDED",
    Deactivated = "DEACTIVATED",
    Removed = "REMOVED",
    Revoked = "REVOKED",
    Deleted = "DELETED",
}
