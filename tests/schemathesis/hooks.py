"""Makes the generated requests reach what they are meant to test.

What schemathesis makes up is of the right form but names nothing: ids that nobody has, cursors that no list gave,
versions that no row is at, and the same unique values again and again. Such requests end at the first look-up, and what
lies behind it is not tested. Here a share of them gets real ids, cursors and versions. What was made wrong on purpose
stays as it is.

The stateful phase has real ids, from answers. It repeats scenarios and gives up, without a word, as soon as one goes
another way than before; so nothing is left to chance there, and values that must be unique are so each time.

It also keeps the caller alive: its own user and key are in the answers, and schemathesis would sooner or later delete
them, and from then on see nothing but 401. Changes of these rows go to an id that nobody has (404) instead.
"""

import os
import random
import re
import uuid

import requests
import schemathesis
from schemathesis.core.parameters import ParameterLocation

URL = os.environ["ROLLBOOK_URL"]
NOT_IN_UUID = re.compile(r"urn:uuid:|[^0-9a-f]")
UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
CHANGES = ("PATCH", "PUT", "POST", "DELETE")
# Values that only one row can have: that of the document's examples, and how to make another one.
UNIQUE = {
    "slug": ("example-ltd", lambda: str(uuid.uuid4())),
    "username": ("ada", lambda: str(uuid.uuid4())),
    "email": ("ada@example.com", lambda: f"{uuid.uuid4()}@example.com"),
}

# A few of the names of the tz database: a pattern cannot say them, and there are new ones each year.
ZONES = ("UTC", "Europe/Zurich", "America/Argentina/Buenos_Aires")

# The same choices in each run, as far as the answers are the same.
chance = random.Random(20260101)
session = requests.Session()
session.headers["Authorization"] = f"Bearer {os.environ['ROLLBOOK_CALLER_KEY']}"


def canonical(value):
    """The digits of an id, in whichever of the usual forms it is written."""
    return NOT_IN_UUID.sub("", str(value).lower())


CALLER = {canonical(value) for value in os.environ["ROLLBOOK_CALLER_IDS"].split()}


def is_id(value):
    return isinstance(value, str) and UUID.fullmatch(value) is not None


class Rows:
    """Rows of a collection that were there a moment ago, in which changes are worth trying."""

    LOOK_AGAIN_AFTER = 10

    def __init__(self, collection):
        self.collection = collection
        self.known = []
        self.drawn = 0

    def draw(self):
        if not self.known or self.drawn % self.LOOK_AGAIN_AFTER == 0:
            self.known = self.fetch()
        self.drawn += 1
        return chance.choice(self.known) if self.known else None

    def fetch(self):
        # Nearly all that could be done to the owner of an organization with one owner is a conflict.
        roles = {"role": "member"} if self.collection == "memberships" and chance.random() < 0.8 else {}
        answer = session.get(f"{URL}/v1/{self.collection}", params={"limit": 20, **roles}, timeout=35)
        answer.raise_for_status()
        return [row for row in answer.json()["data"] if canonical(row["id"]) not in CALLER]

    def forget(self, row_id):
        self.known = [row for row in self.known if row["id"] != row_id]


class Collections(dict):
    def __missing__(self, name):
        self[name] = Rows(name)
        return self[name]


collections = Collections()
cursors = {}
# The ids and slugs in the answers.
answered = set()


def exists(collection, row_id):
    return session.get(f"{URL}/v1/{collection}/{row_id}", timeout=35).status_code == 200


def new_user():
    answer = session.post(f"{URL}/v1/users", json={"email": f"{uuid.uuid4()}@example.com"}, timeout=35)
    answer.raise_for_status()
    return answer.json()["id"]


def is_negative(case, location):
    return case.meta is not None and case.meta.is_negative_at(location)


def is_stateful(case):
    return case.meta is not None and case.meta.phase.name == "stateful"


def spare_the_caller(case):
    for name, value in (case.path_parameters or {}).items():
        if canonical(value) in CALLER:
            case.path_parameters[name] = str(uuid.uuid4())


def name_real_rows_in_the_path(case):
    """Three times of four; the fourth keeps to names that nothing has. The stateful phase keeps to names from answers,
    those of rows that are gone included."""
    if is_negative(case, ParameterLocation.PATH) or (not is_stateful(case) and chance.random() < 0.25):
        return
    known = collections[case.operation.path.split("/")[2]]
    for name, value in (case.path_parameters or {}).items():
        is_name = is_id(value) or name == "slug"
        row = known.draw() if is_name and not (is_stateful(case) and value in answered) else None
        if row is not None:
            case.path_parameters[name] = row[name]
            if case.method.upper() == "DELETE":
                known.forget(row["id"])


