/**
 * `records show`: one record, whole: the conversation, the reply, the attempts.
 *
 * Owns the layout. Recorded texts are indented, so that none can look like a heading.
 */
import { UsageError } from "../errors.ts";
import { usdText } from "../../core/money.ts";
import { cleanText } from "../../core/clean_text.ts";
import type { StoredAttempt, StoredRecord } from "../../store/store.ts";
import type { EventualReader } from "../command_database.ts";
import type { CommandContext, DatabaseFlags } from "../context.ts";
import { type Column, formatJson, formatTable, type Terminal } from "../output.ts";
import { withRecords } from "./access.ts";
import { noSuchRecord } from "../../control/records.ts";
import { type Piece, readConversation } from "../../control/conversation.ts";
import { formatBytes, harmlessLines, prettyJson } from "../../core/recorded_text.ts";
import { formatDuration, formatTime } from "../../core/times.ts";
import { type DetailedRecordView, type NameSource, viewRecord } from "../../control/record_view.ts";
import { countText, statusText, tokensText } from "./view.ts";

export interface ShowFlags extends DatabaseFlags {
  readonly json?: boolean;
  readonly raw?: boolean;
}

export async function showRecord(
  context: CommandContext,
  { which, flags }: { readonly which: string; readonly flags: ShowFlags },
): Promise<void> {
  if (flags.json && flags.raw) throw new UsageError("--json and --raw are two forms: give one of them");
  const { terminal } = context;
  await withRecords({ ...context, flags }, async ({ records, names }) => {
    const record = await findRecord(records, which);
    if (flags.raw) {
      terminal.print(record.body ?? "");
      terminal.print(record.response ?? "");
      return;
    }
    const attempts = await records.attempts(record.id);
    if (flags.json) terminal.print(formatJson(viewInDetail(record, { names, attempts })));
    else describeRecord(record, { names, attempts, terminal }).forEach(terminal.print);
  });
}

/** @throws ControlError `not_found`; does not repeat what was typed */
export async function findRecord(records: EventualReader, which: string): Promise<StoredRecord> {
  const record = await records.get(which.trim());
  if (record === null) throw noSuchRecord();
  return record;
}

export function viewInDetail(
  record: StoredRecord,
  { names, attempts }: { readonly names: NameSource; readonly attempts: readonly StoredAttempt[] },
): DetailedRecordView {
  return { ...viewRecord(record, names), attempts };
}

interface DescribeOptions {
  readonly names: NameSource;
  readonly attempts: readonly StoredAttempt[];
  readonly terminal: Pick<Terminal, "columns">;
}

function describeRecord(record: StoredRecord, { names, attempts, terminal }: DescribeOptions): string[] {
  return [
    ...summary(record, names),
    "",
    ...requestLines(record),
    "",
    heading(record.outcome === "in_flight" ? "reply so far" : "reply"),
    ...replyLines(record),
    ...(attempts.length === 0 ? [] : ["", heading("attempts"), ...attemptLines(attempts, terminal.columns)]),
    ...attempts.flatMap(({ index, partial }) =>
      partial === null ? [] : ["", heading(`attempt ${index} had said`), ...indented(partial)]
    ),
  ];
}

function summary(record: StoredRecord, names: NameSource): string[] {
  const { usage } = record;
  const answeredBy = names.nameOf(record.upstreamId);
  const tokens = [
    `${tokensText(record, "inputTokens")} in${bracketed(usage.cachedTokens, "cached")}`,
    `${tokensText(record, "outputTokens")} out${bracketed(usage.reasoningTokens, "reasoning")}`,
  ];
  const model = record.responseModel === null || record.responseModel === record.model
    ? record.model
    : `${record.model ?? "-"}, answered as ${record.responseModel}`;
  const client = [record.client, record.authorization, record.ip, record.userAgent].filter(isSaid);
  const rows: readonly (readonly [label: string, value: string | null])[] = [
    ["record", `${record.id}${record.requestId === null ? "" : ` (${record.requestId})`}`],
    ["time", formatTime(record.createdAtMs)],
    ["request", [record.method, record.path, record.isStream ? "(stream)" : null].filter(isSaid).join(" ")],
    ["model", model],
    ["client", client.join(", ")],
    ["status", `${statusText(record)} ${record.outcome ?? ""}`],
    ["upstream", answeredBy],
    ["affinity", record.affinity],
    ["took", duration(record)],
    ["tokens", tokens.join(", ")],
    ["cost", costOf(record)],
    ["finish", record.finishReason],
    ["size", `${sizeText(record.requestBytes)} in, ${sizeText(record.responseBytes)} out`],
    ["error", record.error],
    ["note", record.isTruncated ? "not everything was kept: it was too large, or not text" : null],
  ];
  return rows.flatMap(([label, value]) => {
    const text = cleanText(value ?? "");
    return text === "" ? [] : [`${label.padEnd(9)}${text}`];
  });
}

/** Of a request that has ended. */
function costOf({ costNano, outcome }: StoredRecord): string | null {
  if (outcome === "in_flight") return null;
  return costNano === null ? "unknown" : `${usdText(costNano)} USD`;
}

