/**
 * Orders candidates by what is known of their models: those that list it first, unknown ones next, those that do not
 * list it last. None is removed, because lists lie: deployments, fine-tunes and dated names are often not listed. Pure.
 */
import type { Upstream } from "./types.ts";

/** Whether an upstream has a model. */
export type ModelStanding = "has" | "unknown" | "lacks";

/** By upstream id, for one model. Upstreams that are not in it are unknown. */
export type ModelStandings = ReadonlyMap<number, ModelStanding>;

/**
 * Within each of the three groups the order stays as it is.
 *
 * @param standings null: nothing distinguishes them
 * @returns the same array when nothing changes
 */
export function byModel<Candidate extends Pick<Upstream, "id">>(
  candidates: readonly Candidate[],
  standings: ModelStandings | null,
): readonly Candidate[] {
  if (standings === null) return candidates;
  const having: Candidate[] = [];
  const unknown: Candidate[] = [];
  const lacking: Candidate[] = [];
  for (const candidate of candidates) {
    const standing = standings.get(candidate.id);
    (standing === "has" ? having : standing === "lacks" ? lacking : unknown).push(candidate);
  }
  const groups = [having, unknown, lacking].filter(({ length }) => length > 0);
  return groups.length < 2 ? candidates : groups.flat();
}

/** Google lists `models/gemini-2.5-pro`, and is also asked for `gemini-2.5-pro`. */
const PREFIX = "models/";

/** The name under which models are compared. */
export function comparableModel(name: string): string {
  return name.startsWith(PREFIX) && name.length > PREFIX.length ? name.slice(PREFIX.length) : name;
}

/** Those that come behind others because of the model that is asked for; null: nobody does. */
export function behindOthers(
  standings: ModelStandings | null,
): ((upstream: Pick<Upstream, "id">) => boolean) | null {
  if (standings === null) return null;
  let best: ModelStanding = "lacks";
  for (const standing of standings.values()) {
    if (standing === "has" || (standing === "unknown" && best === "lacks")) best = standing;
  }
  return ({ id }) => standings.get(id) !== best;
}