def name_real_rows_in_the_body(case):
    """The organization and the person of a new membership or key, where ids of the right form were sent."""
    if not isinstance(case.body, dict) or case.method != "POST":
        return
    organization_id = case.body.get("organization_id")
    if is_stateful(case):
        names_nothing = is_id(organization_id) and not exists("organizations", organization_id)
    elif chance.random() < 0.1:
        return
    else:
        names_nothing = is_id(organization_id)
    row = collections["organizations"].draw() if names_nothing else None
    if row is not None:
        case.body["organization_id"] = row["id"]
    if is_id(case.body.get("user_id")):
        case.body["user_id"] = new_user()


def keep_the_rules_between_fields(case):
    """What the document says in words alone, as no generator of clients copes with it said in schemas: one of two
    fields, a field that another one asks for, names of time zones that there are, and no NUL in the names and strings of free-form objects."""
    if not isinstance(case.body, dict) or is_negative(case, ParameterLocation.BODY):
        return
    if case.method == "POST" and case.operation.path == "/v1/memberships":
        if "user_id" in case.body and "email" in case.body:
            del case.body[chance.choice(("user_id", "email"))]
        elif "user_id" not in case.body and "email" not in case.body:
            case.body["email"] = f"{uuid.uuid4()}@example.com"
    if case.method == "POST" and case.body.get("key_type") == "organization":
        if case.body.get("organization_id") is None:
            case.body["organization_id"] = collections["organizations"].draw()["id"]
    if isinstance(case.body.get("timezone"), str):
        case.body["timezone"] = ZONES[len(case.body["timezone"]) % len(ZONES)]
    for name in ("metadata", "settings", "preferences"):
        if name in case.body:
            case.body[name] = without_nul(case.body[name])


def without_nul(value):
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, list):
        return [without_nul(item) for item in value]
    if isinstance(value, dict):
        return {without_nul(name): without_nul(member) for name, member in value.items()}
    return value


def make_unique(case):
    if isinstance(case.body, dict):
        for name, (taken, fresh) in UNIQUE.items():
            value = case.body.get(name)
            if value == taken or (isinstance(value, str) and is_stateful(case)):
                case.body[name] = fresh()
    key = (case.headers or {}).get("Idempotency-Key")
    if key is not None and not is_negative(case, ParameterLocation.HEADER):
        # A key belongs to one request: with another body it is refused, as it should be.
        case.headers["Idempotency-Key"] = str(uuid.uuid4())


def name_the_real_version(case):
    """Three times of four. Always where the header is empty: that is what the coverage phase takes for a good value of
    these two, and it would be refused for it before anything else in the request is looked at."""
    negative = is_negative(case, ParameterLocation.HEADER)
    for name in ("If-Match", "If-None-Match"):
        value = (case.headers or {}).get(name)
        if value is None or (value and (negative or is_stateful(case) or chance.random() < 0.25)):
            continue
        answer = session.get(f"{URL}{case.formatted_path}", timeout=35)
        case.headers[name] = answer.headers.get("ETag", "*")


def list_without_filters(case):
    """In the stateful phase a list is where ids come from, and what it is filtered by there would leave it empty."""
    is_list = case.method.upper() == "GET" and "{" not in case.operation.path
    if is_list and is_stateful(case) and not is_negative(case, ParameterLocation.QUERY):
        case.query = {name: value for name, value in (case.query or {}).items() if name in ("limit", "order")}


def name_a_real_cursor(case):
    """A cursor is any text to the schema, but only one that the list gave is taken."""
    if not isinstance((case.query or {}).get("cursor"), str):
        return
    order = {"order": case.query["order"]} if case.query.get("order") in ("asc", "desc") else {}
    cursor = real_cursor(f"{URL}{case.formatted_path}", order)
    if cursor is None:
        del case.query["cursor"]
    else:
        case.query["cursor"] = cursor


def real_cursor(url, order):
    """Once given, it stays good: it names a place in the list, whether or not the row is still there."""
    key = (url, *order.values())
    if cursors.get(key) is None:
        answer = session.get(url, params={"limit": 1, **order}, timeout=35)
        answer.raise_for_status()
        cursors[key] = answer.json()["next_cursor"]
    return cursors[key]


@schemathesis.hook
def after_call(context, case, response):
    answered.update(re.findall(r'"(?:id|slug)":"([^"]+)"', response.text))


@schemathesis.hook
def before_call(context, case, kwargs):
    if not case.operation.path.startswith("/v1/"):
        return
    name_real_rows_in_the_path(case)
    keep_the_rules_between_fields(case)
    name_real_rows_in_the_body(case)
    make_unique(case)
    if case.method.upper() in CHANGES:
        spare_the_caller(case)
    name_the_real_version(case)
    list_without_filters(case)
    name_a_real_cursor(case)
