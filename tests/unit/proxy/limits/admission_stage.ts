/**
 * One server's admission without a server: requests whose price is in the name of their model.
 */
import type { ClientRules } from "../../../../src/core/client_rules.ts";
import { HeaderFields } from "../../../../src/core/header_fields.ts";
import { NO_CLIENT_LIMITS } from "../../../../src/core/client_rules.ts";
import type { Prices } from "../../../../src/core/prices.ts";
import type { LimitReason } from "../../../../src/core/refusal.ts";
import type { SpendStore } from "../../../../src/core/spend.ts";
import type { RequestRecord } from "../../../../src/core/types.ts";
import type { Alert } from "../../../../src/notify/notifier.ts";
import type { Admission } from "../../../../src/proxy/limits/admission.ts";
import { ClientAdmission } from "../../../../src/proxy/limits/client_admission.ts";
import type { ClientDemand } from "../../../../src/proxy/limits/demand.ts";
import type { FakeClock } from "../../../support/fake_clock.ts";
import { anUpstream } from "../../../support/upstream_value.ts";
import { record } from "../../observe/fixtures.ts";

/** The model `cost-N` costs N, whatever it says. */
const PRICES: Prices = {
  costOf: () => null,
  ratesOf: ({ model }) => {
    const cost = /^cost-(\d+)$/.exec(model ?? "")?.[1];
    return cost === undefined ? null : { input: 0, output: 0, request: Number(cost) };
  },
};

export function rulesOf(
  limits: Partial<ClientRules["limits"]>,
  more: Partial<ClientRules> = {},
): ClientRules {
  return {
    ...{
      id: 1,
      name: "amy",
      digest: "",
      hint: "sk-…",
      isEnabled: true,
      expiresAtMs: null,
      createdAtMs: null,
    },
    ...{ allow: [], deny: [], upstreams: [], gate: null },
    limits: { ...NO_CLIENT_LIMITS, ...limits },
    ...more,
  };
}

export interface Stage {
  readonly admission: ClientAdmission;
  readonly refusals: { readonly client: string; readonly reason: LimitReason }[];
  readonly alerts: Alert[];
  readonly overshoots: number[];
  readonly failures: unknown[];
}

export function stageOf(clock: FakeClock, spend: SpendStore | null, timeZone = "UTC"): Stage {
  const stage = { refusals: [], alerts: [], overshoots: [], failures: [] } as Omit<Stage, "admission">;
  const admission = new ClientAdmission({
    ...{ clock, spend, timeZone, prices: PRICES },
    notifier: { raise: (alert) => void stage.alerts.push(alert) },
    observer: {
      clientRefused: (client, reason) => void stage.refusals.push({ client, reason }),
      budgetOvershoot: (nano) => void stage.overshoots.push(nano),
      spendFailed: (error) => void stage.failures.push(error),
    },
  });
  return { ...stage, admission };
}

/** A chat of a model that costs so much. */
export function demandOf(costNano: number, { maxTokens = 0 } = {}): ClientDemand {
  const body = new TextEncoder().encode(maxTokens === 0 ? "{}" : `{"max_tokens":${maxTokens}}`);
  const model = `cost-${costNano}`;
  return {
    inbound: {
      ...{ id: "1", method: "POST", path: "/v1/chat/completions", query: "", kind: "chat", isStream: false },
      ...{ model, shownModel: model, modelPlace: null, headers: new HeaderFields(), body },
      ...{ clientIp: "1.2.3.4", clientName: "amy", clientToken: null, startedAtMs: 0, startedMonoMs: 0 },
    },
    plain: body,
    candidates: [anUpstream(1)],
  };
}

export function settled(costNano: number | null, more: Partial<RequestRecord> = {}): RequestRecord {
  return record({ costNano, ...more });
}

/** Those that were admitted of these, and the codes of the others. */
export async function outcomes(
  admitted: readonly (() => Admission | Promise<Admission>)[],
): Promise<{ readonly admissions: Admission[]; readonly codes: string[] }> {
  const admissions: Admission[] = [];
  const codes: string[] = [];
  await Promise.all(admitted.map(async (admit) => {
    try {
      admissions.push(await admit());
    } catch (error) {
      codes.push((error as { code?: string }).code ?? String(error));
    }
  }));
  return { admissions, codes };
}
