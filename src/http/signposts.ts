/**
 * What is said where nothing is: the path that was meant, where other programs have their page, health and metrics.
 *
 * Names only paths that anybody may ask for.
 */
import { withoutTrailingSlashes } from "../core/slashes.ts";

const HEALTH = "health is at /healthz (the process) and /readyz (the upstreams)";
const METRICS = "metrics are at /v1/metrics";
const BASE_URL = "the base URL ends in /v1";

/** By the path in lower case. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  "/metrics": METRICS,
  "/prometheus": METRICS,
  "/-/metrics": METRICS,
  "/health": HEALTH,
  "/healthcheck": HEALTH,
  "/health/live": HEALTH,
  "/health/liveliness": HEALTH,
  "/health/liveness": HEALTH,
  "/health/ready": HEALTH,
  "/health/readiness": HEALTH,
  "/-/healthy": HEALTH,
  "/-/ready": HEALTH,
  "/livez": HEALTH,
  "/live": HEALTH,
  "/ready": HEALTH,
  "/ping": HEALTH,
  "/status": HEALTH,
  "/api/health": HEALTH,
  "/api/status": HEALTH,
};

/** Where to look instead of a path that is none of ours. */
export function signpostAt(path: string): string {
  const known = withoutTrailingSlashes(path.toLowerCase());
  return Object.hasOwn(ELSEWHERE, known) ? ELSEWHERE[known] ?? BASE_URL : BASE_URL;
}
