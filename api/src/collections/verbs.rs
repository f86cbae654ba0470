//! The five verbs of a collection, for every resource: list, create, read, update and remove one.
//!
//! What differs from resource to resource is said by [`Rules`]. A handler that does something else is written by hand,
//! and named beside the verbs in [`verbs!`](crate::verbs).

use actix_web::{HttpRequest, HttpResponse};
use chrono::{DateTime, Utc};
use sea_orm::sea_query::{IntoCondition, LockType};
use sea_orm::{ColumnTrait, QueryFilter, QuerySelect, Select};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::access::caller::Caller;
use crate::access::rights::Rights;
use crate::access::tenancy::{self, Reason};
use crate::access::visibility::{self, Shown, Visible};
use crate::collections::page::{self, Place};
use crate::http::answer::Answer;
use crate::http::body::Body;
use crate::http::conditional::{self, Precondition};
use crate::http::query::{Id, Query};
use crate::ledger::registry;
use crate::ledger::resource::{Resource, Row};
use crate::ledger::unit_of_work::UnitOfWork;
use crate::ledger::verb::Verb;
use crate::problem::Problem;
use crate::values::clock;
use crate::values::input::Input;

/// A resource of which there is a list. Made by [`#[resource]`](crate::resource).
pub trait Listed: Resource {
    /// What narrows the list.
    type List: Input + IntoParams + 'static;

    /// Narrows a select to what is asked for, and says which page of it.
    fn narrow(
        list: Self::List,
        caller: &Caller,
        select: Select<Self::Entity>,
    ) -> (Select<Self::Entity>, Place);
}

/// A resource that is made from a request and nothing else. Made by [`#[resource]`](crate::resource) where no column is
/// `#[given]`.
pub trait Made: Shown {
    /// What one is made from.
    type New: Input + ToSchema + 'static;

    /// The row to be, without what the unit of work sets.
    ///
    /// # Errors
    /// Those of `blank`.
    fn row(new: Self::New) -> Result<Row<Self>, Problem>;
}

/// A resource that is changed by a merge patch. Made by [`#[resource]`](crate::resource).
pub trait Edited: Shown {
    /// The merge patch.
    type Edit: Input + ToSchema + 'static;

    /// Whether it changes what is a system admin's to change.
    fn is_for_system_admins(edit: &Self::Edit) -> bool;

    /// Changes the row, and says what happened to it.
    ///
    /// # Errors
    /// Those of the columns.
    fn apply(edit: &Self::Edit, row: &mut Row<Self>) -> Result<Verb, Problem>;
}

/// How a row ends: it stays, as the trace of one that was removed. Made by [`#[resource]`](crate::resource) where a column is
/// `#[ended]`.
#[diagnostic::on_unimplemented(
    message = "how a row of `{Self}` ends is not said",
    note = "a column that is `#[ended]` takes the moment, or `impl Ending for {Self}` says it"
)]
pub trait Ending: Resource {
    /// Makes the row a tombstone, at this moment.
    ///
    /// # Errors
    /// Where the row cannot be one.
    fn bury(row: &mut Row<Self>, now: DateTime<Utc>) -> Result<(), Problem>;
}

/// What else happens, and what else has to be true, when rows of a resource are made, changed and removed.
#[expect(
    async_fn_in_trait,
    reason = "requests are answered on the thread that took them"
)]
pub trait Rules: Visible + Ending {
    /// What else has to be true or done in the transaction in which the row is made, before it is.
    async fn before_create(work: &mut UnitOfWork<'_>, row: &Row<Self>) -> Result<(), Problem> {
        match Self::organization(row) {
            Some(id) => tenancy::lock_organization(work, id, LockType::Share)
                .await
                .map(drop),
            None => Ok(()),
        }
    }

    /// What else is done in the transaction in which the row was made.
    async fn after_create(
        work: &mut UnitOfWork<'_>,
        caller: &Caller,
        row: &Row<Self>,
    ) -> Result<(), Problem> {
        let _ = (work, caller, row);
        Ok(())
    }

    /// Whether the caller may make of the row what it becomes; it is locked.
    fn may_become(caller: &Caller, before: &Row<Self>, after: &Row<Self>) -> Result<(), Problem> {
        let _ = (caller, before, after);
        Ok(())
    }

    /// What has to be true of a row that is to be made, or was changed, beside what its columns say; in the same transaction.
    ///
    /// # Errors
    /// What it is not.
    async fn holds(work: &mut UnitOfWork<'_>, row: &Row<Self>) -> Result<(), Problem> {
        let _ = (work, row);
        Ok(())
    }

