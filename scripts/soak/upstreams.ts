/**
 * The simulated upstreams of the soak, on 127.0.0.1: each answers according to the request's scenario; some
 * fail first, each in its own way.
 */
import {
  CHAT_ERROR,
  CHAT_OPENING,
  cutJson,
  errorReply,
  events,
  json,
  NAMED_ERROR,
  type Reply,
} from "./replies.ts";
import { MODELS, scenarioOf } from "./scenarios.ts";

/** A failure that the router must hide from the client; null when it answers as it should. */
type Fault = (turn: number, question: { readonly path: string; readonly isStream: boolean }) =>
  | Reply
  | "hang"
  | null;

export interface UpstreamRow {
  readonly name: string;
  readonly endpoint: string;
  readonly allow: string;
  readonly timeoutSeconds: number;
}

const PATIENT_SECONDS = 60;
const HASTY_SECONDS = 1;
const RESTART_EVERY_MS = 5_000;
const DOWN_MS = 1_000;
/**
 * Deno does not always report that the other side has left; this limits how long it is assumed to be there.
 */
const HANG_MS = 20_000;

const none: Fault = () => null;
const unavailable: Fault = (turn) => turn % 3 === 0 ? errorReply(503) : null;
const throttled: Fault = (turn) => {
  if (turn % 8 === 0) return errorReply(429, { "retry-after": "1" });
  return turn % 8 === 4 ? errorReply(429, { "retry-after-ms": "300" }) : null;
};
const hanging: Fault = (turn) => turn % 6 === 0 ? "hang" : null;

/** Answers 200 and fails before any content; not a look-up, whose answer is relayed whatever it says. */
const deceitful: Fault = (turn, { path, isStream }) => {
  if (path.endsWith("/models")) return null;
  if (!isStream) {
    if (turn % 6 === 0) return json(200, { error: { message: "scripted error in a 200" } });
    return turn % 6 === 3 ? cutJson('{"cut":') : null;
  }
  const isChat = path.endsWith("/chat/completions");
  if (turn % 9 === 0) return events([isChat ? CHAT_ERROR : NAMED_ERROR]);
  if (turn % 9 === 3) return events(isChat ? [CHAT_OPENING] : [": hello\n\n"], { end: "cut" });
  return turn % 9 === 6 ? events(isChat ? [CHAT_OPENING] : [": hello\n\n"]) : null;
};

interface Role {
  readonly name: string;
  readonly allow: string;
  readonly fault: Fault;
  readonly timeoutSeconds?: number;
  readonly isRestarting?: boolean;
}

const ROLES: readonly Role[] = [
  { name: "unavailable", allow: MODELS.any, fault: unavailable },
  { name: "throttled", allow: MODELS.any, fault: throttled },
  { name: "restarting", allow: MODELS.any, fault: none, isRestarting: true },
  { name: "hanging", allow: MODELS.any, fault: hanging, timeoutSeconds: HASTY_SECONDS },
  { name: "deceitful", allow: MODELS.any, fault: deceitful },
  { name: "good", allow: `${MODELS.any},${MODELS.good},/v1/models`, fault: none },
  { name: "faulty", allow: MODELS.faulty, fault: none },
  { name: "stuck", allow: MODELS.stuck, fault: none, timeoutSeconds: HASTY_SECONDS },
];

/** All simulated upstreams, and the endpoint that receives alerts. */
export class Upstreams implements AsyncDisposable {
  readonly rows: readonly UpstreamRow[];
  readonly webhook: string;
  readonly #servers: PretendServer[] = [];
  readonly #arrivals = new Map<string, () => void>();
  #alertCount = 0;
  readonly #open = new Set<string>();
  #wrongBodies = 0;

