/**
 * The upstreams as the admin API and the page show and change them.
 *
 * Adds the state of this server's breakers, the last error on record, and the test. Changes are made elsewhere
 * (config_changes.ts); the registry has read a change when the call returns.
 */
import type { Clock } from "../core/clock.ts";
import { conditionOf } from "../core/condition.ts";
import { type ListedKey, listedKeys } from "../core/key_states.ts";
import { keysOf, redactSecrets } from "../core/secrets.ts";
import type { OrderPolicy } from "../core/types.ts";
import { NO_SHAPING } from "../core/upstream_options.ts";
import type { AttemptRates } from "../proxy/attempt/attempt_rates.ts";
import type { UpstreamCapacity } from "../proxy/attempt/upstream_capacity.ts";
import type { UpstreamHealth } from "../proxy/attempt/upstream_health.ts";
import type { UpstreamClient } from "../wire/upstream_client.ts";
import type { LastFailure } from "../store/read/messages.ts";
import { readOptions } from "../store/config/upstream_options.ts";
import type { UpstreamRow } from "../store/store.ts";
import type { ModelCatalog } from "../core/model_catalog.ts";
import type { ModelPage, UpstreamEdit, UpstreamInput, UpstreamTest, UpstreamView } from "./admin_service.ts";
import type { ChangeCalls } from "./change_calls.ts";
import { judgeKeys } from "./key_probe.ts";
import type { ShownOptions } from "./upstream_option_view.ts";
import { askAll, askForModels, judgeAnswer } from "./upstream_probe.ts";
import { noSuchUpstream, type UpstreamFacts, Upstreams, type UpstreamsDeps } from "./upstreams.ts";

export interface UpstreamAdminDeps extends UpstreamsDeps {
  readonly health: Pick<UpstreamHealth, "view" | "keys">;
  readonly rates: Pick<AttemptRates, "view" | "tested">;
  readonly catalog: Pick<ModelCatalog, "modelsOf">;
  readonly capacity: Pick<UpstreamCapacity, "keyUses" | "underWay">;
  readonly changes: ChangeCalls;
  readonly lastFailures: (upstreamIds: readonly number[]) => Promise<readonly LastFailure[]>;
  readonly client: UpstreamClient;
  readonly clock: Clock;
  /** An upstream's requests, and its key, go to another host from now on; no secrets. */
  readonly onMoved: (upstream: { readonly id: number; readonly name: string; readonly to: string }) => void;
}

