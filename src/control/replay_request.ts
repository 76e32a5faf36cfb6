/**
 * Makes a recorded request into one that can be sent again, and chooses its upstream.
 *
 * Owns the refusals: requests that were not kept whole, or would go to another path or with another key. Pure.
 */
import { NAME, VERSION } from "../config/version.ts";
import type { Clock } from "../core/clock.ts";
import { ControlError } from "./errors.ts";
import type { UpstreamNames } from "./upstream_names.ts";
import { asObject, parseJson } from "../capture/json.ts";
import { classify } from "../core/endpoint.ts";
import { allowedUpstreams, candidates } from "../core/policy.ts";
import { pathProblem } from "../core/request_path.ts";
import { ASIS, type Inbound, type Upstream } from "../core/types.ts";
import type { StoredRecord } from "../store/store.ts";

/** The Go program recorded neither method nor path, and served chat completions. */
const GO_PATH = "/v1/chat/completions";
const METHODS = ["POST", "GET", "HEAD", "PUT", "PATCH", "DELETE"];

/** Anthropic's API refuses requests without a version, and the client's header was not recorded. */
const ANTHROPIC_VERSION = "2023-06-01";

/** @throws ControlError `not_replayable` when it cannot be sent as it was */
export function toInbound(record: StoredRecord, clock: Pick<Clock, "now" | "monotonic">): Inbound {
  const method = record.method ?? "POST";
  const path = record.path ?? goPath(record);
  // A path changed by hand could lead the key to another host.
  const isCut = path.endsWith("…");
  if (isCut || !/^\/v1(\/|$)/.test(path) || pathProblem(path) !== null || !METHODS.includes(method)) {
    throw notReplayable(record, "its method or path is not one of the API, or was too long to be recorded");
  }
  const body = bodyOf(record, method);
  const headers = new Headers({ "accept": "*/*", "user-agent": `${NAME}/${VERSION}` });
  const contentType = "application/json";
  if (body !== null) headers.set("content-type", contentType);
  const { problem: _problem, json: _json, ...classified } = classify(path, { contentType, bytes: body });
  if (classified.kind === "messages") headers.set("anthropic-version", ANTHROPIC_VERSION);
  return {
    ...classified,
    id: "replay",
    method,
    path,
    query: "",
    headers,
    body,
    clientIp: "",
    clientName: null,
    clientToken: null,
    startedAtMs: clock.now(),
    startedMonoMs: clock.monotonic(),
  };
}

function goPath(record: StoredRecord): string {
  const isChat = Array.isArray(asObject(parseJson(record.body ?? ""))?.messages);
  if (isChat) return GO_PATH;
  throw notReplayable(record, "its path was not recorded");
}

function bodyOf(record: StoredRecord, method: string): Uint8Array<ArrayBuffer> | null {
  const { body, requestBytes } = record;
  if (method === "GET" || method === "HEAD") return null;
  const bytes = new TextEncoder().encode(body ?? "");
  if (isDescription(record)) {
    throw notReplayable(
      record,
      "its request was described, not kept (a form, not text, or too large)",
      "the setting record-body-limit says how much is kept",
    );
  }
  if (requestBytes !== null && requestBytes !== bytes.length) {
    throw notReplayable(record, "its request was not kept as it was sent");
  }
  return bytes.length === 0 ? null : bytes;
}

function notReplayable({ id }: StoredRecord, reason: string, hint?: string): ControlError {
  const message = `record ${id} cannot be replayed: ${reason}`;
  return new ControlError("not_replayable", message, hint === undefined ? {} : { hint });
}

/** Whether the record has `{"content_type":...,"bytes":...}` in place of a body that it could not keep. */
export function isDescription({ isTruncated, body }: Pick<StoredRecord, "isTruncated" | "body">): boolean {
  if (!isTruncated) return false;
  const description = asObject(parseJson(body ?? ""));
  return description !== null && typeof description.bytes === "number" && "content_type" in description;
}

/**
 * The upstream that was named, else the one that answered, else the first enabled one.
 *
 * @throws ControlError when there is none, or it has no key of its own
 */
export function chooseUpstream(
  record: StoredRecord,
  { which, names, inbound }: {
    readonly which: string | undefined;
    readonly names: UpstreamNames;
    readonly inbound: Inbound;
  },
): Upstream {
  return which === undefined
    ? withOwnKey(defaultUpstream(record, { names, inbound }))
    : usableForReplay(names.upstreams, names.idOf(which));
}

/** @throws ControlError when it cannot be used, or has no key of its own */
export function usableForReplay(upstreams: readonly Upstream[], id: number): Upstream {
  const upstream = upstreams.find((each) => each.id === id);
  if (upstream !== undefined) return withOwnKey(upstream);
  throw new ControlError("not_found", "there is no such upstream that can be used", {
    field: "upstream",
    hint: "the list shows those that there are",
  });
}

function withOwnKey(upstream: Upstream): Upstream {
  if (upstream.sk !== ASIS) return upstream;
  throw new ControlError(
    "not_replayable",
    `upstream ${upstream.id} forwards the client's own key (${ASIS}), which is never recorded`,
    { field: "upstreamId", hint: "choose another" },
  );
}

function defaultUpstream(
  { upstreamId }: StoredRecord,
  { names, inbound }: { readonly names: UpstreamNames; readonly inbound: Inbound },
): Upstream {
  const answered = names.upstreams.find(({ id, isEnabled }) => id === upstreamId && isEnabled);
  if (answered !== undefined) return answered;
  const [first, ...more] = candidates(allowedUpstreams(names.upstreams, inbound), {
    policy: "order",
    standing: () => ({ availability: "ready", latencyMs: null }),
    random: () => 0,
    turn: 0,
  });
  const upstream = [first, ...more].find((each) => each?.sk !== ASIS) ?? first;
  if (upstream !== undefined) return upstream;
  throw new ControlError("not_found", "no upstream is enabled for this request", {
    field: "upstreamId",
    hint: "add one, or name one",
  });
}
