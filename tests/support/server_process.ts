/**
 * A server of another project as a process for tests: never as root, and never longer than the test process.
 */
import { eventually } from "./router.ts";

/** Servers refuse to run as root; then it is one of these users. */
const USERS = ["postgres", "nobody"];

/** Words before a command that make it run as another user. */
function asUser(): string[] {
  if (Deno.uid() !== 0) return [];
  const { uid, gid } = serverUser();
  return ["setpriv", `--reuid=${uid}`, `--regid=${gid}`, "--clear-groups", "--"];
}

function serverUser(): { uid: number; gid: number } {
  const passwd = Deno.readTextFileSync("/etc/passwd").split("\n").map((line) => line.split(":"));
  for (const name of USERS) {
    const [, , uid, gid] = passwd.find(([each]) => each === name) ?? [];
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) };
  }
  throw new Error("there is no user to run a server as");
}

/** A folder that belongs to the user who runs servers; remove it in the end. */
export async function serverFolder(): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "oar-server-" });
  await give(folder);
  return folder;
}

/** Makes the path belong to the user who runs servers. */
export async function give(path: string): Promise<void> {
  if (Deno.uid() !== 0) return;
  const { uid, gid } = serverUser();
  await Deno.chown(path, uid, gid);
}

/** Servers are in folders that are not everybody's. */
export const PATHS = { PATH: `${Deno.env.get("PATH") ?? ""}:/usr/sbin:/sbin` };

const ENV = { LC_ALL: "C.UTF-8", HOME: "/nonexistent", ...PATHS };

/** Runs a command as that user to its end; throws with its output when it fails. */
export async function runAsServer(command: readonly string[], input = ""): Promise<string> {
  const [program = "", ...args] = [...asUser(), ...command];
  const child = new Deno.Command(program, {
    args,
    env: ENV,
    clearEnv: true,
    cwd: "/",
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input)).catch(() => {});
  await writer.close().catch(() => {});
  const { success, stdout, stderr } = await child.output();
  if (!success) throw new Error(`${command.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}

/** Its input ends with the test process, however that ends; a signal to all of the group ends `cat`, not the shell. */
const WATCHED = `trap : TERM INT HUP
"$@" >>"$LOG" 2>&1 & child=$!
echo $child
cat >/dev/null
kill -$STOP $child 2>/dev/null
kill -CONT $child 2>/dev/null
wait $child`;

export class ServerProcess {
  readonly #shell: Deno.ChildProcess;
  /** Of the server itself. */
  readonly pid: number;

  private constructor(shell: Deno.ChildProcess, pid: number) {
    this.#shell = shell;
    this.pid = pid;
  }

  /** @param options.stop the signal that ends this server at once; a shell's background processes ignore INT and QUIT */
  static async start(
    command: readonly string[],
    { log, stop }: { log: string; stop: "QUIT" | "TERM" },
  ): Promise<ServerProcess> {
    const [program = "", ...args] = [...asUser(), "sh", "-c", WATCHED, "sh", ...command];
    const shell = new Deno.Command(program, {
      args,
      env: { ...ENV, LOG: log, STOP: stop },
      clearEnv: true,
      cwd: "/",
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const reader = shell.stdout.getReader();
    const { value } = await reader.read();
    await reader.cancel();
    return new ServerProcess(shell, Number(new TextDecoder().decode(value)));
  }

  /** Sends the signal to the server and to all processes that it has started. */
  async signalAll(signal: Deno.Signal): Promise<void> {
    for (const pid of [this.pid, ...await childrenOf(this.pid)]) sendSignal(pid, signal);
  }

  /** Ends it as a power cut does: nothing of it runs any more. */
  async kill9(): Promise<void> {
    const children = await childrenOf(this.pid);
    for (const pid of [this.pid, ...children]) sendSignal(pid, "SIGKILL");
    await this.stop();
    await eventually(() => children.some(isRunning) ? null : true, "the end of the server's processes");
  }

  async stop(): Promise<void> {
    await this.#shell.stdin.close().catch(() => {});
    await this.#shell.status;
  }
}

function sendSignal(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

async function childrenOf(pid: number): Promise<number[]> {
  const children: number[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (/^\d+$/.test(name) && statOf(Number(name))?.parent === pid) children.push(Number(name));
  }
  return children;
}

function isRunning(pid: number): boolean {
  const stat = statOf(pid);
  return stat !== null && stat.state !== "Z";
}

function statOf(pid: number): { state: string; parent: number } | null {
  try {
    // The name, in parentheses, may hold anything.
    const [state = "", parent = ""] =
      Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ").at(-1)?.split(" ") ??
        [];
    return { state, parent: Number(parent) };
  } catch {
    return null;
  }
}

/** A port of 127.0.0.1 that nobody listens on at the moment. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
