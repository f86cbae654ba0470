/** The README's tour with the client that @hey-api/openapi-ts makes. */

import assert from "node:assert/strict";
import { env } from "node:process";
import { client } from "./client/client.gen.js";
import {
  createApiKey,
  createMembership,
  createOrganization,
  createUser,
  listEvents,
  readOrganization,
  updateMembership,
  updateOrganization,
  updateUser,
} from "./client/sdk.gen.js";

client.setConfig({ auth: () => env.ROLLBOOK_KEY, baseUrl: env.ROLLBOOK_URL, throwOnError: false });

function done<T>(answer: { data?: T; error?: unknown; response?: Response }, status: number): T {
  assert.equal(answer.response?.status, status, JSON.stringify(answer.error));
  assert.ok(answer.data);
  return answer.data;
}

const organization = done(await createOrganization({ body: { name: "Acme Ltd", slug: "hey-api" } }), 201);
const id = organization.id;
const path = { id };
const invited = done(
  await createMembership({ body: { organization_id: id, email: "grace@hey-api.example.com" } }),
  201,
);
done(await updateMembership({ path: { id: invited.id }, body: { permissions: { "events:read": true } } }), 200);
const user = done(await createUser({ body: { email: "ada@hey-api.example.com" } }), 201);
done(await updateUser({ path: { id: user.id }, body: { first_name: "Ada" } }), 200);
const key = done(
  await createApiKey({ body: { name: "Nightly report", organization_id: id, scopes: ["organizations:read"] } }),
  201,
);
assert.match(key.key, /^rbk_/);

const body = { city: "Bern", settings: { theme: { colour: "dark" } } };
const headers = { "If-Match": '"1"' };
const changed = done(await updateOrganization({ path, body, headers }), 200);
assert.equal(changed.city, "Bern");
assert.deepEqual(changed.settings.theme, { colour: "dark" });
const stale = await updateOrganization({ path, body, headers });
assert.equal(stale.error?.type, "/problems/version-conflict");

assert.deepEqual(done(await readOrganization({ path }), 200), changed);
const events = done(await listEvents({ query: { organization_id: id, order: "asc" } }), 200).data;
assert.deepEqual(
  events.filter((event) => event.aggregate_id === id).map((event) => event.event_type),
  ["ORGANIZATION.CREATED", "ORGANIZATION.UPDATED"],
);
assert.ok(events.at(-1)?.data.new);
