/**
 * Runs the cases of the self-test: the real server, on a database of its own, between a client and upstreams
 * that misbehave. All of it in this process, on 127.0.0.1.
 *
 * Leaves nothing behind: the database is in a temporary directory.
 */
import { CommandError } from "../errors.ts";
import { asObject, parseJson } from "../../capture/json.ts";
import { parseSettings, type Settings } from "../../config/settings.ts";
import { messageOf } from "../../core/errors.ts";
import { randomToken } from "../../store/config/initial_tokens.ts";
import { type OpenDatabase, openDatabase } from "../../store/database/open.ts";
import type { StoredRecord } from "../../store/store.ts";
import { liveRegistry, type Serving, withServer } from "../../server/server.ts";
import { type Case, CASES, type Result } from "./cases.ts";
import { refusingEndpoint, type Script, ScriptedUpstream } from "./upstream.ts";

/** One case with its result. */
export interface Tried {
  readonly name: string;
  readonly isOk: boolean;
  readonly expected: Result;
  readonly happened: Result;
  readonly ms: number;
  /** Why there was no complete answer; null when there was one. */
  readonly error: string | null;
}

/** All cases of one server together; what has not been tried by then has failed. */
const TOTAL_LIMIT_MS = 17_000;
const CASE_LIMIT_MS = 6_000;
const RECORD_LIMIT_MS = 2_000;
const RECORD_POLL_MS = 10;
const DRAIN_LIMIT_MS = 1_000;

/** Short enough that timeouts are seen within seconds. */
const FLAGS = {
  addr: "127.0.0.1:0",
  gateMs: "300",
  keepalive: "0",
  firstTokenTimeout: "1",
  idleTimeout: "3",
  queueTimeout: "0.2",
};

const CHAT = { model: "selftest", messages: [{ role: "user", content: "Does it work?" }] };

/** @throws CommandError, StoreError when the router cannot be started at all */
export async function runSelftest(): Promise<Tried[]> {
  const directory = await makeDirectory();
  try {
    // Only in the cases about lists of models are upstreams asked for them: the others count what they are asked.
    const plain = CASES.filter(({ lists }) => lists === undefined);
    const listing = CASES.filter(({ lists }) => lists !== undefined);
    return [
      ...await runWith({ models: "first", database: `${directory}/db.sqlite` }, plain),
      ...await runWith({ models: "union", database: `${directory}/models.sqlite` }, listing),
    ];
  } finally {
    await Deno.remove(directory, { recursive: true }).catch(() => {});
  }
}

async function runWith(
  flags: { readonly models: "first" | "union"; readonly database: string },
  cases: readonly Case[],
): Promise<Tried[]> {
  // No environment: neither settings nor alert channels of this machine take part.
  const settings = parseSettings({ flags: { ...FLAGS, ...flags }, env: {} });
  const database = openDatabase(settings.database);
  try {
    return await runCases(settings, { database, cases });
  } finally {
    database.close();
  }
}

async function makeDirectory(): Promise<string> {
  try {
    return await Deno.makeTempDir({ prefix: "openai-api-route-selftest-" });
  } catch (error) {
    throw new CommandError(
      `Cannot make a temporary directory: ${messageOf(error)}; name a writable one in the variable TMPDIR`,
    );
  }
}

async function runCases(
  settings: Settings,
  { database, cases }: { readonly database: OpenDatabase; readonly cases: readonly Case[] },
): Promise<Tried[]> {
  const token = randomToken();
  database.config.setTokens([{ name: "selftest", secret: token }]);
  await using upstream = new ScriptedUpstream();
  const tried: Tried[] = [];
  const total = new AbortController();
  const timer = setTimeout(() => total.abort(new Error("the time for the self-test is up")), TOTAL_LIMIT_MS);
  try {
    await withServer(
      settings,
      { registry: liveRegistry(database), database, remote: null },
      async (server) => {
        try {
          const bench: Bench = { server, database, upstream, token, signal: total.signal };
          for (const each of cases) tried.push(await tryCase(each, bench));
        } finally {
          server.drain();
          await within(DRAIN_LIMIT_MS, server.drained);
        }
      },
    );
  } finally {
    clearTimeout(timer);
  }
  return tried;
}

interface Bench {
  readonly server: Serving;
  readonly database: OpenDatabase;
  readonly upstream: ScriptedUpstream;
  readonly token: string;
  readonly signal: AbortSignal;
}

