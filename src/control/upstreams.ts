/**
 * The upstreams of one database: what is known of each, and every change to them.
 *
 * Owns what may be seen of a key, how upstreams are named and found, and which changes are refused. The registry has
 * read a change when the call returns.
 */
import { cleanText } from "../core/clean_text.ts";
import { maskSecret } from "../core/secrets.ts";
import { ASIS, type Upstream } from "../core/types.ts";
import { targetOf } from "../core/upstream_target.ts";
import { isCheckOf } from "../store/config/upstream_checks.ts";
import type { Registry } from "../store/config/registry.ts";
import { type ListedKey, listedKeys } from "../core/key_states.ts";
import { changedKeys } from "./upstream_keys.ts";
import { parseUpstreamRow, splitKeys, splitPatterns } from "../store/config/upstream_row.ts";
import type { ConfigStore, UpstreamRow, UpstreamStateNote } from "../store/store.ts";
import type { UpstreamInput, UpstreamView } from "./admin_service.ts";
import { ControlError } from "./errors.ts";
import { showEndpoint } from "./upstream_endpoint.ts";
import { showOptions } from "./upstream_option_view.ts";
import { toChanges } from "./upstream_values.ts";

/** What the database knows of one upstream; safe to show. Its `authStyle` is null also when the row cannot be used. */
export interface UpstreamFacts extends
  Omit<
    UpstreamView,
    | "name"
    | "weight"
    | "state"
    | "breaker"
    | "recent"
    | "openUntilMs"
    | "reason"
    | "lastError"
    | "modelCount"
    | "keys"
    | "inFlight"
    | "limit"
  > {
  /** Each key, masked, and how it is; one of one key counts as well. */
  readonly keys: readonly ListedKey[];
  /** As the server names it; of a row that cannot be used, as typed there; null when it has none. */
  readonly name: string | null;
  /** As it is in the row. */
  readonly storedAuthStyle: string | null;
  /** As it is in the row, which may hold anything; default 1. */
  readonly storedWeight: number;
  /** What running servers say of it; null: that it is well, or nothing. */
  readonly note: UpstreamStateNote | null;
  /** It has answered a request or a test with the key and endpoint that it has now. */
  readonly isTested: boolean;
  /** Stands for its endpoint and key; null when its row cannot be used. */
  readonly target: string | null;
}

export interface UpstreamsDeps {
  readonly config: ConfigStore;
  readonly registry: Pick<Registry, "reloadNow" | "snapshot">;
}

export class Upstreams {
  readonly #config: ConfigStore;
  readonly #registry: UpstreamsDeps["registry"];

  constructor({ config, registry }: UpstreamsDeps) {
    this.#config = config;
    this.#registry = registry;
  }

  /** In the order of trial. */
  list(): UpstreamFacts[] {
    this.#registry.reloadNow();
    const rows = this.#config.listUpstreams();
    const names = new Map(this.#registry.snapshot().upstreams.map(({ id, name }) => [id, name]));
    const notes = new Map(this.#config.listUpstreamStates().map((note) => [note.upstreamId, note]));
    const checks = this.#config.listUpstreamChecks();
    return rows.map((row, index) => {
      const { upstream, ...facts } = factsOf(row);
      return {
        ...facts,
        name: names.get(row.id) ?? facts.name,
        place: index + 1,
        note: notes.get(row.id) ?? null,
        keys: listedKeys(showKeys(row.sk), notes.get(row.id)?.keys ?? []),
        isTested: upstream !== null && isCheckOf(checks, upstream),
        target: upstream === null ? null : targetOf(upstream),
      };
    });
  }

  /** @throws ControlError `not_found` */
  get(id: number): UpstreamFacts {
    const facts = this.list().find((each) => each.id === id);
    if (facts === undefined) throw noSuchUpstream(id);
    return facts;
  }

  /**
   * By id, else by name.
   *
   * @throws ControlError `not_found` or `ambiguous`, without what was typed: it may be a key in the wrong place
   */
  find(which: string): UpstreamFacts {
    const all = this.list();
    const byId = /^\d+$/.test(which) ? all.find(({ id }) => id === Number(which)) : undefined;
    return byId ?? onlyNamed(all, which);
  }

  /** @throws ControlError `not_found` */
  row(id: number): UpstreamRow {
    const row = this.#config.listUpstreams().find((each) => each.id === id);
    if (row === undefined) throw noSuchUpstream(id);
    return row;
  }

  /** As requests go there. @throws ControlError `not_found` or `unusable` */
  usable(id: number): Upstream {
    this.#registry.reloadNow();
    const upstream = this.#registry.snapshot().upstreams.find((each) => each.id === id);
    if (upstream !== undefined) return upstream;
    const result = parseUpstreamRow(this.row(id));
    throw result.isValid
      ? noSuchUpstream(id)
      : new ControlError("unusable", `upstream ${id} cannot be used: ${result.problem}`);
  }

  /** @throws ControlError, StoreError `duplicate` */
  add(input: UpstreamInput): UpstreamFacts {
    const changes = toChanges(input);
    const { sk, endpoint } = changes;
    if (sk === undefined || endpoint === undefined) {
      throw new ControlError("invalid", "an upstream needs an endpoint and a key");
    }
    return this.#config.atomically("Cannot add the upstream", () => {
      this.#requireFreeName(changes.name, null);
      const { id } = this.#config.addUpstream({ ...changes, sk, endpoint });
      if (changes.enabled === false) this.#config.editUpstream(id, { enabled: false });
      return changes.name ? this.get(id) : this.#keepName(id);
    });
  }

