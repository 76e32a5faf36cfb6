/**
 * Turns a {@link RecordFilter} into conditions on `oar.records r`, with the meaning of ../../read/record_filter.ts.
 *
 * Owns everything but the times, which are the span's, and `text`, which is the search's. Pure. Every value is a parameter.
 */
import { NANOSECONDS_PER_MS } from "../../../core/units.ts";
import { FAILURE, isBlamed, MAX_MODEL_LENGTH } from "../../read/record_filter.ts";
import type { RecordFilter } from "../../store.ts";
import type { SpanTerms } from "./span.ts";
import type { Parameters } from "./statement.ts";

const NOTHING = "FALSE";

/** @param span of the records, by which the attempts that are read are bounded */
export function filterTerms(filter: RecordFilter, parameters: Parameters, span: SpanTerms): string[] {
  const terms: string[] = [];
  const { model, upstreamId, status, outcome, client, without } = filter;
  if (model !== undefined) terms.push(modelTerm(model, parameters));
  if (upstreamId !== undefined) terms.push(idTerm("r.upstream_id", upstreamId, parameters));
  if (status !== undefined) {
    terms.push(
      status >= 1 && status <= 5
        ? `r.status >= ${parameters.add(status * 100, "float8")} AND r.status <= ${
          parameters.add(status * 100 + 99, "float8")
        }`
        : `r.status = ${parameters.add(status, "float8")}`,
    );
  }
  if (outcome !== undefined) terms.push(`r.outcome = ${parameters.add(outcome, "text")}`);
  if (client !== undefined) terms.push(`r.client = ${parameters.add(client, "text")}`);
  if (without !== undefined) terms.push(`coalesce(r.${without}, '') = ''`);
  if (filter.isFailure) terms.push(FAILURE);
  return [...terms, ...attemptTerms(filter, parameters, span), ...tookTerms(filter, parameters)];
}

function modelTerm(model: string, parameters: Parameters): string {
  if (model.length > MAX_MODEL_LENGTH) return NOTHING;
  if (!/[*?]/.test(model)) return `r.model = ${parameters.add(model, "text")}`;
  return `r.model LIKE ${parameters.add(toLike(model), "text")}`;
}

/** A glob that has only `*` and `?` as a pattern of LIKE. */
export function toLike(glob: string): string {
  return glob.replaceAll(/[\\%_]/g, String.raw`\$&`).replaceAll(/\*+/g, "%").replaceAll("?", "_");
}

function idTerm(column: string, id: number, parameters: Parameters): string {
  return Number.isSafeInteger(id) ? `${column} = ${parameters.add(id, "bigint")}` : NOTHING;
}

function attemptTerms(
  { triedUpstreamId, failedUpstreamId }: RecordFilter,
  parameters: Parameters,
  span: SpanTerms,
): string[] {
  const isThere = (terms: readonly string[]): string =>
    `EXISTS (SELECT 1 FROM oar.attempts a WHERE ${
      ["a.created_at = r.created_at", "a.record_id = r.id", ...span.times("a"), ...terms].join(" AND ")
    } AND a.error_class IS NOT NULL)`;
  const terms: string[] = [];
  if (triedUpstreamId !== undefined) {
    const failed = isThere([idTerm("a.upstream_id", triedUpstreamId, parameters)]);
    terms.push(`(${idTerm("r.upstream_id", triedUpstreamId, parameters)} OR ${failed})`);
  }
  if (failedUpstreamId !== undefined) {
    terms.push(isThere([idTerm("a.upstream_id", failedUpstreamId, parameters), isBlamed("a")]));
  }
  return terms;
}

function tookTerms({ attempts, slowerThanMs }: RecordFilter, parameters: Parameters): string[] {
  if (attempts === undefined && slowerThanMs === undefined) return [];
  const terms = ["r.outcome IS DISTINCT FROM 'in_flight'"];
  const { min = null, max = null } = attempts ?? {};
  if (min !== null) terms.push(`r.attempts >= ${parameters.add(min, "float8")}`);
  if (max !== null) terms.push(`r.attempts <= ${parameters.add(max, "float8")}`);
  if (slowerThanMs !== undefined) {
    const ns = Math.min(slowerThanMs * NANOSECONDS_PER_MS, Number.MAX_SAFE_INTEGER);
    terms.push(`r.elapsed_time > ${parameters.add(ns, "float8")}`);
  }
  return terms;
}
