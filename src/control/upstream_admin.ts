/**
 * The upstreams as the admin API and the page show and change them.
 *
 * Owns the rule that a key does not follow its upstream to another host: whoever logs in may not see keys. Adds the
 * state of this server's breakers, the last error on record, and the test.
 */
import type { Clock } from "../core/clock.ts";
import { keysOf, redactSecrets } from "../core/secrets.ts";
import { ASIS } from "../core/types.ts";
import type { UpstreamHealth } from "../proxy/attempt/upstream_health.ts";
import type { UpstreamClient } from "../wire/upstream_client.ts";
import type { LastFailure } from "../store/read/messages.ts";
import type { UpstreamRow } from "../store/store.ts";
import type { UpstreamInput, UpstreamTest, UpstreamView } from "./admin_service.ts";
import { ControlError, invalidValue } from "./errors.ts";
import { showEndpoint } from "./upstream_endpoint.ts";
import { askForModels, judgeAnswer } from "./upstream_probe.ts";
import { toChanges } from "./upstream_values.ts";
import { noSuchUpstream, showKey, type UpstreamFacts, Upstreams, type UpstreamsDeps } from "./upstreams.ts";

export interface UpstreamAdminDeps extends UpstreamsDeps {
  readonly health: Pick<UpstreamHealth, "view">;
  readonly lastFailures: (upstreamIds: readonly number[]) => Promise<readonly LastFailure[]>;
  readonly client: UpstreamClient;
  readonly clock: Clock;
  /** An upstream's requests, and its key, go to another host from now on; no secrets. */
  readonly onMoved: (upstream: { readonly id: number; readonly name: string; readonly to: string }) => void;
}

const TEST_LIMIT_MS = 10_000;
const MAX_MODELS = 200;
const MAX_MODEL_NAME_LENGTH = 200;

export class UpstreamAdmin {
  readonly #deps: UpstreamAdminDeps;
  readonly #upstreams: Upstreams;

  constructor(deps: UpstreamAdminDeps) {
    this.#deps = deps;
    this.#upstreams = new Upstreams(deps);
  }

  async list(): Promise<UpstreamView[]> {
    return await this.#views(this.#upstreams.list());
  }

  async add(input: UpstreamInput): Promise<UpstreamView> {
    return await this.#view(this.#upstreams.add(this.#unmasked(input, null)));
  }

  async edit(id: number, input: UpstreamInput): Promise<UpstreamView> {
    const row = this.#upstreams.row(id);
    const changes = this.#unmasked(input, row);
    // What is no endpoint at all is refused as such.
    const { endpoint } = toChanges(changes);
    const isMoving = endpoint !== undefined && !isSameOrigin(endpoint, row.endpoint);
    if (isMoving && hasOwnKey(row) && changes.key === undefined) throw keyRequired(endpoint);
    const view = await this.#view(this.#upstreams.edit(id, changes));
    if (isMoving) {
      this.#deps.onMoved({ id, name: view.name, to: URL.parse(view.endpoint)?.origin ?? "nowhere" });
    }
    return view;
  }

  move(id: number, place: number): void {
    this.#upstreams.move(id, place);
  }

  remove(id: number): void {
    this.#upstreams.remove(id);
  }

  async test(id: number): Promise<UpstreamTest> {
    const { clock } = this.#deps;
    const upstream = this.#upstreams.usable(id);
    const startedMs = clock.monotonic();
    const answer = await askForModels(this.#deps, { upstream, limitMs: TEST_LIMIT_MS });
    const durationMs = Math.round(clock.monotonic() - startedMs);
    const clean = (text: string) => redactSecrets(text, keysOf(upstream));
    if ("problem" in answer) {
      return { isOk: false, status: null, durationMs, message: clean(answer.problem.message), models: [] };
    }
    const verdict = judgeAnswer(answer, upstream);
    return {
      isOk: verdict.level === "ok",
      status: answer.status,
      durationMs,
      message: clean(verdict.message),
      models: answer.models.slice(0, MAX_MODELS).map((name) => clean(name.slice(0, MAX_MODEL_NAME_LENGTH))),
    };
  }

  async #view(facts: UpstreamFacts): Promise<UpstreamView> {
    const [view] = await this.#views([facts]);
    if (view === undefined) throw noSuchUpstream(facts.id);
    return view;
  }

