/**
 * Shows failover on any machine: a broken upstream, a working one, and the real router in front of them.
 *
 * Owns two simulated upstreams, a temporary folder and one process of the real program, and cleans all of
 * them up. Must need neither a key nor the network, and fails when the result is not the expected one.
 */
import { DatabaseSync } from "node:sqlite";
import OpenAI from "openai";
import { heading, print, printFields, printTable, type Row, write } from "./demo/terminal.ts";
import { answerBroken, answerWorking, pause, WORDS } from "./demo/upstreams.ts";

const LIMIT_MS = 60_000;
const QUESTION = "What do you do when an upstream is down?";

const main = new URL("../main.ts", import.meta.url).href;

/** A failure with a message for the user. */
class DemoError extends Error {
  override readonly name = "DemoError";
}

/** What to stop or remove at the end, in reverse order. */
const cleanups: (() => Promise<void> | void)[] = [];
let isStopping = false;

async function cleanUp(): Promise<void> {
  isStopping = true;
  for (let undo = cleanups.pop(); undo !== undefined; undo = cleanups.pop()) {
    try {
      await undo();
    } catch {
      // The other parts must still be stopped.
    }
  }
}

/** The router that is still running at the end of the demo. */
interface Running {
  readonly baseURL: string;
  /** Where the page is. */
  readonly page: string;
  readonly token: string;
  readonly database: string;
}

async function demo(): Promise<Running> {
  const broken = startUpstream(answerBroken);
  const working = startUpstream(answerWorking);
  const directory = await Deno.makeTempDir({ prefix: "openai-api-route-demo-" });
  cleanups.push(() => Deno.remove(directory, { recursive: true }));
  const database = `${directory}/db.sqlite`;

  heading("Two upstreams: the first always answers 503, the second works");
  const add = (
    name: string,
    endpoint: string,
  ) => ["add", "--name", name, "--key", `sk-demo-key-of-${name}`, "--endpoint", endpoint];
  for (const args of [add("broken", broken), add("working", working), ["list"]]) {
    await command([...args, "--database", database], { shown: args });
  }
  const token = (await output(["token", "show", "default", "--database", database])).trim();

  heading("The router, in front of both");
  const { baseURL, page } = await startRouter(["--database", database, "--addr", "127.0.0.1:0"]);
  print(`listening on ${baseURL}`);

  heading("A streamed reply, through the official openai client");
  const reply = await streamReply(new OpenAI({ baseURL, apiKey: token, maxRetries: 0 }));

  heading("The record, as stored");
  const { record, attempts } = await readRecord(database);
  printFields(record);

  heading("Its attempts");
  printTable(attempts);

  heading("Metrics that tell of it");
  for (const line of await metricLines(baseURL)) print(line);

  verify({ reply, record, attempts });
  print("");
  print("The reply is stored word for word, after two attempts, with upstream 2 as its source.");
  return { baseURL, page, token, database };
}

/** Starts a simulated upstream on a free port and returns its base URL. */
function startUpstream(answer: (request: Request) => Response | Promise<Response>): string {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, answer);
  cleanups.push(() => server.shutdown());
  return `http://127.0.0.1:${server.addr.port}/v1`;
}

/**
 * The real program, without the caller's settings.
 * @throws DemoError when the demo is being stopped: a process started now would be left behind
 */
function program(args: readonly string[]): Deno.Command {
  if (isStopping) throw new DemoError("stopped");
  const settings = /^(OAR_|FEISHU_|MATRIX_|ALERT_)/;
  const own = Object.entries(Deno.env.toObject()).filter(([name]) => !settings.test(name));
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", main, ...args],
    env: Object.fromEntries(own),
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
}

