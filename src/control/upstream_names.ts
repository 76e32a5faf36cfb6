/**
 * Upstreams by name, for records, which keep only the id and outlast their upstream.
 */
import type { Upstream } from "../core/types.ts";
import { onlyNamed, Upstreams, type UpstreamsDeps } from "./upstreams.ts";

/** The upstreams of a database as they are when this is made. */
export class UpstreamNames {
  /** Valid rows, in order of trial; disabled ones are there and say so. */
  readonly upstreams: readonly Upstream[];
  readonly #names: ReadonlyMap<number, string>;

  constructor(deps: UpstreamsDeps) {
    const all = new Upstreams(deps).list();
    this.upstreams = deps.registry.snapshot().upstreams;
    this.#names = new Map(all.map(({ id, name }) => [id, name ?? `#${id}`]));
  }

  /** {@link upstreamName} */
  nameOf(id: number | null): string | null {
    return upstreamName(this.#names, id);
  }

  /**
   * The id of an upstream given by id or name. An id need not exist.
   *
   * @throws ControlError `not_found` or `ambiguous`, without what was typed: it may be a key in the wrong place
   */
  idOf(which: string): number {
    if (/^\d{1,15}$/.test(which)) return Number(which);
    return onlyNamed(Array.from(this.#names, ([id, name]) => ({ id, name })), which).id;
  }
}

/** `#3` for an upstream that was removed; null when there was none. */
export function upstreamName(names: ReadonlyMap<number, string>, id: number | null): string | null {
  return id === null ? null : names.get(id) ?? `#${id}`;
}
