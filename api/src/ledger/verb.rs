//! What can happen to an aggregate.

macro_rules! verbs {
    ($($verb:ident = $name:literal,)* ; $($more:ident = $more_name:literal,)*) => {
        /// What happened to an aggregate: the part of the event's type after the dot.
        ///
        /// Where one change is several of these, the greatest is the one that is told.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "the names are those of the REST contract's table of event types")]
        pub enum Verb {
            $($verb,)*
            /// A word that a resource has for itself, such as `ARCHIVED`.
            Own(&'static str),
            $($more,)*
        }

        impl Verb {
            /// Every one that any resource can have.
            pub const COMMON: &'static [Self] = &[$(Verb::$verb,)* $(Verb::$more,)*];

            /// Its name in the event's type.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Verb::$verb => $name,)*
                    Verb::Own(name) => name,
                    $(Verb::$more => $more_name,)*
                }
            }
        }
    };
}

verbs! {
    Created = "CREATED",
    Invited = "INVITED",
    Updated = "UPDATED",
    ;
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

impl Verb {
    /// The type of an event that says so of an aggregate of this kind, such as `ORGANIZATION.CREATED`.
    pub fn event_type(self, aggregate: &str) -> String {
        format!("{}.{}", aggregate.to_uppercase(), self.name())
    }
}
