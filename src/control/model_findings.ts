/**
 * What the doctor finds when it compares the names in `--model-map` and `--allow` with what upstreams list. Pure.
 */
import { comparableModel } from "../core/model_order.ts";
import { isPathPattern } from "../core/policy.ts";
import type { Upstream } from "../core/types.ts";
import type { Finding } from "./finding.ts";

const ADVICE = "correct the name, unless the upstream has it without listing it (deployments, fine-tunes)";

/** @param listed the models of each upstream that is known to have given its whole list, by id */
export function modelFindings(
  upstreams: readonly Upstream[],
  listed: ReadonlyMap<number, readonly string[]>,
): Finding[] {
  const enabled = upstreams.filter(({ isEnabled }) => isEnabled);
  const names = new Map([...listed].map(([id, models]) => [id, new Set(models.map(comparableModel))]));
  const everywhere = new Set([...names.values()].flatMap((own) => [...own]));
  return enabled.flatMap((upstream) => {
    const own = names.get(upstream.id);
    if (own === undefined || own.size === 0) return [];
    const aliases = Object.entries(upstream.modelMap).flatMap(([alias, target]) => {
      if (own.has(comparableModel(target))) return [];
      const others = everywhere.has(comparableModel(target)) ? "" : ", nor does any other upstream";
      return [about(upstream, `does not list ${target}, which it gets for ${alias} (--model-map)${others}`)];
    });
    const allowed = upstream.allow.flatMap((name) => {
      const isModel = !/[*?]/.test(name) && !isPathPattern(name) && !Object.hasOwn(upstream.modelMap, name);
      if (!isModel || everywhere.has(comparableModel(name))) return [];
      return [about(upstream, `no upstream lists ${name}, which it is used for (--allow)`)];
    });
    return [...aliases, ...allowed];
  });
}

function about({ name }: Upstream, message: string): Finding {
  return { check: "upstream", subject: name, level: "warn", message, advice: ADVICE };
}
