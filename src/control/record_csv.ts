/**
 * Records as CSV (RFC 4180), safe to open in a spreadsheet. Pure.
 */
import { usdText } from "../core/money.ts";
import { BYTE_ORDER_MARK, csvCell, type CsvValue } from "./csv_cell.ts";
import type { RecordView } from "./record_view.ts";

const COLUMNS: readonly (readonly [title: string, cell: (record: RecordView) => CsvValue])[] = [
  ["id", ({ id }) => id],
  ["requestId", ({ requestId }) => requestId],
  ["createdAt", ({ createdAt }) => createdAt],
  ["ip", ({ ip }) => ip],
  ["client", ({ client }) => client],
  ["authorization", ({ authorization }) => authorization],
  ["userAgent", ({ userAgent }) => userAgent],
  ["method", ({ method }) => method],
  ["path", ({ path }) => path],
  ["model", ({ model }) => model],
  ["responseModel", ({ responseModel }) => responseModel],
  ["isStream", ({ isStream }) => isStream],
  ["status", ({ status }) => status],
  ["outcome", ({ outcome }) => outcome],
  ["upstreamId", ({ upstreamId }) => upstreamId],
  ["upstream", ({ upstream }) => upstream],
  ["attemptCount", ({ attemptCount }) => attemptCount],
  ["affinity", ({ affinity }) => affinity],
  ["elapsedMs", ({ elapsedMs }) => elapsedMs],
  ["firstByteMs", ({ firstByteMs }) => firstByteMs],
  ["firstTokenMs", ({ firstTokenMs }) => firstTokenMs],
  ["inputTokens", ({ usage }) => usage.inputTokens],
  ["outputTokens", ({ usage }) => usage.outputTokens],
  ["cachedTokens", ({ usage }) => usage.cachedTokens],
  ["reasoningTokens", ({ usage }) => usage.reasoningTokens],
  ["areTokensEstimated", ({ areTokensEstimated }) => areTokensEstimated],
  ["costUsd", ({ costNano }) => costNano === null ? null : usdText(costNano)],
  ["finishReason", ({ finishReason }) => finishReason],
  ["requestBytes", ({ requestBytes }) => requestBytes],
  ["responseBytes", ({ responseBytes }) => responseBytes],
  ["isTruncated", ({ isTruncated }) => isTruncated],
  ["error", ({ error }) => error],
  ["body", ({ body }) => body],
  ["response", ({ response }) => response],
  ["reasoning", ({ reasoning }) => reasoning],
  ["toolCalls", ({ toolCalls }) => toolCalls.length === 0 ? null : JSON.stringify(toolCalls)],
  ["instance", ({ instance }) => instance],
];

export { BYTE_ORDER_MARK };

/** The titles, without the line's end and without a {@link BYTE_ORDER_MARK}. */
export const CSV_HEADER = COLUMNS.map(([title]) => title).join(",");

/** One record, without the line's end; unknown values are empty cells. */
export function csvLine(record: RecordView): string {
  return COLUMNS.map(([, cell]) => csvCell(cell(record))).join(",");
}
