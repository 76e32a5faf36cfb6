/**
 * Other programs that read HTTP/1.1: nginx, Node and Go. Starts those that this machine has.
 *
 * Each answers a request with `x-seen`, which says how it read it; nginx hands the request on to a strict upstream that
 * does. In the gate (`CI=true`) all three must be there.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { TextLineStream } from "./lines.ts";
import type { StrictRequest } from "../support/strict_messages.ts";
import { StrictUpstream } from "../support/strict_upstream.ts";
import { bytesOf } from "./random.ts";

/** A request as some program read it. A long part is its length and digest. */
export interface Seen {
  readonly method: string;
  readonly target: string;
  readonly body: string;
}

export interface Reader extends AsyncDisposable {
  readonly name: string;
  readonly port: number;
}

const HERE = new URL("./readers/", import.meta.url).pathname;
const MAX_SHOWN_BYTES = 512;

/** All that are there. @throws with `CI=true` when one is not */
export async function startReaders(): Promise<Reader[]> {
  const readers: Reader[] = [];
  for (const [name, start] of [["nginx", startNginx], ["node", startNode], ["go", startGo]] as const) {
    const reader = await start(name).catch((error: unknown) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      return null;
    });
    if (reader !== null) readers.push(reader);
    else if (Deno.env.get("CI") === "true") throw new Error(`${name} is not installed: the gate needs it`);
    else console.log(`skipped: ${name} is not installed`);
  }
  return readers;
}

/** The head of an answer that says how its request was read. */
export function seenReply({ method, target, body }: StrictRequest): string {
  const parts = [Buffer.from(method, "latin1"), Buffer.from(target, "latin1"), body];
  return `HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-seen: ${parts.map(shown).join(".")}\r\n\r\n` +
    (method === "HEAD" ? "" : "ok");
}

/** What the answers on a connection say about the requests on it, in order. */
export function seenIn(answers: string): Seen[] {
  return [...answers.matchAll(/^x-seen: ([\w.-]*)\r$/gim)].map(([, parts = ""]) => {
    const [method = "", target = "", body = ""] = parts.split(".").map(read);
    return { method, target, body };
  });
}

/** What a strict reader saw, in the same form. */
export function seenOf(request: StrictRequest): Seen {
  const [seen] = seenIn(seenReply(request));
  if (seen === undefined) throw new Error("an answer that cannot be read");
  return seen;
}

function shown(bytes: Buffer): string {
  if (bytes.length <= MAX_SHOWN_BYTES) return bytes.toString("base64url");
  return `${bytes.length}-${createHash("sha256").update(bytes).digest("hex")}`;
}

function read(part: string): string {
  return /^\d+-[0-9a-f]{64}$/.test(part) ? part : Buffer.from(part, "base64url").toString("latin1");
}

/**
 * Sends these bytes in pieces, says that nothing more comes, and gives all that comes back.
 * @param beforeEnd waited for between the last byte and the end; called in any case
 */
export async function converse(
  port: number,
  pieces: readonly string[],
  beforeEnd: (() => Promise<void>) | null,
): Promise<string> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  connection.setNoDelay(true);
  const sending = send(connection, pieces, beforeEnd);
  const answers: Buffer[] = [];
  const chunk = new Uint8Array(64 * 1024);
  try {
    for (let count = await connection.read(chunk); count !== null; count = await connection.read(chunk)) {
      answers.push(Buffer.from(chunk.subarray(0, count)));
    }
  } catch {
    // A reset is an end.
  }
  await sending;
  connection.close();
  return Buffer.concat(answers).toString("latin1");
}

async function send(
  connection: Deno.TcpConn,
  pieces: readonly string[],
  beforeEnd: (() => Promise<void>) | null,
): Promise<void> {
  try {
    for (const piece of pieces) {
      const bytes = bytesOf(piece);
      for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
    }
  } catch {
    // The other side has refused it already.
  }
  await beforeEnd?.();
  await connection.closeWrite().catch(() => {});
}

/** A program that prints its port and ends when its input does. */
class ReaderProcess implements Reader {
  private constructor(
    readonly name: string,
    readonly port: number,
    private readonly child: Deno.ChildProcess,
    private readonly lines: ReadableStreamDefaultReader<string>,
  ) {}

