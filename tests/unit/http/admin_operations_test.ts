import assert from "node:assert/strict";
import { apiRoutes } from "../../../src/http/admin/api.ts";
import { recordDetail } from "../../../src/http/admin/answer_schemas.ts";
import { OPERATIONS } from "../../../src/http/admin/operations.ts";
import { openApiDocument } from "../../../src/http/admin/openapi.ts";
import type { AdminService } from "../../../src/control/admin_service.ts";
import { systemClock } from "../../../src/server/clock.ts";
import { record } from "../dashboard/fake_service.ts";

Deno.test("the description and the routes name the same operations", () => {
  const routes = apiRoutes({
    service: {} as AdminService,
    clock: systemClock,
    version: "1.2.3",
    ending: new AbortController().signal,
  }).routes;
  const served = routes
    .filter(({ method, path }) =>
      method !== "ALL" && path.startsWith("/api/") && path !== "/api/openapi.json"
    )
    .map(({ method, path }) => `${method} ${path.slice("/api".length)}`);
  const described = OPERATIONS.map(({ method, path }) =>
    `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ":$1")}`
  );
  assert.deepEqual(served.toSorted(), described.toSorted());
});

Deno.test("the description is made of the schemas that check requests", () => {
  const document = JSON.parse(JSON.stringify(openApiDocument("1.2.3")));
  assert.equal(document.info.version, "1.2.3");
  const create = document.paths["/upstreams"].post;
  const schema = create.requestBody.content["application/json"].schema;
  assert.deepEqual(schema.required, ["endpoint", "key"]);
  assert.equal(schema.additionalProperties, false);
  assert.deepEqual(schema.properties.weight, {
    type: "number",
    exclusiveMinimum: 0,
    maximum: 1_000_000,
    description: "its share with the policy random",
  });
  const names = document.paths["/records"].get.parameters.map(({ name }: { name: string }) => name);
  assert.deepEqual(names.toSorted(), [
    "attempts",
    "before",
    "client",
    "failed",
    "failedOn",
    "limit",
    "model",
    "outcome",
    "q",
    "since",
    "slowerThan",
    "status",
    "tried",
    "until",
    "upstream",
    "without",
  ]);
});

Deno.test("the answer about a record names every field of a record", () => {
  const { record: described } = recordDetail.shape;
  assert.deepEqual(Object.keys(described.shape).toSorted(), Object.keys(record(1)).toSorted());
});
