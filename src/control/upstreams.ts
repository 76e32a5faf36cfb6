/**
 * The upstreams as the admin page shows and changes them.
 *
 * Owns what may be seen of a key and which changes are refused. A change is in use when the call returns.
 */
import { cleanText } from "../core/clean_text.ts";
import type { BreakerState } from "../core/breaker.ts";
import { RouterError } from "../core/errors.ts";
import { keysOf, maskSecret, redactSecrets } from "../core/secrets.ts";
import type { Clock } from "../core/clock.ts";
import { ASIS, type Upstream } from "../core/types.ts";
import type { UpstreamInput, UpstreamTest, UpstreamView } from "./service.ts";
import type { UpstreamClient } from "../wire/upstream_client.ts";
import type { LastFailure } from "../store/read/messages.ts";
import type { Registry } from "../store/config/registry.ts";
import type { ConfigStore, UpstreamChanges, UpstreamRow } from "../store/store.ts";
import { EMPTY_ROW, parseUpstreamRow, splitPatterns } from "../store/config/upstream_row.ts";
import { askForModels, judgeAnswer } from "./upstream_probe.ts";
import { showEndpoint } from "./upstream_endpoint.ts";
import { readName, readPatterns, readTimeout, readWeight } from "./upstream_values.ts";
import { answering } from "./failure.ts";

export interface UpstreamAdminDeps {
  readonly config: ConfigStore;
  readonly registry: Registry;
  readonly health: { state(upstreamId: number): BreakerState };
  readonly lastFailures: (upstreamIds: readonly number[]) => Promise<readonly LastFailure[]>;
  readonly client: UpstreamClient;
  readonly clock: Clock;
  /** An upstream's requests, and its key, go to another host from now on; no secrets. */
  readonly onMoved: (upstream: { readonly id: number; readonly name: string; readonly to: string }) => void;
}

const TEST_LIMIT_MS = 10_000;
const MAX_MODELS = 200;

export class UpstreamAdmin {
  readonly #deps: UpstreamAdminDeps;

  constructor(deps: UpstreamAdminDeps) {
    this.#deps = deps;
  }

  async list(): Promise<UpstreamView[]> {
    return await answering(async () => {
      const { config, registry } = this.#deps;
      registry.reloadNow();
      const rows = config.listUpstreams();
      const failures = await this.#deps.lastFailures(rows.map(({ id }) => id));
      const names = new Map(registry.snapshot().upstreams.map(({ id, name }) => [id, name]));
      const reasons = new Map(config.listUpstreamStates().map((note) => [note.upstreamId, note.reason]));
      return rows.map((row, index) => ({
        ...viewOf(row, names.get(row.id)),
        ...this.#standing(row.id, reasons.get(row.id) ?? null),
        place: index + 1,
        lastError: lastErrorOf(row, failures),
      }));
    });
  }

  async add(input: UpstreamInput): Promise<UpstreamView> {
    const id = await answering(() => {
      const changes = this.#changes(input, null);
      const { sk, endpoint } = changes;
      if (sk === undefined || endpoint === undefined) {
        throw new RouterError(400, "invalid_request", "An upstream needs an endpoint and a key");
      }
      const row = this.#deps.config.addUpstream({ ...changes, sk, endpoint });
      if (changes.enabled === false) this.#deps.config.editUpstream(row.id, { enabled: false });
      return row.id;
    });
    return await this.#viewOf(id);
  }

  async edit(id: number, input: UpstreamInput): Promise<UpstreamView> {
    const isMoved = await answering(() => {
      const row = this.#row(id);
      const changes = this.#changes(input, row);
      const isMoving = changes.endpoint !== undefined && !isSameOrigin(changes.endpoint, row.endpoint);
      if (isMoving && hasOwnKey(row) && changes.sk === undefined) throw keyRequired(changes.endpoint);
      if (Object.keys(changes).length > 0) this.#deps.config.editUpstream(id, changes);
      return isMoving;
    });
    const view = await this.#viewOf(id);
    if (isMoved) {
      this.#deps.onMoved({ id, name: view.name, to: URL.parse(view.endpoint)?.origin ?? "nowhere" });
    }
    return view;
  }