  static async start(name: string, command: string, args: readonly string[]): Promise<ReaderProcess> {
    const child = new Deno.Command(command, {
      args: [...args],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const lines = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())
      .getReader();
    const { value } = await lines.read();
    if (value === undefined) throw new Error(`${name} did not start`);
    return new ReaderProcess(name, Number(value), child, lines);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.child.stdin.close();
    await this.lines.cancel();
    await this.child.status;
  }
}

function startNode(name: string): Promise<Reader> {
  return ReaderProcess.start(name, "node", [`${HERE}node_server.mjs`]);
}

async function startGo(name: string): Promise<Reader> {
  const directory = await Deno.makeTempDir({ prefix: "oar-fuzz-go-" });
  try {
    const built = await new Deno.Command("go", {
      args: ["build", "-o", `${directory}/server`, `${HERE}go_server.go`],
      stdout: "inherit",
      stderr: "inherit",
    }).output();
    if (!built.success) throw new Error("go cannot build its server");
    return await ReaderProcess.start(name, `${directory}/server`, []);
  } finally {
    // A running program does not need its file.
    await Deno.remove(directory, { recursive: true });
  }
}

/** nginx as a proxy in front of a strict upstream. */
class NginxReader implements Reader {
  private constructor(
    readonly name: string,
    readonly port: number,
    private readonly child: Deno.ChildProcess,
    private readonly directory: string,
    private readonly upstream: StrictUpstream,
  ) {}

  static async start(name: string): Promise<NginxReader> {
    const upstream = new StrictUpstream((request, wire) => wire.write(seenReply(request)));
    const directory = await Deno.makeTempDir({ prefix: "oar-fuzz-nginx-" });
    try {
      const port = freePort();
      await Deno.writeTextFile(`${directory}/nginx.conf`, nginxConfig({ directory, port, upstream }));
      const child = new Deno.Command(await nginxCommand(), {
        args: ["-c", `${directory}/nginx.conf`, "-p", directory],
        stdout: "null",
        stderr: "piped",
      }).spawn();
      const reader = new NginxReader(name, port, child, directory, upstream);
      await reader.#listening();
      return reader;
    } catch (error) {
      await upstream[Symbol.asyncDispose]();
      await Deno.remove(directory, { recursive: true });
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGTERM");
    await this.child.stderr.cancel();
    await this.child.status;
    await this.upstream[Symbol.asyncDispose]();
    await Deno.remove(this.directory, { recursive: true });
  }

  /** Resolves when it takes connections. */
  async #listening(): Promise<void> {
    const ended = this.child.status.then(({ code }) => {
      throw new Error(`nginx ended with ${code}`);
    });
    ended.catch(() => {});
    for (let isListening = false; !isListening;) {
      const connected = Deno.connect({ hostname: "127.0.0.1", port: this.port }).then((connection) => {
        connection.close();
        return true;
      }, () => false);
      isListening = await Promise.race([connected, ended]);
    }
  }
}

function startNginx(name: string): Promise<Reader> {
  return NginxReader.start(name);
}

async function nginxCommand(): Promise<string> {
  const directories = [...(Deno.env.get("PATH") ?? "").split(":"), "/usr/sbin", "/usr/local/sbin"];
  for (const directory of directories) {
    const info = await Deno.stat(`${directory}/nginx`).catch(() => null);
    if (info?.isFile) return `${directory}/nginx`;
  }
  throw new Deno.errors.NotFound("nginx");
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Takes and hands on as much as it can; a client that has said everything may end its side. */
function nginxConfig(
  { directory, port, upstream }: {
    readonly directory: string;
    readonly port: number;
    readonly upstream: StrictUpstream;
  },
): string {
  const user = Deno.uid() === 0 ? "user root;" : "";
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${directory}/${name};`).join(" ");
  return `${user} worker_processes 1; daemon off; pid ${directory}/pid; error_log ${directory}/error.log crit;
events { worker_connections 1024; }
http {
  access_log off; ${temporary} underscores_in_headers on; client_max_body_size 0;
  large_client_header_buffers 8 128k; keepalive_requests 1000000;
  upstream strict { server 127.0.0.1:${upstream.port}; keepalive 16; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://strict; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_ignore_client_abort on; proxy_request_buffering on;
    }
  }
}
`;
}
