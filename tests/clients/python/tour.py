"""The README's tour with the client that openapi-python-client makes."""

import os

from rollbook_client import AuthenticatedClient
from rollbook_client.api.api_keys import create_api_key
from rollbook_client.api.events import list_events
from rollbook_client.api.memberships import create_membership, update_membership
from rollbook_client.api.organizations import create_organization, read_organization, update_organization
from rollbook_client.api.users import create_user, update_user
from rollbook_client.models import (
    EditMembership,
    EditOrganization,
    EditOrganizationSettings,
    EditUser,
    ListEventsOrder,
    NewApiKey,
    NewApiKeyScopesItem,
    NewMembership,
    NewOrganization,
    NewUser,
    Problem,
)

client = AuthenticatedClient(base_url=os.environ["ROLLBOOK_URL"], token=os.environ["ROLLBOOK_KEY"])


def done(answer, status):
    assert answer.status_code == status, answer
    return answer.parsed


organization = done(
    create_organization.sync_detailed(client=client, body=NewOrganization(name="Acme Ltd", slug="python")), 201
)
invited = done(
    create_membership.sync_detailed(
        client=client, body=NewMembership(organization_id=organization.id, email="grace@python.example.com")
    ),
    201,
)
done(update_membership.sync_detailed(invited.id, client=client, body=EditMembership(job_title="Engineer")), 200)
user = done(create_user.sync_detailed(client=client, body=NewUser(email="ada@python.example.com")), 201)
done(update_user.sync_detailed(user.id, client=client, body=EditUser(first_name="Ada")), 200)
key = done(
    create_api_key.sync_detailed(
        client=client,
        body=NewApiKey(
            name="Nightly report", organization_id=organization.id, scopes=[NewApiKeyScopesItem.ORGANIZATIONSREAD]
        ),
    ),
    201,
)
assert key.key.startswith("rbk_")

settings = EditOrganizationSettings()
settings["theme"] = {"colour": "dark"}
edit = EditOrganization(city="Bern", settings=settings)
changed = done(update_organization.sync_detailed(organization.id, client=client, body=edit, if_match='"1"'), 200)
assert (changed.city, changed.version, changed.settings["theme"]) == ("Bern", 2, {"colour": "dark"})
stale = done(update_organization.sync_detailed(organization.id, client=client, body=edit, if_match='"1"'), 412)
assert isinstance(stale, Problem) and stale.type_ == "/problems/version-conflict"

read = done(read_organization.sync_detailed(organization.id, client=client), 200)
assert read.to_dict() == changed.to_dict()
events = done(
    list_events.sync_detailed(client=client, organization_id=organization.id, order=ListEventsOrder.ASC), 200
).data
assert [event.event_type for event in events if event.aggregate_id == organization.id] == [
    "ORGANIZATION.CREATED",
    "ORGANIZATION.UPDATED",
]
assert events[-1].data["new"]["city"] == "Bern"
