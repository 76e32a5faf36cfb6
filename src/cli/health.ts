/**
 * `health`: asks a running server on this machine whether it answers, for the health checks of containers.
 *
 * Speaks HTTP by hand: `fetch` would send a request to this machine through the proxy of the environment.
 */
import { CommandError, UsageError } from "./errors.ts";
import type { Command } from "commander";
import { SETTING_FLAGS } from "../config/flags.ts";
import { addressText, parseSettings } from "../config/settings.ts";
import { messageOf } from "../core/errors.ts";
import { type CommandContext, settingOption } from "./context.ts";

interface HealthFlags {
  readonly addr?: string;
}

const ADDRESS_FLAG = SETTING_FLAGS[0];
const LIMIT_MS = 5_000;
const MAX_STATUS_LINE_BYTES = 1024;

/** Adds the command to the program. */
export function defineHealthCommand(program: Command, context: CommandContext): void {
  program.command("health")
    .description("check that the server on this machine answers; for the health checks of containers")
    .helpGroup("Server:")
    .addOption(
      settingOption({
        ...ADDRESS_FLAG,
        description: "where the server listens; no host means this machine",
        group: "Listening",
      }).helpGroup("Options:"),
    )
    .action((flags: HealthFlags) => health(context, flags));
}

/** @throws CommandError when the server does not answer, UsageError */
async function health({ terminal, env }: CommandContext, { addr }: HealthFlags): Promise<void> {
  const { listen } = parseSettings({ flags: { addr }, env: { OAR_ADDR: env["OAR_ADDR"] } });
  if (listen.port === 0) throw new UsageError("port 0 is any port: name the server's with --addr");
  const address = { hostname: reachable(listen.hostname), port: listen.port };
  const shown = addressText(address);
  const problem = await problemAt(address, shown);
  if (problem !== null) throw new CommandError(`the server at ${shown} is not healthy: ${problem}`);
  terminal.print(`the server at ${shown} answers`);
}

/** The address under which this machine reaches a server that listens there. */
function reachable(hostname: string): string {
  if (hostname === "" || hostname === "0.0.0.0") return "127.0.0.1";
  return /^[0:]+$/.test(hostname) ? "::1" : hostname;
}

async function problemAt(address: Deno.ConnectOptions, host: string): Promise<string | null> {
  const late = Promise.withResolvers<string>();
  const timer = setTimeout(() => late.resolve(`no answer within ${LIMIT_MS / 1000} s`), LIMIT_MS);
  try {
    return await Promise.race([late.promise, askStatus(address, host)]);
  } finally {
    clearTimeout(timer);
  }
}

async function askStatus(address: Deno.ConnectOptions, host: string): Promise<string | null> {
  try {
    using connection = await Deno.connect(address);
    const request = `GET /healthz HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`;
    await connection.write(new TextEncoder().encode(request));
    const buffer = new Uint8Array(MAX_STATUS_LINE_BYTES);
    let line = "";
    while (!line.includes("\r\n") && line.length < MAX_STATUS_LINE_BYTES) {
      const count = await connection.read(buffer);
      if (count === null) break;
      line += new TextDecoder("latin1").decode(buffer.subarray(0, count));
    }
    const status = /^HTTP\/1\.[01] (\d{3}) /.exec(line)?.[1];
    if (status === "200") return null;
    return status === undefined ? "what listens there is no HTTP server" : `it answered ${status}`;
  } catch (error) {
    return error instanceof Deno.errors.ConnectionRefused ? "nobody listens there" : messageOf(error);
  }
}