const TEST_LIMIT_MS = 10_000;
const MAX_MODELS = 200;
const MAX_FOUND_MODELS = 200;
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
    return await this.#view(await this.#changed(this.#deps.changes.ask("addUpstream", input)));
  }

  async edit(id: number, input: UpstreamEdit): Promise<UpstreamView> {
    const { facts, hasMoved } = await this.#changed(this.#deps.changes.ask("editUpstream", { id, input }));
    const view = await this.#view(facts);
    if (hasMoved) {
      this.#deps.onMoved({ id, name: view.name, to: URL.parse(view.endpoint)?.origin ?? "nowhere" });
    }
    return view;
  }

  async move(id: number, place: number): Promise<void> {
    await this.#changed(this.#deps.changes.ask("moveUpstream", { id, place }));
  }

  /** The order in which they are tried. */
  async setPolicy(policy: OrderPolicy): Promise<void> {
    await this.#changed(this.#deps.changes.ask("setPolicy", policy));
  }

  async remove(id: number): Promise<void> {
    await this.#changed(this.#deps.changes.ask("removeUpstream", id));
  }

  async #changed<Result>(change: Promise<Result>): Promise<Result> {
    const result = await change;
    this.#deps.registry.reloadNow();
    return result;
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
    const answers = await askAll(this.#deps, { upstream, limitMs: TEST_LIMIT_MS, first: answer });
    const verdict = answers.length > 1 ? judgeKeys(upstream, answers) : judgeAnswer(answer, upstream);
    if (answers.some(({ verdict }) => verdict.level === "ok")) this.#deps.rates.tested(id);
    return {
      isOk: verdict.level === "ok",
      status: answer.status,
      durationMs,
      message: clean(verdict.message),
      models: answer.models.slice(0, MAX_MODELS).map((name) => clean(name.slice(0, MAX_MODEL_NAME_LENGTH))),
    };
  }

  models(search: string): ModelPage {
    const { registry, catalog } = this.#deps;
    const wanted = search.trim().toLowerCase();
    const found = new Map<string, string[]>();
    for (const { id, name, isEnabled } of registry.snapshot().upstreams) {
      if (!isEnabled) continue;
      for (const { id: model } of catalog.modelsOf(id) ?? []) {
        if (wanted !== "" && !model.toLowerCase().includes(wanted)) continue;
        const upstreams = found.get(model);
        if (upstreams === undefined) found.set(model, [name]);
        else upstreams.push(name);
      }
    }
    const models = [...found].slice(0, MAX_FOUND_MODELS).map(([model, upstreams]) => ({ model, upstreams }));
    return { models, count: found.size };
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
      ...this.#use(facts),
      isEnabled: facts.isEnabled,
      timeoutSeconds: facts.timeoutSeconds,
      allow: facts.allow,
      deny: facts.deny,
      modelMap: facts.modelMap,
      authStyle: facts.authStyle,
      weight: facts.problem === null ? facts.storedWeight : 1,
      ...optionsOf(facts),
      problem: facts.problem,
      modelCount: this.#deps.catalog.modelsOf(facts.id)?.length ?? null,
      ...this.#standing(facts),
      place: facts.place,
      lastError: lastErrorOf(rows.get(facts.id), failures),
    }));
  }

  /** What is under way, as this server has sent it. A row that cannot be used has no limit. */
  #use(facts: UpstreamFacts): Pick<UpstreamView, "keys" | "inFlight" | "limit"> {
    const { capacity, registry } = this.#deps;
    const upstream = registry.snapshot().upstreams.find(({ id }) => id === facts.id);
    const uses = upstream === undefined ? [] : capacity.keyUses(upstream);
    const limits = uses.flatMap(({ limit }) => limit ?? []);
    return {
      keys: this.#keys(facts).map((key, index) => ({ ...key, inFlight: uses[index]?.inFlight ?? 0 })),
      inFlight: capacity.underWay(facts),
      limit: limits.length === 0 ? null : limits.reduce((sum, limit) => sum + limit),
    };
  }

  /** As this server finds them. */
  #keys({ id, keys, note }: UpstreamFacts): readonly ListedKey[] {
    const { clock, health } = this.#deps;
    const aheadMs = clock.now() - clock.monotonic();
    const reasons = new Map(note?.keys?.map(({ n, reason }) => [n, reason]));
    const held = health.keys(id).map(({ untilMs, ...view }) => ({
      ...view,
      untilMs: untilMs === null ? null : Math.round(untilMs + aheadMs),
      // As noted, it is without secrets.
      reason: reasons.get(view.n) ?? "",
    }));
    return listedKeys(keys.map(({ key }) => key), held);
  }

  #standing(
    { id, isEnabled, problem, isTested, note }: UpstreamFacts,
  ): Pick<UpstreamView, "state" | "breaker" | "recent" | "openUntilMs" | "reason"> {
    const { state: breaker, untilMs } = this.#deps.health.view(id);
    const { attempts, failed, isDegraded, ...rate } = this.#deps.rates.view(id);
    const state = conditionOf({
      ...{ breaker, isEnabled, isUsable: problem === null },
      isTested: isTested || rate.isTested,
    });
    const shown = { state, breaker, recent: { attempts, failed, isDegraded } };
    if (breaker === "closed") return { ...shown, openUntilMs: null, reason: null };
    const { clock } = this.#deps;
    const openUntilMs = untilMs === null ? null : Math.round(clock.now() + untilMs - clock.monotonic());
    return { ...shown, openUntilMs, reason: note?.reason ?? null };
  }
}

function optionsOf(facts: UpstreamFacts): ShownOptions {
  const { keyPolicy, maxParallel, rpm, tpm, setHeaders, bodyPatch, onlyPaths } = facts;
  const { maxBodyBytes, streamTimeoutSeconds, priceFactor, errorTexts, proxy, usage } = facts;
  return {
    ...{ keyPolicy, maxParallel, rpm, tpm, setHeaders, bodyPatch, onlyPaths },
    ...{ maxBodyBytes, streamTimeoutSeconds, priceFactor, errorTexts, proxy, usage },
  };
}

function lastErrorOf(
  row: UpstreamRow | undefined,
  failures: readonly LastFailure[],
): UpstreamView["lastError"] {
  const found = failures.find(({ upstreamId }) => upstreamId === row?.id);
  if (row === undefined || found === undefined) return null;
  const { atMs, errorClass, message } = found;
  const options = readOptions(row.options);
  const shaping = typeof options === "string" ? NO_SHAPING : options.shaping;
  const keys = keysOf({ sk: row.sk ?? "", endpoint: row.endpoint ?? "", shaping });
  return { atMs, errorClass, message: redactSecrets(message, keys) };
}
