/**
 * `/healthz` and `/readyz`: what process supervisors and load balancers ask.
 *
 * Open to anybody, so the answers hold counts, and no name and no secret. Neither recorded nor logged.
 */
import { Hono } from "hono";
import { APART } from "../core/fixed_headers.ts";
import type { Condition } from "../core/condition.ts";
import type { ShownState } from "../core/breaker.ts";
import type { RegistryView } from "../store/store.ts";

/** What readiness depends on, besides the upstreams. */
export interface Readiness {
  /** The server has been told to stop. */
  readonly isDraining: () => boolean;
  /** Records are queued and cannot be written. */
  readonly isDatabaseStuck: () => boolean;
  /** How many enabled upstreams are in which state, those that are well left out. */
  readonly heldBack?: () => HeldBack;
  /** How many enabled upstreams are how, those that are just `ok` left out. */
  readonly upstreams?: () => UpstreamCounts;
}

export type HeldBack = { readonly [State in Exclude<ShownState, "closed">]?: number };

/** `degraded`: it is used, and too many of its latest attempts failed. */
export type UpstreamCounts = { readonly [Word in Exclude<Condition, "ok"> | "degraded"]?: number };

/** Of these, requests may have to move on to another upstream. */
const DEGRADING = ["failing", "trying", "no_credit", "degraded"] as const;

export interface HealthDeps {
  readonly registry: RegistryView;
  readonly readiness: Readiness;
}

/** Why the server should get no requests now; the codes are part of the interface. */
interface Reason {
  readonly code: "draining" | "database" | "no_upstream";
  readonly message: string;
}

const HEADERS = { "cache-control": "no-store", ...Object.fromEntries(APART) };

/**
 * `/healthz` answers 200 while the process can answer at all. `/readyz` answers 200 when it should get
 * requests, else 503 with the reasons: an upstream that is held back is no reason, because it may still be tried. It is
 * `degraded` then, or when too many of an upstream's attempts fail.
 */
export function healthRoutes(deps: HealthDeps): Hono {
  const routes = new Hono();
  routes.get("/healthz", (c) => c.json({ status: "ok" }, 200, HEADERS));
  routes.get("/readyz", (c) => {
    const reasons = reasonsAgainst(deps);
    const counts = deps.readiness.heldBack?.() ?? {};
    const heldBack = Object.keys(counts).length === 0 ? {} : { held_back: counts };
    const upstreams = deps.readiness.upstreams?.() ?? {};
    const shown = { ...Object.keys(upstreams).length === 0 ? {} : { upstreams }, ...heldBack };
    const isDegraded = DEGRADING.some((word) => (upstreams[word] ?? 0) > 0);
    return reasons.length === 0
      ? c.json({ status: isDegraded ? "degraded" : "ready", ...shown }, 200, HEADERS)
      : c.json({ status: "not_ready", reasons, ...shown }, 503, HEADERS);
  });
  return routes;
}

function reasonsAgainst({ registry, readiness }: HealthDeps): Reason[] {
  const reasons: Reason[] = [];
  if (readiness.isDraining()) reasons.push({ code: "draining", message: "the server is stopping" });
  if (readiness.isDatabaseStuck()) {
    reasons.push({ code: "database", message: "the database does not take records; the log says why" });
  }
  if (!registry.snapshot().upstreams.some(({ isEnabled }) => isEnabled)) {
    reasons.push({ code: "no_upstream", message: "no upstream is enabled; add one with the add command" });
  }
  return reasons;
}
