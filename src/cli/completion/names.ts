/**
 * `complete-names`: what the completion scripts ask for while somebody types, the names that only the database knows.
 *
 * Never changes, upgrades or makes a database, never waits for a lock, and never says anything but names.
 */
import type { Command } from "commander";
import type { Environment } from "../../config/environment.ts";
import { parseDatabasePath } from "../../config/settings.ts";
import { Upstreams } from "../../control/upstreams.ts";
import { SqliteConfigStore } from "../../store/config/config_store.ts";
import { ReopeningConnection } from "../../store/database/reopening_connection.ts";
import type { ConfigStore } from "../../store/store.ts";
import { type CommandContext, quietRegistry } from "../context.ts";

export const NAMES_COMMAND = "complete-names";

export type NameKind = "upstreams" | "tokens";

/** Names of operands, and of the values of flags, that are such names. */
const KINDS: Readonly<Record<string, NameKind>> = {
  upstream: "upstreams",
  token: "tokens",
  client: "tokens",
};

/** @param placeholder as in `<upstream>` */
export function nameKindOf(placeholder: string): NameKind | null {
  return Object.hasOwn(KINDS, placeholder) ? KINDS[placeholder] ?? null : null;
}

/** Names that a shell can show. */
const MAX_NAMES = 1_000;
const SHOWABLE = /^[^\p{C}\p{Zl}\p{Zp}]{1,200}$/u;

const READERS: Readonly<Record<NameKind, (config: ConfigStore) => readonly (string | null)[]>> = {
  upstreams: (config) =>
    new Upstreams({ config, registry: quietRegistry(config) }).list().map(({ name }) => name),
  tokens: (config) => [
    ...config.listTokens().map(({ name }) => name),
    ...config.listClientTokens().flatMap(({ name }) => name ?? []),
  ],
};

/** Adds the command, which no help shows. */
export function defineNamesCommand(program: Command, { terminal, env }: CommandContext): void {
  program.command(NAMES_COMMAND, { hidden: true })
    .argument("<kind>", "upstreams or tokens")
    .argument("[words...]", "what was typed so far")
    .action((kind: string, words: readonly string[]) => {
      if (!Object.hasOwn(READERS, kind)) return;
      for (const name of namesOf(kind as NameKind, { words, env })) terminal.print(name);
    });
}

function namesOf(
  kind: NameKind,
  { words, env }: { readonly words: readonly string[]; readonly env: Environment },
): string[] {
  try {
    const path = parseDatabasePath({ flags: { database: databaseIn(words) }, env });
    if (!Deno.statSync(path).isFile) return [];
    const connection = new ReopeningConnection(path, { isReadOnly: true, isTidying: true, busyTimeoutMs: 0 });
    try {
      const config = new SqliteConfigStore(connection, { now: Date.now });
      const names = READERS[kind](config).flatMap((name) =>
        name !== null && SHOWABLE.test(name) ? [name] : []
      );
      return [...new Set(names)].slice(0, MAX_NAMES);
    } finally {
      connection.close();
    }
  } catch {
    // Nobody who is typing wants to read why.
    return [];
  }
}

/** What `--database` was given; bash takes `--database=FILE` apart into three words. */
function databaseIn(words: readonly string[]): string | undefined {
  const at = words.findLastIndex((word) => /^--?database(?:=|$)/.test(word));
  if (at < 0) return undefined;
  const [, inline] = /=(.*)$/s.exec(words[at] ?? "") ?? [];
  return inline ?? (words[at + 1] === "=" ? words[at + 2] : words[at + 1]);
}