  async move(id: number, place: number): Promise<void> {
    await answering(() => {
      this.#row(id);
      this.#deps.config.moveUpstream(id, place);
      this.#deps.registry.reloadNow();
    });
  }

  async remove(id: number): Promise<void> {
    await answering(() => {
      this.#row(id);
      this.#deps.config.removeUpstream(id);
      this.#deps.registry.reloadNow();
    });
  }

  async test(id: number): Promise<UpstreamTest> {
    const { clock, registry } = this.#deps;
    const upstream = await answering(() => {
      registry.reloadNow();
      return this.#usable(id);
    });
    const startedMs = clock.monotonic();
    const answer = await askForModels(this.#deps, { upstream, limitMs: TEST_LIMIT_MS });
    const durationMs = Math.round(clock.monotonic() - startedMs);
    const keys = keysOf(upstream);
    if ("problem" in answer) {
      const message = redactSecrets(answer.problem.message, keys);
      return { isOk: false, status: null, durationMs, message, models: [] };
    }
    const verdict = judgeAnswer(answer, upstream);
    return {
      isOk: verdict.level === "ok",
      status: answer.status,
      durationMs,
      message: redactSecrets(verdict.message, keys),
      models: answer.models.slice(0, MAX_MODELS).map((name) => redactSecrets(name.slice(0, 200), keys)),
    };
  }

  async #viewOf(id: number): Promise<UpstreamView> {
    const view = (await this.list()).find((each) => each.id === id);
    if (view === undefined) throw noSuchUpstream(id);
    return view;
  }

  /** @throws RouterError 404 */
  #row(id: number): UpstreamRow {
    const row = this.#deps.config.listUpstreams().find((each) => each.id === id);
    if (row === undefined) throw noSuchUpstream(id);
    return row;
  }

  #usable(id: number): Upstream {
    const upstream = this.#deps.registry.snapshot().upstreams.find((each) => each.id === id);
    if (upstream !== undefined) return upstream;
    const result = parseUpstreamRow(this.#row(id));
    throw result.isValid
      ? noSuchUpstream(id)
      : new RouterError(400, "invalid_request", `Upstream ${id} cannot be used: ${result.problem}`);
  }

  #standing(id: number, reason: string | null): Pick<UpstreamView, "state" | "openUntilMs" | "reason"> {
    const state = this.#deps.health.state(id);
    if (state.type === "closed") return { state: "closed", openUntilMs: null, reason: null };
    const { clock } = this.#deps;
    const openUntilMs = state.type === "open"
      ? Math.round(clock.now() + state.untilMs - clock.monotonic())
      : null;
    return { state: state.type, openUntilMs, reason };
  }

  /**
   * What to write. A masked key or endpoint that comes back as it was shown is no change.
   * @param row null: a new one
   * @throws RouterError, UsageError
   */
  #changes(input: UpstreamInput, row: UpstreamRow | null): UpstreamChanges {
    const key = row !== null && input.key === keyOf(row) ? undefined : input.key;
    const isShown = row !== null && input.endpoint === showEndpoint(row.endpoint ?? "");
    const endpoint = isShown ? undefined : input.endpoint?.trim();
    if (endpoint !== undefined && isMasked(endpoint)) throw maskedEndpoint();
    requireUsable({ sk: key, endpoint });
    const name = input.name === undefined || input.name === null ? input.name : readName(input.name);
    this.#requireFreeName(name, row?.id ?? null);
    return {
      ...(key === undefined ? {} : { sk: key.trim() }),
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(name === undefined ? {} : { name }),
      ...(input.timeoutSeconds === undefined ? {} : { timeout: timeoutOf(input.timeoutSeconds) }),
      ...(input.isEnabled === undefined ? {} : { enabled: input.isEnabled }),
      ...(input.authStyle === undefined ? {} : { authStyle: input.authStyle }),
      ...(input.allow === undefined ? {} : { allow: readPatterns(input.allow.join(","), "allow") }),
      ...(input.deny === undefined ? {} : { deny: readPatterns(input.deny.join(","), "deny") }),
      ...(input.modelMap === undefined ? {} : { modelMap: input.modelMap }),
      ...(input.weight === undefined ? {} : { weight: readWeight(String(input.weight)) }),
    };
  }

  #requireFreeName(name: string | null | undefined, id: number | null): void {
    if (!name) return;
    const owner = this.#deps.registry.snapshot().upstreams.find((each) =>
      each.name === name && each.id !== id
    );
    if (owner === undefined) return;
    throw new RouterError(
      409,
      "duplicate",
      `Upstream ${owner.id} is named ${owner.name} already; choose another name`,
    );
  }
}

