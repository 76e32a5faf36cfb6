/**
 * What a token may do, in one line. Pure.
 */
import type { TokenView } from "../control/admin_service.ts";
import { NANO_PER_USD } from "../core/money.ts";
import { shownUsd } from "../core/shown_money.ts";
import type { Messages } from "./messages/en.ts";

/** Lists of patterns may be long. */
const MAX_LIST_LENGTH = 80;

export function rulesText(m: Messages, token: TokenView): string {
  const { budgetUsd, budgetPeriod, spentUsd, rpm, tpm, maxParallel, allow, deny, upstreams } = token;
  const parts = [
    budgetUsd === null
      ? []
      : m.spentOf(spentText(spentUsd), budgetText(m, budgetUsd, budgetPeriod ?? "month")),
    rpm === null ? [] : m.rpmIs(rpm),
    tpm === null ? [] : m.tpmIs(tpm),
    maxParallel === null ? [] : m.parallelIs(maxParallel),
    allow.length === 0 ? [] : m.allowIs(listText(allow)),
    deny.length === 0 ? [] : m.denyIs(listText(deny)),
    upstreams.length === 0 ? [] : m.onlyUpstreamsIs(listText(upstreams)),
  ].flat();
  return parts.length === 0 ? m.tokenMayAll : parts.join(" · ");
}

/** Of what is not counted: nothing was spent. */
function spentText(usd: number | null): string {
  return shownUsd(Math.round((usd ?? 0) * NANO_PER_USD));
}

function budgetText(m: Messages, usd: number, period: NonNullable<TokenView["budgetPeriod"]>): string {
  return period === "total" ? m.budgetTotal(usd) : m.budgetIs(usd, m.budgetPeriods[period]);
}

function listText(parts: readonly string[]): string {
  const text = parts.join(", ");
  return text.length <= MAX_LIST_LENGTH ? text : `${text.slice(0, MAX_LIST_LENGTH)}…`;
}