    /// Whether rows of the organization may name the row with this id: it is there, and within the same wall. As it stands, it
    /// is the organization's, or of what belongs to none.
    ///
    /// # Errors
    /// The database's.
    async fn is_within(
        work: &mut UnitOfWork<'_>,
        organization: Option<Uuid>,
        id: Uuid,
    ) -> Result<bool, Problem> {
        let select = tenancy::all_rows::<Self::Entity>(Reason::Rule)
            .filter(Self::id_column().eq(id))
            .filter(Self::living())
            .lock(LockType::Share);
        let row = work.one(select).await?;
        Ok(row.is_some_and(|row| {
            Self::organization_column().is_none() || Self::organization(&row) == organization
        }))
    }
}

/// Refuses a row that is gone: it may have gone since it was seen.
///
/// # Errors
/// `not-found`.
pub fn exists<R: Resource>(row: &Row<R>) -> Result<(), Problem> {
    match R::is_gone(row) {
        true => Err(Problem::not_found()),
        false => Ok(()),
    }
}

/// Removes every row that fits and is not gone yet, each with its event; a few statements however many there are. What goes
/// with them stays.
///
/// # Errors
/// Those of [`UnitOfWork::update_all`].
pub async fn remove_all<R: Rules>(
    work: &mut UnitOfWork<'_>,
    which: impl IntoCondition,
) -> Result<Vec<Row<R>>, Problem> {
    let which = R::living().add(which.into_condition());
    let now = clock::now();
    work.update_all::<R>(which, R::REMOVAL, |row| R::bury(row, now))
        .await
}

/// Answers the verb `list`.
pub(super) async fn list<R: Listed + Visible>(
    caller: Caller,
    query: Query<R::List>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let select = caller.find::<R>().filter(R::listed(&caller));
    let (select, place) = R::narrow(query.0, &caller, select);
    page::oldest_first::<R>(&caller, &request, select, place).await
}

/// Answers the verb `create`.
pub(super) async fn create<R: Made + Rights + Rules>(
    caller: Caller,
    body: Body<R::New>,
) -> Result<HttpResponse, Problem> {
    let row = R::row(body.0)?;
    R::may_create(&caller, &row).await?;
    let registry = &caller.state().registry;
    caller
        .write(async |work| {
            R::before_create(work, &row).await?;
            registry.require_named::<R>(work, &[], &row).await?;
            R::holds(work, &row).await?;
            let row = work.create::<R>(Verb::Created, row.clone()).await?;
            caller.concerns(R::organization(&row));
            R::after_create(work, &caller, &row).await?;
            Answer::created(&R::seen_by(&caller, row))
        })
        .await
}

/// Answers the verb `read`.
pub(super) async fn read<R: Visible>(
    caller: Caller,
    id: Id,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let row = visibility::find::<R>(&caller, id.0).await?;
    conditional::read(&request, &R::seen_by(&caller, row))
}

/// Answers the verb `update`.
pub(super) async fn update<R: Edited + Rights + Rules>(
    caller: Caller,
    id: Id,
    precondition: Precondition,
    body: Body<R::Edit>,
) -> Result<HttpResponse, Problem> {
    R::may_change(&caller, id.0).await?;
    if R::is_for_system_admins(&body.0) {
        caller.require_system_admin()?;
    }
    let registry = &caller.state().registry;
    caller
        .write(async |work| {
            let mut named = Vec::new();
            let row = work
                .update_from::<R>(id.0, |before, row| {
                    named = registry::named::<R>(before);
                    exists::<R>(before)?;
                    precondition.check(R::version_of(before))?;
                    let verb = R::apply(&body.0, row)?;
                    // The right to change it is one in the organization that it is in.
                    if R::organization(before) != R::organization(row) {
                        return Err(Problem::forbidden("It stays in its organization."));
                    }
                    R::may_become(&caller, before, row)?;
                    Ok(verb)
                })
                .await?;
            registry.require_named::<R>(work, &named, &row).await?;
            R::holds(work, &row).await?;
            Answer::ok(&R::seen_by(&caller, row))
        })
        .await
}

/// Answers the verb `remove`.
pub(super) async fn remove<R: Rights + Rules>(
    caller: Caller,
    id: Id,
    precondition: Precondition,
) -> Result<HttpResponse, Problem> {
    R::may_remove(&caller, id.0).await?;
    caller
        .write(async |work| {
            let bury = |row: &mut Row<R>| {
                exists::<R>(row)?;
                precondition.check(R::version_of(row))?;
                R::bury(row, clock::now())
            };
            match R::REMOVAL {
                // Of what is not only marked the event tells what it was.
                Verb::Deleted => work.remove::<R>(id.0, bury).await?,
                verb => {
                    let bury = |row: &mut Row<R>| bury(row).map(|()| verb);
                    work.update::<R>(id.0, bury).await?
                }
            };
            let registry = &caller.state().registry;
            registry.remove_what_goes_with::<R>(work, id.0).await?;
            Ok(Answer::no_content())
        })
        .await
}
