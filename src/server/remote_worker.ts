/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/**
 * The thread that talks to PostgreSQL. Nothing that happens there, or on the way there, holds up a request.
 */
import { controlErrors } from "../control/change_calls.ts";
import { ConfigChanges } from "../control/config_changes.ts";
import { messageOf } from "../core/errors.ts";
import { Registry } from "../store/config/registry.ts";
import { PgDatabase } from "../store/postgres/pool.ts";
import type { FromRemote, RemoteOpening, ToRemote } from "../store/postgres/remote_messages.ts";
import type { RemoteQueries } from "../store/postgres/remote_queries.ts";
import { RemoteSession } from "../store/postgres/remote_session.ts";
import type { ConfigStore } from "../store/store.ts";
import { packError, storeErrors } from "../store/threads/thrown_errors.ts";
import { systemClock } from "./clock.ts";

/** How often the other thread learns what waits. */
const BACKLOG_MS = 1_000;

/** A request of a client waits for it. */
const SPEND_CONNECT_MS = 1_500;

let session: RemoteSession | null = null;
let backlogTimer: ReturnType<typeof setInterval> | undefined;

function tell(message: FromRemote): void {
  self.postMessage(message);
}

function open({ target, ...rest }: RemoteOpening): void {
  session = new RemoteSession({
    ...rest,
    database: new PgDatabase(target, { clock: systemClock }),
    spendDatabase: new PgDatabase(target, { clock: systemClock, connectTimeoutMs: SPEND_CONNECT_MS }),
    clock: systemClock,
    newId: () => crypto.randomUUID(),
    events: {
      copied: () => tell({ type: "copied" }),
      changed: () => tell({ type: "changed" }),
      shipped: (requestIds, durationMs) => tell({ type: "shipped", requestIds, durationMs }),
      rejected: (requestId, reason) => tell({ type: "rejected", requestId, reason }),
      trouble: (kind, message) => tell({ type: "trouble", kind, message }),
      resumed: () => tell({ type: "resumed" }),
      foreignStates: (states) => tell({ type: "foreign_states", states }),
      dropped: (partitions) => tell({ type: "dropped", partitions }),
    },
  });
  session.start();
  backlogTimer = setInterval(tellBacklog, BACKLOG_MS);
}

function tellBacklog(): void {
  try {
    if (session !== null) tell({ type: "backlog", backlog: session.backlog() });
  } catch {
    // The journal cannot be read; the session says so.
  }
}

/** By the rules of SQLite's store, on what is in PostgreSQL. */
function change(config: ConfigStore, name: string, argument: unknown): unknown {
  const registry = new Registry({ store: config, clock: systemClock, onProblem: () => {} });
  const changes = new ConfigChanges({ config, registry });
  return (changes[name as keyof ConfigChanges] as (argument: unknown) => unknown).call(changes, argument);
}

type Asked = Extract<ToRemote, { type: "call" | "query" | "renew_spend" }>;

async function answer(asked: Asked): Promise<void> {
  const { call } = asked;
  try {
    tell({ type: "answer", call, value: await valueOf(asked) });
  } catch (error) {
    tell({ type: "failed", call, error: packError(error, [controlErrors, storeErrors]) });
  }
}

async function valueOf(asked: Asked): Promise<unknown> {
  if (session === null) throw new TypeError("not open");
  if (asked.type === "renew_spend") return await session.leases.renew(asked.requests);
  const { type, name, argument } = asked;
  if (type === "call") return await session.change((config) => change(config, name, argument));
  const { queries } = session;
  return await (queries[name as keyof RemoteQueries] as (argument: unknown) => unknown).call(
    queries,
    argument,
  );
}

async function close(limitMs: number): Promise<void> {
  clearInterval(backlogTimer);
  try {
    await session?.close(limitMs);
  } catch (error) {
    tell({ type: "trouble", kind: "journal", message: messageOf(error) });
  }
  session = null;
  tell({ type: "closed" });
}

self.onmessage = ({ data }: MessageEvent<ToRemote>): void => {
  switch (data.type) {
    case "open":
      return open(data);
    case "wake":
      return session?.wake();
    case "states":
      return session?.states(data.states);
    case "call":
    case "query":
    case "renew_spend":
      return void answer(data);
    case "check":
      return session?.check(data.check);
    case "model_list":
      return session?.modelList(data.upstreamId, data.asked);
    case "release":
      session?.release();
      return tell({ type: "released" });
    case "resume":
      return session?.resume();
    case "close":
      return void close(data.limitMs);
    default:
      data satisfies never;
  }
};
