/** The README's tour with the types that openapi-typescript makes, and openapi-fetch. */

import assert from "node:assert/strict";
import { env } from "node:process";
import createClient from "openapi-fetch";
import type { paths } from "./schema.js";

const client = createClient<paths>({
  baseUrl: env.ROLLBOOK_URL,
  headers: { Authorization: `Bearer ${env.ROLLBOOK_KEY}` },
});

function done<T>(answer: { data?: T; error?: unknown; response: Response }, status: number): T {
  assert.equal(answer.response.status, status, JSON.stringify(answer.error));
  assert.ok(answer.data);
  return answer.data;
}

const organization = done(
  await client.POST("/v1/organizations", { body: { name: "Acme Ltd", slug: "openapi-typescript" } }),
  201,
);
const id = organization.id;
const path = { id };
const invited = done(
  await client.POST("/v1/memberships", { body: { organization_id: id, email: "grace@typescript.example.com" } }),
  201,
);
done(
  await client.PATCH("/v1/memberships/{id}", {
    params: { path: { id: invited.id } },
    body: { job_title: "Engineer", permissions: { "events:read": true } },
  }),
  200,
);
const user = done(await client.POST("/v1/users", { body: { email: "ada@typescript.example.com" } }), 201);
done(await client.PATCH("/v1/users/{id}", { params: { path: { id: user.id } }, body: { first_name: "Ada" } }), 200);
const key = done(
  await client.POST("/v1/api-keys", {
    body: { name: "Nightly report", organization_id: id, scopes: ["organizations:read"] },
  }),
  201,
);
assert.match(key.key, /^rbk_/);

const edit = { city: "Bern", settings: { theme: { colour: "dark" } } };
const first = { header: { "If-Match": '"1"' }, path };
const changed = done(await client.PATCH("/v1/organizations/{id}", { params: first, body: edit }), 200);
assert.equal(changed.city, "Bern");
assert.deepEqual(changed.settings.theme, { colour: "dark" });
const stale = await client.PATCH("/v1/organizations/{id}", { params: first, body: edit });
assert.equal(stale.error?.type, "/problems/version-conflict");

assert.deepEqual(done(await client.GET("/v1/organizations/{id}", { params: { path } }), 200), changed);
const events = done(
  await client.GET("/v1/events", { params: { query: { organization_id: id, order: "asc" } } }),
  200,
).data;
assert.deepEqual(
  events.filter((event) => event.aggregate_id === id).map((event) => event.event_type),
  ["ORGANIZATION.CREATED", "ORGANIZATION.UPDATED"],
);
assert.ok(events.at(-1)?.data.new);
