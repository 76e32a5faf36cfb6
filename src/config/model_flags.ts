/**
 * The flags of `serve` about the models of upstreams; the others, and what they all are: flags.ts.
 */
import type { z } from "zod";
import type { SettingFlag } from "./setting_flag.ts";
import { toChoice, toDurationOrOff } from "./values.ts";

/** In the order of the help. */
export const MODEL_FLAGS = [
  {
    key: "models",
    flag: "--models",
    variable: "OAR_MODELS",
    value: "source",
    group: "Failover",
    description:
      "union asks all upstreams for their models, answers GET /v1/models, and tries first who has a model; first asks none, and relays it to the first",
    default: "union",
  },
  {
    key: "modelsRefresh",
    flag: "--models-refresh",
    variable: "OAR_MODELS_REFRESH",
    value: "time",
    group: "Failover",
    description:
      "how often upstreams are asked for their models, such as 10m or 600; off: when the server starts, and when one is changed",
    default: "10m",
  },
  {
    key: "check",
    flag: "--check",
    variable: "OAR_CHECK",
    value: "time",
    group: "Failover",
    description: "upstreams without traffic for this long, such as 60s, are asked for their models; or off",
    default: "off",
  },
] as const satisfies readonly SettingFlag[];

/** How models are learned, and upstreams checked. */
export interface ModelSettings {
  /** `first`: upstreams are not asked, and requests for models are relayed. */
  readonly source: "union" | "first";
  /** Between two askings of an upstream; null: it is asked once. */
  readonly refreshMs: number | null;
  /** Upstreams without traffic for this long are checked; null: none is. */
  readonly checkMs: number | null;
}

export const MODEL_SCHEMAS = {
  models: toChoice({ union: "union", first: "first" }),
  modelsRefresh: toDurationOrOff({ min: 1, max: 604_800 }),
  check: toDurationOrOff({ min: 1, max: 86_400 }),
} satisfies Record<typeof MODEL_FLAGS[number]["key"], z.ZodType>;

export function modelSettings(
  { models, modelsRefresh, check }: {
    readonly [Key in keyof typeof MODEL_SCHEMAS]: z.output<typeof MODEL_SCHEMAS[Key]>;
  },
): ModelSettings {
  return { source: models, refreshMs: modelsRefresh, checkMs: check };
}
