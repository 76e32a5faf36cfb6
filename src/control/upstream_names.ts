/**
 * Upstreams by the names that the server uses.
 */
import type { Clock } from "../core/clock.ts";
import type { Upstream } from "../core/types.ts";
import { Registry } from "../store/config/registry.ts";
import type { ConfigStore } from "../store/store.ts";
import { CommandError } from "./errors.ts";

/** The live upstreams under the names that the server uses. */
export class UpstreamNames {
  /** Valid rows, in order of trial; disabled ones are there and say so. */
  readonly upstreams: readonly Upstream[];
  readonly #names: ReadonlyMap<number, string>;

  constructor(config: ConfigStore, clock: Clock) {
    const registry = new Registry({ store: config, clock, onProblem: () => {} });
    registry.reloadNow();
    this.upstreams = registry.snapshot().upstreams;
    const skipped = config.listUpstreams().map(({ id, name }) => [id, name?.trim() || `#${id}`] as const);
    this.#names = new Map([...skipped, ...this.upstreams.map(({ id, name }) => [id, name] as const)]);
  }

  /** `#3` for an upstream that was removed; null when there was none. */
  nameOf(id: number | null): string | null {
    return id === null ? null : this.#names.get(id) ?? `#${id}`;
  }

  /**
   * The id of an upstream given by id or name. An id need not be live: records outlast their upstream.
   *
   * @throws CommandError that does not repeat what was typed: it may be a key in the wrong place
   */
  idOf(which: string): number {
    if (/^\d{1,15}$/.test(which)) return Number(which);
    const [found, ...more] = [...this.#names].filter(([, name]) => name === which);
    if (found === undefined) {
      throw new CommandError("no upstream has that id or name: see them with `openai-api-route list`");
    }
    if (more.length > 0) throw new CommandError("several upstreams have that name: use the id of one");
    return found[0];
  }
}
