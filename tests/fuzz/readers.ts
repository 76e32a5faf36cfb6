/**
 * Other programs that read HTTP/1.1: nginx, Node and Go. Starts the installed ones.
 *
 * Each answers a request with `x-seen`, which tells how it read the request; nginx forwards to a strict
 * upstream that does so. With `CI=true` all three are required.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { TextLineStream } from "./lines.ts";
import type { StrictRequest } from "../support/strict_messages.ts";
import { StrictUpstream } from "../support/strict_upstream.ts";
import { bytesOf } from "./random.ts";

/** A request as read by a program. Long parts are replaced by their length and digest. */
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

/** All installed readers. @throws with `CI=true` when one is missing */
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

/** The head of an answer that tells how its request was read. */
export function seenReply({ method, target, body }: StrictRequest): string {
  const parts = [Buffer.from(method, "latin1"), Buffer.from(target, "latin1"), body];
  return `HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-seen: ${parts.map(shown).join(".")}\r\n\r\n` +
    (method === "HEAD" ? "" : "ok");
}

/** How the requests on a connection were read, from the answers, in order. */
export function seenIn(answers: string): Seen[] {
  return [...answers.matchAll(/^x-seen: ([\w.-]*)\r$/gim)].map(([, parts = ""]) => {
    const [method = "", target = "", body = ""] = parts.split(".").map(read);
    return { method, target, body };
  });
}

/** A request as read by the strict reader, in the same form. */
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
 * Sends these bytes in pieces, ends the sending direction, and returns everything received.
 * @param beforeEnd awaited between the last byte and the end; always called
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
    // A reset counts as the end.
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
    // The peer has already refused it.
  }
  await beforeEnd?.();
  await connection.closeWrite().catch(() => {});
}

/** A program that prints its port and exits at the end of its input. */
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
    // The file is not needed while the program runs.
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

  /** Resolves when it accepts connections. */
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

/**
 * Accepts and forwards as much as possible; a client may end its sending direction after the last request.
 */
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
