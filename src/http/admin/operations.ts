/**
 * The list of what the admin API can do: path, input, answer, in words.
 *
 * Owns the description that `/admin/api/openapi.json` is made of. The routes themselves are in api.ts; a test holds
 * the two together.
 */
import type { z } from "zod";
import * as answers from "./answer_schemas.ts";
import * as schemas from "./schemas.ts";

export interface Operation {
  readonly method: "get" | "post" | "put" | "patch" | "delete";
  /** In OpenAPI's form, below `/admin/api`. */
  readonly path: string;
  readonly summary: string;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
  /** null: no content. */
  readonly answer: z.ZodType | null;
  readonly answerType?: "application/json" | "application/jsonl" | "text/csv" | "text/event-stream";
  readonly status: 200 | 201 | 204;
}

const LIVE =
  "Server-sent events: `in_flight` (requests under way), `waiting` (how many wait for room) and `finished` (one that ended)";
const WATCH = "Server-sent events: `delta` (what came since the last one) and `ended`";

export const OPERATIONS: readonly Operation[] = [
  get("/upstreams", "The upstreams, in order of trial", { answer: answers.upstreamView.array() }),
  {
    ...post("/upstreams", "Add an upstream", { body: schemas.newUpstream, answer: answers.upstreamView }),
    status: 201,
  },
  get("/upstreams/{id}", "One upstream", { answer: answers.upstreamView }),
  {
    method: "patch",
    path: "/upstreams/{id}",
    summary: "Change an upstream; what is not given stays as it is",
    body: schemas.upstreamEdit,
    answer: answers.upstreamView,
    status: 200,
  },
  remove("/upstreams/{id}", "Remove an upstream; its records are kept"),
  {
    ...post("/upstreams/{id}/move", "Move an upstream to a place in the order", {
      body: schemas.place,
      answer: answers.upstreamView.array(),
    }),
  },
  post("/upstreams/{id}/test", "Ask an upstream for its models, with its key", {
    answer: answers.upstreamTest,
  }),
  get("/models", "The models that upstreams list, and who lists each", {
    query: schemas.modelQuery,
    answer: answers.modelPage,
  }),
  get("/tokens", "The clients' tokens", { answer: answers.tokenView.array() }),
  {
    ...post("/tokens", "Make a random token; its secret is shown this once", {
      body: schemas.newToken,
      answer: answers.tokenSecret,
    }),
    status: 201,
  },
  {
    method: "patch",
    path: "/tokens/{name}",
    summary:
      "Change a token, by its name or its row's number; what is not given stays. One of the list becomes a row, " +
      "unless only its name changes",
    body: schemas.tokenChanges,
    answer: answers.tokenView,
    status: 200,
  },
  post("/tokens/{name}/rotate", "Give a row another secret, which is shown this once", {
    answer: answers.tokenSecret,
  }),
  get("/tokens/{name}/spending", "What a token has spent of its budget; null: that is not noted of it", {
    answer: answers.tokenSpending,
  }),
  remove("/tokens/{name}", "No longer accept a token, by its name, its row's number or its masked form"),
  get("/records", "A page of records, newest first", {
    query: schemas.recordQuery,
    answer: answers.recordPage,
  }),
  get("/records/count", "How many records match", { query: schemas.countQuery, answer: answers.recordCount }),
  {
    ...get("/records/export", "All records that match as a file, newest first", {
      query: schemas.exportQuery,
      answer: null,
    }),
    answerType: "application/jsonl",
  },
  get("/records/{id}", "One record with its attempts, by request id or number", {
    answer: answers.recordDetail,
  }),
  get("/records/{id}/export", "The same as a file", { answer: answers.recordDetail }),
  remove("/records/{id}", "Delete a record with its attempts; statistics stay"),
  post("/records/{id}/replay", "Send a recorded request again, and compare the replies", {
    body: schemas.replayTarget,
    answer: answers.replayResult,
  }),
  get("/costs", "What each model, client and upstream cost, by days of UTC", {
    query: schemas.costsQuery,
    answer: answers.costReport,
  }),
  {
    ...get("/costs/export", "The same as a table for spreadsheets", {
      query: schemas.costsFileQuery,
      answer: null,
    }),
    answerType: "text/csv",
  },
  get("/usage", "Requests by model, by client and by upstream", {
    query: schemas.statsQuery,
    answer: answers.usageReport,
  }),
  get("/stats", "Time series of requests", { query: schemas.statsQuery, answer: answers.stats }),
  { ...get("/live", LIVE, { answer: null }), answerType: "text/event-stream" },
  { ...get("/live/{requestId}", WATCH, { answer: null }), answerType: "text/event-stream" },
  get("/status", "Version, uptime, size of the database, what is kept, alert channels, refused clients", {
    answer: answers.status,
  }),
  {
    method: "put",
    path: "/policy",
    summary: "Set the order of trial, for all servers that were started without a policy",
    body: schemas.policy,
    answer: answers.policyInUse,
    status: 200,
  },
  post("/channels/{name}/test", "Send a test message to an alert channel", { answer: answers.channelTest }),
  get("/settings", "The settings of the running server, read-only", { answer: answers.setting.array() }),
];

interface Parts {
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
  readonly answer: z.ZodType | null;
}

function get(path: string, summary: string, parts: Parts): Operation {
  return { method: "get", path, summary, ...parts, status: 200 };
}

function post(path: string, summary: string, parts: Parts): Operation {
  return { method: "post", path, summary, ...parts, status: 200 };
}

function remove(path: string, summary: string): Operation {
  return { method: "delete", path, summary, answer: null, status: 204 };
}
