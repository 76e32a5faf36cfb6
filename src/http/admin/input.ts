/**
 * Reads requests to the admin API, checked against a schema.
 */
import type { Context } from "hono";
import type { z } from "zod";
import { RouterError } from "../../core/errors.ts";
import type { AdminEnv } from "./env.ts";

/**
 * @param prepare what to check of the body; default: all of it as it is
 * @throws RouterError 400 naming the first wrong field, never its value
 */
export async function bodyOf<Schema extends z.ZodType>(
  c: Context<AdminEnv>,
  schema: Schema,
  prepare: (body: unknown) => unknown = (body) => body,
): Promise<z.output<Schema>> {
  if (!isJson(c)) {
    throw invalid("Send the body as JSON, with content-type: application/json");
  }
  return checked(schema, prepare(await jsonOf(c)));
}

/** The same for a body that may be left out, which counts as an empty object. */
export async function optionalBodyOf<Schema extends z.ZodType>(
  c: Context<AdminEnv>,
  schema: Schema,
): Promise<z.output<Schema>> {
  const isEmpty = (await c.req.text()) === "";
  return isEmpty ? checked(schema, {}) : await bodyOf(c, schema);
}

/**
 * The fields of a form; none when the body is of another kind.
 * @throws RouterError 400 when the body is not what its content-type says
 */
export async function formFieldsOf(c: Context<AdminEnv>): Promise<Record<string, string | File>> {
  try {
    return await c.req.parseBody();
  } catch (error) {
    // It came too late or broke off; the error says so already.
    if (error instanceof RouterError) throw error;
    throw invalid("The body is no form of the kind that its content-type says");
  }
}

/** Each parameter once. */
export function queryOf<Schema extends z.ZodType>(c: Context<AdminEnv>, schema: Schema): z.output<Schema> {
  const repeated = Object.entries(c.req.queries()).find(([, values]) => values.length > 1);
  if (repeated !== undefined) {
    throw invalid(`The query parameter ${shown(repeated[0])} is given more than once`);
  }
  return checked(schema, c.req.query());
}

export function parameterOf<Schema extends z.ZodType>(
  c: Context<AdminEnv>,
  name: string,
  schema: Schema,
): z.output<Schema> {
  const parsed = schema.safeParse(c.req.param(name));
  if (parsed.success) return parsed.data;
  throw new RouterError(404, "not_found", `Nothing is here: the ${name} in the path is none`);
}

export function checked<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const where = issue?.path.map((part) => shown(String(part))).join(".") ?? "";
  const what = issue?.code === "unrecognized_keys"
    ? `unknown: ${issue.keys.map(shown).join(", ")}`
    : issue?.message ?? "invalid";
  throw invalid(where === "" ? `The input is refused: ${what}` : `${where} is refused: ${what}`);
}

export function isJson(c: Context<AdminEnv>): boolean {
  return /^application\/json\b/i.test(c.req.header("content-type") ?? "");
}

/** @throws RouterError 400 */
export async function jsonOf(c: Context<AdminEnv>): Promise<unknown> {
  try {
    return await c.req.json();
  } catch (error) {
    if (error instanceof RouterError) throw error;
    throw invalid("The body is not JSON");
  }
}

function shown(name: string): string {
  return name.slice(0, 64).replace(/[^\w.-]/g, "?");
}

function invalid(message: string): RouterError {
  return new RouterError(400, "invalid_request", message);
}