function timeoutOf(seconds: number | null): number | null {
  return seconds === null ? null : readTimeout(String(seconds));
}

/** @throws RouterError naming what is wrong, never the key */
function requireUsable({ sk, endpoint }: { sk: string | undefined; endpoint: string | undefined }): void {
  const result = parseUpstreamRow({
    ...EMPTY_ROW,
    sk: sk ?? ASIS,
    endpoint: endpoint ?? "https://upstream.invalid/v1",
  });
  if (result.isValid) return;
  throw new RouterError(400, "invalid_request", result.problem.replace(/^sk\b/, "key"));
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

/** Whoever logs in may not see keys, and would, if a key followed its upstream to a host of theirs. */
function keyRequired(endpoint: string | undefined): RouterError {
  const origin = URL.parse(endpoint ?? "")?.origin;
  return new RouterError(
    400,
    "key_required",
    `key is missing: the endpoint is at another place now (${origin}), and a key is not sent on to another ` +
      "scheme, host or port by itself; type the key again, in the same request",
  );
}

/** A part that was shown masked has come back in an endpoint that was changed elsewhere. */
function isMasked(endpoint: string): boolean {
  return /…|%E2%80%A6/i.test(endpoint);
}

function maskedEndpoint(): RouterError {
  return new RouterError(
    400,
    "invalid_request",
    "endpoint is refused: what it holds is masked (…); type its query in full",
  );
}

function noSuchUpstream(id: number): RouterError {
  return new RouterError(404, "not_found", `There is no upstream ${id}; the list shows those that there are`);
}

function keyOf(row: UpstreamRow): string {
  return row.sk?.trim() === ASIS ? ASIS : maskSecret(row.sk ?? "");
}

function viewOf(
  row: UpstreamRow,
  name: string | undefined,
): Omit<UpstreamView, "state" | "openUntilMs" | "reason" | "place" | "lastError"> {
  const result = parseUpstreamRow(row);
  const upstream = result.isValid ? result.upstream : null;
  return {
    id: row.id,
    name: name ?? (cleanText(row.name ?? "") || `#${row.id}`),
    endpoint: showEndpoint(row.endpoint ?? ""),
    key: keyOf(row),
    isEnabled: row.enabled !== 0,
    timeoutSeconds: row.timeout !== null && row.timeout > 0 ? row.timeout : null,
    allow: splitPatterns(row.allow),
    deny: splitPatterns(row.deny),
    modelMap: { ...upstream?.modelMap },
    authStyle: upstream?.authStyle ?? null,
    weight: upstream?.weight ?? 1,
    problem: result.isValid ? null : result.problem,
  };
}

function lastErrorOf(row: UpstreamRow, failures: readonly LastFailure[]): UpstreamView["lastError"] {
  const found = failures.find(({ upstreamId }) => upstreamId === row.id);
  if (found === undefined) return null;
  const { atMs, errorClass, message } = found;
  const keys = keysOf({ sk: row.sk ?? "", endpoint: row.endpoint ?? "" });
  return { atMs, errorClass, message: redactSecrets(message, keys) };
}