  /** Fields that are not given stay as they are. @throws ControlError, StoreError `duplicate` */
  edit(id: number, input: UpstreamInput): UpstreamFacts {
    const changes = toChanges(input);
    return this.#config.atomically(`Cannot edit upstream ${id}`, () => {
      this.row(id);
      this.#requireFreeName(changes.name, id);
      if (Object.keys(changes).length > 0) this.#config.editUpstream(id, changes);
      return changes.name === null ? this.#keepName(id) : this.get(id);
    });
  }

  /**
   * The same with other keys.
   *
   * @param change keys to add, one a line; and those to remove, by number or masked
   * @throws ControlError
   */
  editKeys(
    id: number,
    input: UpstreamInput,
    change: { readonly add: readonly string[]; readonly remove: readonly string[] },
  ): UpstreamFacts {
    return this.#config.atomically(`Cannot edit upstream ${id}`, () => {
      const keys = changedKeys(splitKeys(this.row(id).sk), change);
      return this.edit(id, { ...input, key: keys.join("\n") });
    });
  }

  /** To a 1-based place; beyond the last means the last. @throws ControlError `not_found` */
  move(id: number, place: number): UpstreamFacts {
    this.row(id);
    this.#config.moveUpstream(id, place);
    return this.get(id);
  }

  /** @throws ControlError `not_found` */
  remove(id: number): void {
    this.row(id);
    this.#config.removeUpstream(id);
    this.#registry.reloadNow();
  }

  /**
   * Writes the name that the server derives for it into its row, so that neither another endpoint nor other upstreams
   * change it: records and metrics are found by it. Rows of the Go program have none, and keep being named anew.
   */
  #keepName(id: number): UpstreamFacts {
    const { name } = this.get(id);
    if (name !== null) this.#config.editUpstream(id, { name });
    return this.get(id);
  }

  #requireFreeName(name: string | null | undefined, ownId: number | null): void {
    if (!name) return;
    const owner = this.list().find((each) => each.name === name && each.id !== ownId);
    if (owner === undefined) return;
    throw new ControlError("duplicate", `upstream ${owner.id} is named ${owner.name} already`, {
      field: "name",
      hint: "choose another name",
    });
  }
}

/** What may be seen of stored keys: one masked, of several how many they are. */
export function showKey(sk: string | null): string {
  const shown = showKeys(sk);
  return shown.length > 1 ? `${shown.length} keys` : shown[0] ?? maskSecret("");
}

/** Each of them, masked. */
function showKeys(sk: string | null): string[] {
  return splitKeys(sk).map((key) => key === ASIS ? ASIS : maskSecret(key));
}

/** The only one of that name. @throws ControlError `not_found` or `ambiguous` */
export function onlyNamed<Named extends { readonly name: string | null }>(
  all: readonly Named[],
  name: string,
): Named {
  const [found, ...more] = all.filter((each) => each.name === name);
  if (found === undefined) {
    throw new ControlError("not_found", "no upstream has that id or name", {
      field: "upstream",
      hint: "the list shows those that there are",
    });
  }
  if (more.length === 0) return found;
  throw new ControlError("ambiguous", "several upstreams have that name", {
    field: "upstream",
    hint: "use the id of one",
  });
}

export function noSuchUpstream(id: number): ControlError {
  return new ControlError("not_found", `there is no upstream ${id}`, {
    field: "upstream",
    hint: "the list shows those that there are",
  });
}

function factsOf(
  row: UpstreamRow,
): Omit<UpstreamFacts, "place" | "note" | "isTested" | "keys" | "target"> & {
  readonly upstream: Upstream | null;
} {
  const result = parseUpstreamRow(row);
  const upstream = result.isValid ? result.upstream : null;
  return {
    id: row.id,
    name: cleanText(row.name ?? "") || null,
    endpoint: showEndpoint(row.endpoint ?? ""),
    key: showKey(row.sk),
    isEnabled: row.enabled !== 0,
    timeoutSeconds: row.timeout !== null && row.timeout > 0 ? row.timeout : null,
    allow: splitPatterns(row.allow),
    deny: splitPatterns(row.deny),
    modelMap: { ...upstream?.modelMap },
    authStyle: upstream?.authStyle ?? null,
    storedAuthStyle: row.authStyle,
    storedWeight: row.weight ?? 1,
    ...showOptions(row.options),
    problem: result.isValid ? null : result.problem,
    upstream,
  };
}
