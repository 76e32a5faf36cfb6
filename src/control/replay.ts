/**
 * Sends a recorded request again, through the router itself: it is relayed, recorded and counted like any other.
 *
 * Owns the request that is made of a record, and the comparison of the two replies.
 */
import type { Clock } from "../core/clock.ts";
import type { Inbound, RequestRecord, Upstream } from "../core/types.ts";
import type { ReplayResult } from "./admin_service.ts";
import type { RequestContext } from "../proxy/handler.ts";
import type { RegistrySnapshot, StoredRecord } from "../store/store.ts";
import type { InboundExchange } from "../wire/exchange.ts";
import { toInbound, usableForReplay } from "./replay_request.ts";
import { type DiffPart, diffRepliesInSteps } from "./reply_diff.ts";
import { ControlError } from "./errors.ts";
import type { LiveHub } from "./live_hub.ts";
import { LoopbackExchange } from "./loopback_exchange.ts";

export interface ReplayDeps {
  readonly proxy: { handle(client: InboundExchange, context: RequestContext): Promise<void> };
  readonly snapshot: () => RegistrySnapshot;
  readonly hub: Pick<LiveHub, "onSettled">;
  readonly clock: Clock;
}

/** Name of the client in the records of replays. */
const REPLAY_CLIENT = "admin";

/**
 * @param upstreamId null: any, in the usual order
 * @throws ControlError when the request was not kept whole, or the upstream has no key of its own
 */
export async function replay(
  deps: ReplayDeps,
  record: StoredRecord,
  upstreamId: number | null,
): Promise<ReplayResult> {
  const snapshot = deps.snapshot();
  // A person may choose a disabled one, and one that does not allow the model.
  const upstreams = upstreamId === null
    ? snapshot.upstreams
    : [forReplay(usableForReplay(snapshot.upstreams, upstreamId))];
  const inbound = toInbound(record, deps.clock);
  const settled = await send(deps, inbound, { ...snapshot, upstreams });
  const { requestId, status, response, reasoning, toolCalls, elapsedMs } = settled;
  const diff = await diffRepliesInSteps(record, { response, toolCalls });
  return {
    requestId,
    status,
    text: response,
    reasoning,
    toolCalls,
    elapsedMs: Math.round(elapsedMs),
    diff: (diff ?? replaced(record.response ?? "", response)).flatMap(toLines),
  };
}

/** For any model, path and size. */
function forReplay(upstream: Upstream): Upstream {
  const shaping = { ...upstream.shaping, onlyPaths: [], maxBodyBytes: null };
  return { ...upstream, isEnabled: true, allow: [], deny: [], shaping };
}

/** Relays it to its end and returns its record. */
async function send(deps: ReplayDeps, inbound: Inbound, snapshot: RegistrySnapshot): Promise<RequestRecord> {
  const records = new Map<string, RequestRecord>();
  const stop = deps.hub.onSettled((record) => {
    if (record.client === REPLAY_CLIENT) records.set(record.requestId, record);
  });
  try {
    const exchange = new LoopbackExchange(inbound);
    await deps.proxy.handle(exchange, {
      path: inbound.path,
      query: "",
      clientIp: "",
      clientName: REPLAY_CLIENT,
      clientToken: null,
      snapshot,
    });
    const record = records.get(exchange.requestId ?? "");
    if (record !== undefined) return record;
    throw new ControlError("failed", "the replay left no record", { hint: "the log says why" });
  } finally {
    stop();
  }
}

/** For replies that are too different to be compared in time. */
function replaced(before: string, after: string): DiffPart[] {
  return [{ type: "removed", text: before }, { type: "added", text: after }];
}

function toLines({ type, text }: DiffPart): DiffPart[] {
  return text.split("\n").map((line) => ({ type, text: line }));
}