  async #views(all: readonly UpstreamFacts[]): Promise<UpstreamView[]> {
    // Read before the wait: afterwards an upstream may be gone.
    const rows = new Map(this.#deps.config.listUpstreams().map((row) => [row.id, row]));
    const failures = await this.#deps.lastFailures(all.map(({ id }) => id));
    return all.map((facts) => ({
      id: facts.id,
      name: facts.name ?? `#${facts.id}`,
      endpoint: facts.endpoint,
      key: facts.key,
      isEnabled: facts.isEnabled,
      timeoutSeconds: facts.timeoutSeconds,
      allow: facts.allow,
      deny: facts.deny,
      modelMap: facts.modelMap,
      authStyle: facts.authStyle,
      weight: facts.problem === null ? facts.storedWeight : 1,
      problem: facts.problem,
      ...this.#standing(facts.id, facts.note?.reason ?? null),
      place: facts.place,
      lastError: lastErrorOf(rows.get(facts.id), failures),
    }));
  }

  #standing(id: number, reason: string | null): Pick<UpstreamView, "state" | "openUntilMs" | "reason"> {
    const { state, untilMs } = this.#deps.health.view(id);
    if (state === "closed") return { state, openUntilMs: null, reason: null };
    const { clock } = this.#deps;
    const openUntilMs = untilMs === null ? null : Math.round(clock.now() + untilMs - clock.monotonic());
    return { state, openUntilMs, reason };
  }

  /**
   * The input without a key or an endpoint that comes back as it was shown: that is no change.
   *
   * @param row null: a new one
   * @throws ControlError when another endpoint still holds what was masked
   */
  #unmasked(input: UpstreamInput, row: UpstreamRow | null): UpstreamInput {
    const { key, endpoint, ...rest } = input;
    const isKeyShown = row !== null && key === showKey(row.sk);
    const isEndpointShown = row !== null && endpoint === showEndpoint(row.endpoint ?? "");
    if (endpoint !== undefined && !isEndpointShown && isMasked(endpoint)) {
      throw invalidValue("endpoint", "is refused: what it holds is masked (…); type its query in full");
    }
    return {
      ...rest,
      ...(key === undefined || isKeyShown ? {} : { key }),
      ...(endpoint === undefined || isEndpointShown ? {} : { endpoint: endpoint.trim() }),
    };
  }
}

function lastErrorOf(
  row: UpstreamRow | undefined,
  failures: readonly LastFailure[],
): UpstreamView["lastError"] {
  const found = failures.find(({ upstreamId }) => upstreamId === row?.id);
  if (row === undefined || found === undefined) return null;
  const { atMs, errorClass, message } = found;
  const keys = keysOf({ sk: row.sk ?? "", endpoint: row.endpoint ?? "" });
  return { atMs, errorClass, message: redactSecrets(message, keys) };
}

/**
 * Whether a key that goes to one of two endpoints can be seen by nobody else at the other: same scheme, host and port
 * (https://url.spec.whatwg.org/#origin), so that case, a port that is the scheme's own, and other ways to write an IP
 * address make no difference. False when either is no URL.
 */
function isSameOrigin(endpoint: string, other: string | null): boolean {
  const origin = URL.parse(endpoint)?.origin;
  return origin !== undefined && origin === URL.parse((other ?? "").trim())?.origin;
}

function hasOwnKey({ sk }: UpstreamRow): boolean {
  const key = (sk ?? "").trim();
  return key !== "" && key !== ASIS;
}

function keyRequired(endpoint: string): ControlError {
  const origin = URL.parse(endpoint)?.origin;
  const problem =
    `is missing: the endpoint is at another place now (${origin}), and a key is not sent on to ` +
    "another scheme, host or port by itself";
  return new ControlError("key_required", `key ${problem}`, {
    field: "key",
    problem,
    hint: "type the key again, in the same request",
  });
}

/** A part that was shown masked has come back in an endpoint that was changed elsewhere. */
function isMasked(endpoint: string): boolean {
  return /…|%E2%80%A6/i.test(endpoint);
}
