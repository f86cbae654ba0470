//! `#[resource]`: everything that a column of a resource needs, made of the one field that declares it.

mod declaration;
mod field;
mod generate;
mod rights;

use proc_macro::TokenStream;

/// Makes a resource of a struct whose fields are the columns of a table, each said once.
///
/// A field's documentation is its description in the OpenAPI document, its type what it takes and shows: a type that
/// implements `ColumnType`, such as `Name`, `Option<Line100>` or an enumeration of the database. `id`, `version`,
/// `created_at`, `updated_at`, `created_by` and `updated_by` are added. Of the struct `Project` come:
///
/// - `Project`, what leaves, made of a row by `Project::from` or, where it has private columns, `Project::seen_by`;
/// - `NewProject` with `into_row`, `EditProject` with `apply`, `ListProjects` with `narrow`: what comes in, in a body or a
///   query, where fields are in them;
/// - `Project::blank`, the row of which no more is known than what has no default;
/// - `impl Resource for Project`, by which it is written and read.
///
/// A column of the entity that no field names does not compile.
///
/// # Options
///
/// | option | what it says |
/// | --- | --- |
/// | `entity = entity::projects` | the module of the generated entity |
/// | `collection = "projects"` | the name in paths and scopes |
/// | `aggregate = "project"` | what the trail calls it; must be what its migration says |
/// | `noun = "project"` | what one is called in a sentence, where that is not the aggregate's name |
/// | `description = "The projects."` | what is in the collection, for the OpenAPI document |
/// | `removal = Deleted` | the verb of its end |
/// | `verbs("ARCHIVED")` | the words of its own for what happens to it, as `Verb::Own` has them |
/// | `organization = organization_id` | the column of the organization that it belongs to; without it, its events belong to none |
/// | `own = user_id` | the column of the person whose it is, where rows are somebody's own |
/// | `read = Viewer` | who sees rows: in its organization this role or more (`Viewer`, `Member`, `Admin`, `Owner`), the person whose it is (`Own`), `SystemAdmin`; of people who shares an organization with them (`Fellow`); or `by_hand`: `Visible` is implemented beside it |
/// | `write = Admin` | who makes, changes and removes rows: a role, `Own`, `SystemAdmin`; or `by_hand`: `Rights` is implemented beside it, where verbs of the core need it |
/// | `change = Author`, `remove = Admin` | who changes and who removes them, where that differs: `Author`, who made it, as well |
/// | `search = "Those with …"` | what `q` means, where fields are `#[search]` |
/// | `private = sees_private` | `fn(&Caller, &Model) -> bool`: who sees the fields that are `#[private]` |
/// | `unique(one, another)` | columns that are unique together; the first that is not the organization is to blame |
///
/// # Attributes of a field
///
/// | attribute | what it says |
/// | --- | --- |
/// | `#[new]` | it is in `New…` |
/// | `#[edit]` | it is in `Edit…`; `admin`: system admins only; `with = function`: how it changes the row, `fn(&mut Model, T) -> Result<Option<Verb>, Problem>`; `as = Type`: what it takes, where that is not the field's type |
/// | `#[input]` | both |
/// | `#[filter]` | it is in `List…`; `without = value`: what is left out where it is not asked for; `with = function`: how it narrows, `fn(&Caller, Select<Entity>, T) -> Select<Entity>` |
/// | `doc = "…"` in these | its description there, where it differs |
/// | `#[default(value)]`, `#[default]` | what a new row has, where nothing else is said |
/// | `#[given]` | the code gives it to `into_row` and `blank` |
/// | `#[search]` | `q` looks into it |
/// | `#[unique]` | no two rows have the same |
/// | `#[touches("user", goes)]` | it is the id of another aggregate, which the events are tagged with; the row goes when that one is removed, or `stays` |
/// | `#[private]` | only some see it |
/// | `#[hidden]`, `#[secret]` | nobody sees it; `secret`: nor in the events |
/// | `#[bookkeeping]`, `#[bookkeeping(hidden)]` | it changes without an event |
/// | `#[ended]` | it takes the moment when a row is removed: rows that have one are gone |
/// | `#[parameter]` | it is no column: of requests only |
#[proc_macro_attribute]
pub fn resource(options: TokenStream, item: TokenStream) -> TokenStream {
    let (declaration, errors) = match declaration::read(options.into(), item.into()) {
        Ok(read) => read,
        Err(error) => return error.into_compile_error().into(),
    };
    // The rest is made all the same: its absence would be an error at each place that uses it.
    let mut made = generate::all(&declaration);
    made.extend(errors.into_iter().map(syn::Error::into_compile_error));
    made.into()
}