  constructor() {
    this.rows = [
      ...ROLES.map((role) => {
        let turn = 0;
        const server = new PretendServer((request) => this.#answer(request, role, turn++));
        if (role.isRestarting === true) server.restartAtTimes();
        this.#servers.push(server);
        return rowOf(role, server.port);
      }),
      rowOf({ name: "nobody", allow: MODELS.nobody }, freePort()),
    ];
    const webhook = new PretendServer(async (request) => {
      this.#alertCount++;
      await request.body?.cancel();
      return new Response("{}");
    });
    this.#servers.push(webhook);
    this.webhook = `http://127.0.0.1:${webhook.port}/`;
  }

  /** Number of alerts received. */
  get alertCount(): number {
    return this.#alertCount;
  }

  /** Requests that were neither answered to the end nor abandoned by the router. */
  get open(): readonly string[] {
    return [...this.#open];
  }

  /** Requests whose body was not what the client sent. */
  get wrongBodies(): number {
    return this.#wrongBodies;
  }

  /** Resolves when an upstream has received the request; call before sending it. */
  arrived(marker: string): Promise<void> {
    return new Promise((resolve) => this.#arrivals.set(marker, resolve));
  }

  /** Stops waiting for a request that may never arrive. */
  forget(marker: string): void {
    this.#arrivals.delete(marker);
  }

  /** Closes every connection. */
  async close(): Promise<void> {
    await Promise.all(this.#servers.splice(0).map((server) => server.stop()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #answer(request: Request, role: Role, turn: number): Promise<Response> {
    const marker = request.headers.get("user-agent") ?? "";
    const scenario = scenarioOf(marker);
    const body = await request.text();
    const question = scenario?.question(marker);
    if (scenario === null || (question?.body ?? "") !== body) {
      this.#wrongBodies++;
      return Response.json({ error: { message: "not what the client asked" } }, { status: 418 });
    }
    const name = `${role.name} ${turn}: ${scenario.name}, ${marker}`;
    this.#open.add(name);
    const close = () => this.#open.delete(name);
    request.signal.addEventListener("abort", close, { once: true });
    this.#arrivals.get(marker)?.();
    this.#arrivals.delete(marker);
    const asked = { path: question?.path ?? "", isStream: body.includes('"stream":true') };
    const reply = role.fault(turn, asked) ?? scenario.reply(marker) ?? "hang";
    if (reply === "hang") return await hang(request.signal);
    return new Response(bodyOf(reply, { signal: request.signal, close }), {
      status: reply.status,
      headers: reply.headers,
    });
  }
}

function rowOf(role: Pick<Role, "name" | "allow" | "timeoutSeconds">, port: number): UpstreamRow {
  const { name, allow, timeoutSeconds = PATIENT_SECONDS } = role;
  return { name, allow, timeoutSeconds, endpoint: `http://127.0.0.1:${port}/v1` };
}

/** Does not answer within any sensible time; ends when the router gives up. */
async function hang(signal: AbortSignal): Promise<Response> {
  await pause(HANG_MS, signal);
  return new Response(null, { status: 503 });
}

function bodyOf(
  { parts, pauseMs, end }: Reply,
  { signal, close }: { readonly signal: AbortSignal; readonly close: () => void },
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const encoder = new TextEncoder();
  let at = 0;
  return new ReadableStream({
    async pull(controller) {
      if (pauseMs > 0 && at > 0) await pause(pauseMs, signal);
      const part = parts[at++];
      if (part !== undefined) return controller.enqueue(encoder.encode(part));
      if (end === "silent") {
        await new Promise<void>((resolve) => {
          if (signal.aborted) return resolve();
          signal.addEventListener("abort", () => resolve(), { once: true });
        });
      }
      close();
      controller.close();
    },
    cancel: close,
  }, { highWaterMark: 0 });
}

/** Resolves after a time, or at once when the signal fires. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve();
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end, { once: true });
  });
}

function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  return port;
}

/** A server that can stop listening and come back on its port. */
class PretendServer {
  readonly #handler: Deno.ServeHandler<Deno.NetAddr>;
  readonly #stopping = new AbortController();
  #abort = new AbortController();
  #server: Deno.HttpServer<Deno.NetAddr>;
  #restarts: Promise<void> = Promise.resolve();

  constructor(handler: Deno.ServeHandler<Deno.NetAddr>) {
    this.#handler = handler;
    this.#server = this.#listen(0);
  }

  get port(): number {
    return this.#server.addr.port;
  }

  /** Refuses connections for a second, every few seconds, after answering the requests in flight. */
  restartAtTimes(): void {
    this.#restarts = this.#restart();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#restarts;
    this.#abort.abort();
    await this.#server.finished;
  }

  async #restart(): Promise<void> {
    const { signal } = this.#stopping;
    const { port } = this;
    for (;;) {
      await pause(RESTART_EVERY_MS, signal);
      if (signal.aborted) return;
      await this.#server.shutdown();
      await pause(DOWN_MS, signal);
      this.#server = this.#listen(port);
    }
  }

  #listen(port: number): Deno.HttpServer<Deno.NetAddr> {
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    return Deno.serve({ hostname: "127.0.0.1", port, signal, onListen: () => {} }, this.#handler);
  }
}
