/**
 * The settings of affinity: which requests stay with one upstream, and how long owners of ids are remembered.
 */
import { z } from "zod";
import type { SettingFlag } from "./setting_flag.ts";
import { toChoice, toDaysOrNone } from "./values.ts";

export interface AffinitySettings {
  /** Whether sessions stay with one upstream; `auto`: unless the policy is `order`. */
  readonly affinity: "auto" | "on" | "off";
  /** Owners of ids that were not seen for longer are forgotten; null: none. */
  readonly keepIdsDays: number | null;
}

/** In the order of the help. */
export const AFFINITY_FLAGS = [
  {
    key: "affinity",
    flag: "--affinity",
    variable: "OAR_AFFINITY",
    value: "when",
    group: "Failover",
    description:
      "requests of one session go to the same upstream while it is well, so that prompt caches are hit: on, off, or auto (on unless the policy is order)",
    default: "auto",
  },
  {
    key: "keepIds",
    flag: "--keep-ids",
    variable: "OAR_KEEP_IDS",
    value: "days",
    group: "Failover",
    description: "how long it is remembered which upstream a response, file or batch belongs to",
    default: "60d",
  },
] as const satisfies readonly SettingFlag[];

/** By key of {@link AFFINITY_FLAGS}. */
export const AFFINITY_SCHEMAS = {
  affinity: toChoice({ auto: "auto", on: "on", off: "off" }),
  keepIds: z.string()
    .transform((text) => text.replace(/^([\d.]+)d$/i, "$1"))
    .pipe(toDaysOrNone({ min: 0.00001, max: 36_500 })),
};