async function tryCase(each: Case, bench: Bench): Promise<Tried> {
  const startedAt = performance.now();
  if (each.upstreams !== "same") configure(each, bench);
  if (each.inFront !== undefined) putInFront(each.inFront, bench);
  if (each.lists !== undefined) await untilListed(bench);
  const answer = await ask(each, bench);
  const record = await recordOf(answer.requestId, bench);
  const happened: Result = {
    status: answer.status,
    attempts: record === null
      ? []
      : bench.database.records.attempts(record.id).map(({ errorClass }) => errorClass ?? "ok"),
    outcome: record?.outcome ?? null,
    reply: judge(answer, each),
  };
  return {
    name: each.name,
    isOk: isSame(each.expected, happened),
    expected: each.expected,
    happened,
    ms: Math.round(performance.now() - startedAt),
    error: answer.error,
  };
}

/** New rows with new endpoints, so that no failure of an earlier case counts. */
function configure(
  { upstreams, timeout, rpm, keys, lists }: Case,
  { server, database: { config }, upstream }: Bench,
): void {
  for (const { id } of config.listUpstreams()) config.removeUpstream(id);
  for (const [index, script] of (upstreams === "same" ? [] : upstreams).entries()) {
    const list = lists?.[index] ?? null;
    const endpoint = script === "refuse" ? refusingEndpoint() : upstream.endpoint(script, list);
    config.addUpstream({
      sk: keys?.join("\n") ?? randomToken(),
      endpoint,
      timeout: timeout ?? null,
      options: { rpm: rpm ?? null },
    });
  }
  server.registry.reloadNow();
}

function putInFront(script: Script, { server, database: { config }, upstream }: Bench): void {
  const { id } = config.addUpstream({ sk: randomToken(), endpoint: upstream.endpoint(script, null) });
  config.moveUpstream(id, 1);
  server.registry.reloadNow();
}

/** The router answers a request for models when each upstream has been asked. */
async function untilListed({ server, token, signal }: Bench): Promise<void> {
  const url = `http://127.0.0.1:${server.address.port}/v1/models`;
  const limit = AbortSignal.any([signal, AbortSignal.timeout(CASE_LIMIT_MS)]);
  try {
    const response = await fetch(url, { headers: { authorization: `Bearer ${token}` }, signal: limit });
    await response.body?.cancel();
  } catch {
    // The case shows that it is not known.
  }
}

interface Answer {
  readonly status: number | null;
  readonly requestId: string | null;
  readonly text: string;
  readonly error: string | null;
}

async function ask({ isStream, hasWrongToken, request }: Case, bench: Bench): Promise<Answer> {
  const { server, upstream, token, signal } = bench;
  const patience = new AbortController();
  const timer = setTimeout(
    () => patience.abort(new Error(`no end within ${CASE_LIMIT_MS / 1000} s`)),
    CASE_LIMIT_MS,
  );
  let status: number | null = null;
  let requestId: string | null = null;
  let text = "";
  upstream.expectClient();
  try {
    const response = await fetch(
      `http://127.0.0.1:${server.address.port}${request?.path ?? "/v1/chat/completions"}`,
      {
        method: "POST",
        headers: {
          "authorization": `Bearer ${hasWrongToken ? randomToken() : token}`,
          "content-type": "application/json",
        },
        body: JSON.stringify({ ...request?.body ?? CHAT, stream: isStream }),
        signal: AbortSignal.any([signal, patience.signal]),
      },
    );
    status = response.status;
    requestId = response.headers.get("x-oar-request-id");
    const decoder = new TextDecoder();
    for await (const bytes of response.body ?? []) {
      text += decoder.decode(bytes, { stream: true });
      upstream.clientHasBytes();
    }
    return { status, requestId, text, error: null };
  } catch (error) {
    return { status, requestId, text, error: messageOf(error) };
  } finally {
    clearTimeout(timer);
    upstream.clientHasBytes();
  }
}

/** The settled record: it is committed before a reply ends, but a reply that was cut has no end to wait. */
async function recordOf(requestId: string | null, { database, signal }: Bench): Promise<StoredRecord | null> {
  if (requestId === null) return null;
  const deadline = performance.now() + RECORD_LIMIT_MS;
  for (;;) {
    const record = database.records.get(requestId);
    if (record !== null && record.outcome !== "in_flight") return record;
    if (performance.now() > deadline || signal.aborted) return record;
    await new Promise((resolve) => setTimeout(resolve, RECORD_POLL_MS));
  }
}

function judge({ text, error }: Answer, { reply }: Case): Result["reply"] {
  if (reply === null) {
    const isOurs = typeof asObject(asObject(parseJson(text))?.error)?.code === "string";
    return isOurs ? "own error" : "another reply";
  }
  if (text === reply && error === null) return "reply as sent";
  return text !== "" && reply.startsWith(text) ? "reply cut" : "another reply";
}

function isSame(expected: Result, happened: Result): boolean {
  return expected.status === happened.status && expected.outcome === happened.outcome &&
    expected.reply === happened.reply && expected.attempts.join() === happened.attempts.join();
}

async function within(limitMs: number, work: Promise<void>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, limitMs);
  await Promise.race([work, promise]);
  clearTimeout(timer);
}
