/**
 * What was probably meant by a word that is no command, or a flag that is none: names that other programs use.
 *
 * Owns these names. What is only mistyped, commander finds by its letters.
 */
import type { Command } from "commander";

/** Each phrase begins with a command of the program; `""` stands for the program itself. */
export const COMMAND_SYNONYMS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "": synonyms({
    "list": "ls upstreams upstream providers provider backends backend endpoints",
    "list, or doctor, which asks each upstream for its models": "models model",
    "add": "new create insert register",
    "edit": "update change modify set",
    "remove": "rm delete del",
    "enable": "on resume activate",
    "disable": "off pause deactivate",
    "move": "mv order priority sort up down",
    "records list, or records tail -f": "logs log history requests record",
    "records list --text WORDS": "search find grep",
    "records list": "stats usage",
    "token": "tokens auth",
    "token show, or list for the upstreams' keys": "key keys apikey api-key",
    "serve": "start run server listen up daemon",
    "serve --help, which names every setting": "config configure settings env options",
    "doctor": "check diagnose verify test ping",
    "health": "status healthcheck ready healthz readyz",
    "backup": "dump save",
    "restore": "load import",
    "completion": "completions autocomplete",
    "version": "ver info about",
    "help": "man usage",
  }),
  token: synonyms({
    "token show": "ls get print view",
    "token add": "new create make generate",
    "token set": "replace",
    "token edit": "change modify update limit budget rename",
    "token remove": "rm delete del revoke",
  }),
  records: synonyms({
    "records list": "ls search find",
    "records show": "get view cat print",
    "records tail -f": "follow watch live logs",
    "records export": "dump download save",
    "records replay": "retry resend repeat",
  }),
};

/** Each phrase begins with a flag, or with a command. */
export const FLAG_SYNONYMS: Readonly<Record<string, string>> = synonyms({
  "--sk": "key api-key apikey api_key secret secret-key openai-api-key",
  "--endpoint": "url uri base-url base_url baseurl api-base api_base",
  "--addr HOST:PORT": "port p listen bind address host H",
  "--database": "db sqlite data file database-path",
  "--noauth": "no-auth disable-auth",
  "--allow": "models",
  "token add": "token tokens auth-token api-token password",
  "--log-level": "verbose debug quiet loglevel level",
  "--log-format": "log-json",
  "--policy": "strategy order priority balance",
  "--max-attempts": "retries max-retries retry attempts-limit",
  "--allow-origin": "cors cors-origin allowed-origins",
  "--trusted-proxy": "proxies trust-proxy",
  "--set-header": "header headers add-header custom-header",
  "--unset-header": "remove-header drop-header",
  "--body-patch": "patch params override overrides extra-body",
  "--max-parallel": "parallel concurrency max-concurrency",
  "--only-paths": "paths path",
  "--ca-file": "ca cacert ca-cert cert insecure k",
  "--no-admin": "disable-admin noadmin",
  "--keep-days": "retention keep max-age",
  "--max-db-size": "max-size",
  "--text": "search query grep contains q",
  "--since": "from after start",
  "--until": "to end",
  "--client": "user token-name",
  "--failed": "errors error failures failing",
  "--limit": "lines count-limit max",
  "--output": "o out",
  "--yes": "assume-yes no-confirm",
});

function synonyms(words: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(words).flatMap(([meant, others]) => others.split(" ").map((other) => [other, meant])),
  );
}

/**
 * What was probably meant by a word where a command is expected.
 *
 * @param group the command whose subcommand it should be; the program itself at the top
 * @returns a phrase for people, or null
 */
export function suggestCommand(word: string, group: Command, program: Command): string | null {
  const name = group === program ? "" : group.name();
  const known = own(COMMAND_SYNONYMS[name] ?? {}, word.toLowerCase());
  if (known !== null) return known;
  if (name === "records" && /^\d+$/.test(word)) return "records show ID";
  const owners = program.commands.filter((each) => each.commands.some((sub) => sub.name() === word));
  if (owners.length > 0) return owners.map((each) => `${each.name()} ${word}`).join(" or ");
  return null;
}

/** The same for a flag, with its dashes. It may belong to other commands only, which are named then. */
export function suggestFlag(flag: string, command: Command | null, program: Command): string | null {
  const meant = own(FLAG_SYNONYMS, flag.replace(/^-+/, ""));
  if (meant === null || !meant.startsWith("--")) return meant;
  const target = meant.split(" ", 1)[0] ?? "";
  if (command?.options.some(({ long }) => long === target)) return meant;
  const owners = commandsWith(target, program);
  return owners.length === 0 ? null : `${meant}, of ${owners.slice(0, 3).join(", ")}`;
}

/** The commands that have a flag, by their words. */
export function commandsWith(flag: string, command: Command): string[] {
  return command.commands.flatMap((each) => [
    ...(each.options.some(({ long, short }) => long === flag || short === flag) ? [each.name()] : []),
    ...commandsWith(flag, each).map((name) => `${each.name()} ${name}`),
  ]);
}

function own(table: Readonly<Record<string, string>>, word: string): string | null {
  return Object.hasOwn(table, word) ? table[word] ?? null : null;
}
