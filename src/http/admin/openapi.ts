/**
 * The admin API's description, made of the same schemas that check its requests.
 *
 * https://spec.openapis.org/oas/v3.1.0
 */
import { z } from "zod";
import { type Operation, OPERATIONS } from "./operations.ts";
import { errorEnvelope } from "./answer_schemas.ts";

type Json = Readonly<Record<string, unknown>>;

const ERROR = {
  description: "What went wrong, and what to do",
  content: jsonContent(errorEnvelope, "output"),
};

export function openApiDocument(version: string): Json {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const operation of OPERATIONS) {
    paths[operation.path] = { ...paths[operation.path], [operation.method]: describe(operation) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "openai-api-route admin API",
      version,
      description:
        "Opened by the admin token (`openai-api-route token show --admin`) as `Authorization: Bearer`. " +
        "A page that is logged in by cookie sends its session's token as `x-csrf-token` with every change.",
    },
    servers: [{ url: "/admin/api" }],
    security: [{ adminToken: [] }, { session: [], csrf: [] }],
    components: {
      securitySchemes: {
        adminToken: { type: "http", scheme: "bearer" },
        session: { type: "apiKey", in: "cookie", name: "oar_admin" },
        csrf: { type: "apiKey", in: "header", name: "x-csrf-token" },
      },
    },
    paths,
  };
}

function describe({ method, path, summary, query, body, answer, answerType, status }: Operation): Json {
  return {
    operationId: `${method}${path.replace(/[^a-zA-Z]+(.)?/g, (_, letter = "") => letter.toUpperCase())}`,
    summary,
    parameters: [
      ...[...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
        name,
        in: "path",
        required: true,
        schema: { type: "string" },
      })),
      ...parametersOf(query),
    ],
    ...(body === undefined ? {} : { requestBody: { required: true, content: jsonContent(body, "input") } }),
    responses: {
      [status]: {
        description: status === 204 ? "Done" : summary,
        ...(answer !== null
          ? { content: jsonContent(answer, "output") }
          : answerType === undefined
          ? {}
          : { content: { [answerType]: { schema: { type: "string" } } } }),
      },
      default: ERROR,
    },
  };
}

function parametersOf(query: z.ZodObject | undefined): Json[] {
  if (query === undefined) return [];
  const { properties = {}, required = [] } = schemaOf(query, "input") as {
    properties?: Readonly<Record<string, unknown>>;
    required?: readonly string[];
  };
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: "query",
    required: required.includes(name),
    schema,
  }));
}

function jsonContent(schema: z.ZodType, io: "input" | "output"): Json {
  return { "application/json": { schema: schemaOf(schema, io) } };
}

/** OpenAPI 3.1 takes JSON Schema 2020-12 as it is. */
function schemaOf(schema: z.ZodType, io: "input" | "output"): Json {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: "any" });
  return rest;
}