async function output(args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await program(args).output();
  const decoder = new TextDecoder();
  if (!success) throw new DemoError(`openai-api-route ${args[0]} failed:\n${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}

async function command(
  args: readonly string[],
  { shown }: { readonly shown: readonly string[] },
): Promise<void> {
  print(`$ openai-api-route ${shown.join(" ")}`);
  print((await output(args)).trimEnd());
}

/** Starts the router and returns its addresses once it listens. */
async function startRouter(flags: readonly string[]): Promise<Pick<Running, "baseURL" | "page">> {
  const child = program(["serve", ...flags]).spawn();
  cleanups.push(async () => {
    try {
      child.kill("SIGTERM");
    } catch {
      // It has already ended: Ctrl-C reaches it too.
    }
    await child.status;
    await Promise.all([reading, errors]);
  });
  let log = "";
  const listening = Promise.withResolvers<Pick<Running, "baseURL" | "page">>();
  const reading = collect(child.stdout, (text) => {
    log += text;
    const [, baseURL] = /^listening on (\S+)/m.exec(log) ?? [];
    const [, page] = /^admin page on (\S+) /m.exec(log) ?? [];
    if (baseURL !== undefined && page !== undefined) listening.resolve({ baseURL, page });
  });
  const errors = collect(child.stderr, (text) => log += text);
  void reading.then(() => listening.reject(new DemoError(`the router did not start:\n${log}`)));
  return await listening.promise;
}

async function collect(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  take: (text: string) => void,
): Promise<void> {
  for await (const text of stream.pipeThrough(new TextDecoderStream())) take(text);
}

/** Asks one question, printing the answer as it arrives, and returns all of it. */
async function streamReply(client: OpenAI): Promise<string> {
  print(`> ${QUESTION}`);
  const stream = await client.chat.completions.create({
    model: "demo-model",
    messages: [{ role: "user", content: QUESTION }],
    stream: true,
    stream_options: { include_usage: true },
  });
  let reply = "";
  for await (const chunk of stream) {
    const text = chunk.choices[0]?.delta.content ?? "";
    reply += text;
    write(text);
  }
  print("");
  return reply;
}

async function readRecord(path: string): Promise<{ record: Row; attempts: readonly Row[] }> {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    // The row is settled before the reply ends, but the client stopped reading at the last word.
    for (let tries = 0; tries < 100; tries++) {
      const record = db.prepare("SELECT * FROM records WHERE outcome <> 'in_flight' ORDER BY id DESC").get();
      if (record !== undefined) {
        const columns = "n, upstream_id, status, error_class, duration_ms, error";
        const attempts = db.prepare(`SELECT ${columns} FROM attempts WHERE record_id = ? ORDER BY n`)
          .all(Number(record["id"]));
        return { record, attempts };
      }
      await pause(20);
    }
    throw new DemoError("no record was written");
  } finally {
    db.close();
  }
}

const SHOWN_METRICS =
  /^openai_api_route_(requests_total|attempts_total|failovers_total|tokens_total|first_token_seconds_count|records_written_total)\b/;

async function metricLines(baseURL: string): Promise<string[]> {
  const response = await fetch(`${baseURL}/metrics`);
  return (await response.text()).split("\n").filter((line) => SHOWN_METRICS.test(line));
}

/** @throws DemoError when the result is not the expected one */
function verify(
  { reply, record, attempts }: { reply: string; record: Row; attempts: readonly Row[] },
): void {
  const isShown = reply === WORDS.join("") && record["response"] === reply && record["upstream_id"] === 2 &&
    record["outcome"] === "complete" && attempts.length === 2 && attempts[0]?.["error_class"] !== null;
  if (!isShown) throw new DemoError("this is not what the router should have done; please report it");
}

async function invite({ baseURL, page, token, database }: Running): Promise<void> {
  const adminToken = (await output(["token", "show", "--admin", "--database", database])).trim();
  heading("Still running, until Ctrl-C: try it");
  print(`curl -N ${baseURL}/chat/completions -H "authorization: Bearer ${token}" \\`);
  print(`  -H "content-type: application/json" \\`);
  print(`  -d '{"model":"demo-model","stream":true,"messages":[{"role":"user","content":"hello"}]}'`);
  print(`sqlite3 -readonly ${database} "select id, outcome, response from records"`);
  print(`the page: ${page}`);
  print(`its token: ${adminToken}`);
}

async function run(args: readonly string[]): Promise<number> {
  const isKept = args.includes("--keep");
  const unknown = args.find((arg) => arg !== "--keep");
  if (unknown !== undefined) {
    console.error(`unknown flag ${unknown}; --keep leaves the router running until Ctrl-C`);
    return 2;
  }
  // The caller's HTTP proxy must not come between the parts of the demo.
  Deno.env.set("NO_PROXY", "127.0.0.1");
  const ended = Promise.withResolvers<number>();
  const onSignal = () => ended.resolve(isKept ? 0 : 130);
  const signals: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
  for (const signal of signals) Deno.addSignalListener(signal, onSignal);
  const limit = setTimeout(() => {
    console.error(`the demo did not end within ${LIMIT_MS / 1000} s`);
    ended.resolve(1);
  }, LIMIT_MS);
  demo().then(async (running) => {
    if (!isKept) return ended.resolve(0);
    await invite(running);
    clearTimeout(limit);
  }).catch((error: unknown) => {
    if (isStopping) return;
    console.error(error instanceof DemoError ? error.message : error);
    ended.resolve(1);
  });
  try {
    return await ended.promise;
  } finally {
    clearTimeout(limit);
    await cleanUp();
  }
}

if (import.meta.main) Deno.exit(await run(Deno.args));
