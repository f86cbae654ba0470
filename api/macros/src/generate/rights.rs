//! Who sees rows, and who changes them.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};

use crate::declaration::Declaration;
use crate::rights::{Writing, is_role};

/// What of it the declaration says.
pub fn all(resource: &Declaration) -> TokenStream {
    let read = resource.rights.read.iter();
    let read = read.map(|right| visible(resource, right));
    let write = resource.rights.write.iter();
    let write = write.map(|writing| rights(resource, writing));
    let both = read.chain(write);
    both.collect()
}

fn visible(resource: &Declaration, right: &Ident) -> TokenStream {
    let name = &resource.name;
    let own = resource
        .columns()
        .find(|field| Some(&field.ident) == resource.own.as_ref());
    let visible = match own {
        Some(own) if right == "Own" => {
            let column = own.variant(resource);
            quote!(::rollbook::access::visibility::of_own::<Self>(caller, #column))
        }
        _ if is_role(right) => {
            let role =
                quote_spanned!(right.span()=> ::rollbook::access::rights::MembershipRole::#right);
            quote!(::rollbook::access::visibility::of_organizations::<Self>(caller, #role))
        }
        _ if right == "Fellow" => {
            quote_spanned!(right.span()=> ::rollbook::access::people::visible::<Self>(caller))
        }
        _ => quote!(::rollbook::access::visibility::of_system_admins(caller)),
    };
    let listed = (right == "Fellow").then(|| {
        quote! {
            fn listed(caller: &::rollbook::access::caller::Caller) -> ::rollbook::kit::sea_orm::Condition {
                ::rollbook::access::people::listed::<Self>(caller)
            }
        }
    });
    quote! {
        impl ::rollbook::access::visibility::Visible for #name {
            fn visible(caller: &::rollbook::access::caller::Caller) -> ::rollbook::kit::sea_orm::Condition {
                #visible
            }

            #listed
        }
    }
}

fn rights(resource: &Declaration, writing: &Writing) -> TokenStream {
    let (name, model) = (&resource.name, resource.of_entity("Model"));
    let [create, change, remove] = [&writing.create, &writing.change, &writing.remove].map(right);
    let person = match &resource.own {
        Some(column) => quote!(row.#column.into()),
        None => quote!(None),
    };
    let named = resource.organization.as_ref().map(|column| {
        let pointer = format!("/{column}");
        quote!(.map_err(|problem| problem.naming(#pointer)))
    });
    quote! {
        impl #name {
            fn person_of(row: &#model) -> Option<::rollbook::kit::uuid::Uuid> {
                let _ = row;
                #person
            }
        }

        impl ::rollbook::access::rights::Rights for #name {
            async fn may_create(
                caller: &::rollbook::access::caller::Caller,
                row: &#model,
            ) -> Result<(), ::rollbook::problem::Problem> {
                let person = Self::person_of(row);
                ::rollbook::access::rights::require::<Self>(caller, #create, row, person).await #named
            }

            async fn may_change(
                caller: &::rollbook::access::caller::Caller,
                id: ::rollbook::kit::uuid::Uuid,
            ) -> Result<(), ::rollbook::problem::Problem> {
                ::rollbook::access::rights::require_in::<Self>(caller, #change, id, Self::person_of).await
            }

            async fn may_remove(
                caller: &::rollbook::access::caller::Caller,
                id: ::rollbook::kit::uuid::Uuid,
            ) -> Result<(), ::rollbook::problem::Problem> {
                ::rollbook::access::rights::require_in::<Self>(caller, #remove, id, Self::person_of).await
            }
        }
    }
}

fn right(right: &Ident) -> TokenStream {
    match is_role(right) {
        true => quote_spanned! {right.span()=>
            ::rollbook::access::rights::Right::Role(::rollbook::access::rights::MembershipRole::#right)
        },
        false => quote_spanned!(right.span()=> ::rollbook::access::rights::Right::#right),
    }
}