function duration({ elapsedMs, queuedMs, firstByteMs, firstTokenMs }: StoredRecord): string {
  const parts = [
    ...(queuedMs === null ? [] : [`waited ${formatDuration(queuedMs)} for an upstream with room`]),
    ...(firstByteMs === null ? [] : [`first byte after ${formatDuration(firstByteMs)}`]),
    ...(firstTokenMs === null ? [] : [`first token after ${formatDuration(firstTokenMs)}`]),
  ];
  return [formatDuration(elapsedMs), ...parts].join(", ");
}

function requestLines({ body }: StoredRecord): string[] {
  if (body === null || body === "") return [heading("request"), "  (no body)"];
  const conversation = readConversation(body);
  if (conversation === null || conversation.turns.length === 0) {
    return [heading("request"), ...indented(prettyJson(body))];
  }
  const { turns, settings, tools } = conversation;
  const lines = turns.flatMap(({ role, pieces }) => [
    heading(role),
    ...(pieces.length === 0 ? ["  (nothing)"] : pieces.flatMap(pieceLines)),
  ]);
  if (settings.length > 0) {
    lines.push(
      heading("settings"),
      ...settings.flatMap((setting) => indented(setting)),
    );
  }
  if (tools.length > 0) lines.push(heading("tools"), ...indented(tools.join(", ")));
  return lines;
}

/** The reply's reasoning, text and tool calls, each line indented. */
export function replyLines({ reasoning, response, toolCalls }: {
  readonly reasoning: string | null;
  readonly response: string | null;
  readonly toolCalls: StoredRecord["toolCalls"];
}): string[] {
  const pieces: Piece[] = [
    ...(reasoning ? [{ type: "reasoning", text: reasoning } as const] : []),
    ...(response ? [{ type: "text", text: response } as const] : []),
    ...toolCalls.map((call) => ({ type: "tool_call", ...call }) as const),
  ];
  return pieces.length === 0 ? ["  (nothing)"] : pieces.flatMap(pieceLines);
}

function pieceLines(piece: Piece): string[] {
  switch (piece.type) {
    case "text":
    case "placeholder":
    case "image":
      return indented(piece.text);
    case "reasoning":
      return ["  (reasoning)", ...indented(piece.text, "  | ")];
    case "tool_call":
      return [`  calls ${named(piece.name, piece.id)}`, ...indented(prettyJson(piece.arguments), "    ")];
    case "tool_result":
      return [`  ${named("result", piece.id)}`, ...indented(piece.text, "    ")];
    default:
      return piece satisfies never;
  }
}

const ATTEMPT_COLUMNS: readonly Column<StoredAttempt>[] = [
  { title: "N", cell: ({ index }) => String(index) },
  { title: "UPSTREAM", cell: ({ upstreamName }) => upstreamName, isFlexible: true },
  { title: "KEY", cell: ({ keyN }) => countText(keyN) },
  { title: "STARTED", cell: ({ startedAtMs }) => formatTime(startedAtMs) },
  { title: "TOOK", cell: ({ durationMs }) => formatDuration(durationMs) },
  { title: "STATUS", cell: ({ status }) => countText(status) },
  { title: "ERROR", cell: ({ errorClass }) => errorClass ?? "-" },
  { title: "MESSAGE", cell: ({ message }) => message ?? "-", isFlexible: true },
];

/** Shown only when one is known. */
const COST_COLUMN: Column<StoredAttempt> = {
  title: "USD",
  cell: ({ costNano, usage }) =>
    costNano === null || costNano === undefined
      ? "-"
      : `${usage?.details?.isEstimated ? "~" : ""}${usdText(costNano)}`,
};

/** Shown only when a request was changed. */
const CHANGED_COLUMN: Column<StoredAttempt> = {
  title: "REQUEST",
  cell: ({ isChanged }) => isChanged ? "changed" : "-",
};

function attemptLines(attempts: readonly StoredAttempt[], screen: number | null): string[] {
  const width = screen === null ? null : screen - 2;
  const hasKeys = attempts.some(({ keyN }) => keyN !== null);
  const columns = ATTEMPT_COLUMNS.filter(({ title }) => hasKeys || title !== "KEY");
  if (attempts.some(({ costNano }) => typeof costNano === "number")) columns.splice(-1, 0, COST_COLUMN);
  if (attempts.some(({ isChanged }) => isChanged)) columns.splice(-1, 0, CHANGED_COLUMN);
  return formatTable(attempts, { columns, width }).map((line) => `  ${line}`);
}

function heading(text: string): string {
  return `── ${cleanText(text)} ──`;
}

function indented(text: string, indent = "  "): string[] {
  return harmlessLines(text).map((line) => `${indent}${line}`);
}

function named(name: string, id: string | null): string {
  return cleanText(id === null ? name : `${name} (${id})`);
}

function bracketed(count: number | null, what: string): string {
  return count === null ? "" : ` (${count} ${what})`;
}

function sizeText(bytes: number | null): string {
  return bytes === null ? "-" : formatBytes(bytes);
}

function isSaid(text: string | null): text is string {
  return text !== null && text !== "";
}
