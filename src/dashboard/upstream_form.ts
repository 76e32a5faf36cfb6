/**
 * The form of an upstream: converts an upstream to field values, and field values to a change. Pure.
 */
import { isModelName } from "../control/upstream_values.ts";
import { AUTH_STYLES } from "../core/types.ts";
import type { UpstreamInput, UpstreamView } from "../control/admin_service.ts";
import type { Messages } from "./messages/en.ts";
import { EMPTY_OPTION_FORM, type OptionForm, optionFormOf, optionInput } from "./upstream_option_form.ts";

export interface UpstreamForm extends OptionForm {
  readonly endpoint: string;
  /** Never filled in by the server. */
  readonly key: string;
  readonly name: string;
  readonly timeout: string;
  readonly allow: string;
  readonly deny: string;
  /** One pair per line. */
  readonly modelMap: string;
  readonly authStyle: string;
  readonly weight: string;
}

export const EMPTY_FORM: UpstreamForm = {
  endpoint: "",
  key: "",
  name: "",
  timeout: "",
  allow: "",
  deny: "",
  modelMap: "",
  authStyle: "",
  weight: "",
  ...EMPTY_OPTION_FORM,
};

export function formOf(upstream: UpstreamView): UpstreamForm {
  return {
    endpoint: upstream.endpoint,
    key: "",
    name: upstream.name,
    timeout: upstream.timeoutSeconds === null ? "" : String(upstream.timeoutSeconds),
    allow: upstream.allow.join(", "),
    deny: upstream.deny.join(", "),
    modelMap: Object.entries(upstream.modelMap).map(([from, to]) => `${from}=${to}`).join("\n"),
    authStyle: upstream.authStyle ?? "",
    weight: upstream.weight === 1 ? "" : String(upstream.weight),
    ...optionFormOf(upstream),
  };
}

export function readForm(fields: Readonly<Partial<Record<keyof UpstreamForm, unknown>>>): UpstreamForm {
  const text = (name: keyof UpstreamForm): string => {
    const value = fields[name];
    return typeof value === "string" ? value.replaceAll("\r\n", "\n").trim() : "";
  };
  const names = Object.keys(EMPTY_FORM) as (keyof UpstreamForm)[];
  return { ...EMPTY_FORM, ...Object.fromEntries(names.map((name) => [name, text(name)])) };
}

/**
 * The input for the service, or why the form is invalid. An empty key leaves the stored one unchanged.
 *
 * @throws ControlError `invalid` for an option
 * @param shown what the fields showed: one that still shows it is left out, because a row may hold more than a field can
 * show; null: every field counts
 */
export function toInput(
  form: UpstreamForm,
  m: Messages,
  shown: UpstreamForm | null = null,
): UpstreamInput | { readonly problem: string } {
  const isChanged = (field: keyof UpstreamForm) => form[field] !== shown?.[field];
  const modelMap = isChanged("modelMap") ? readPairs(form.modelMap) : {};
  if (typeof modelMap === "string") return { problem: m.badModelMap(modelMap) };
  for (const field of ["timeout", "weight"] as const) {
    const text = form[field];
    if (isChanged(field) && text !== "" && !(Number(text) > 0)) return { problem: m.badNumber(text) };
  }
  return {
    ...(form.key === "" ? {} : { key: form.key }),
    ...(isChanged("endpoint") ? { endpoint: form.endpoint } : {}),
    ...(isChanged("name") ? { name: form.name === "" ? null : form.name } : {}),
    ...(isChanged("timeout") ? { timeoutSeconds: form.timeout === "" ? null : Number(form.timeout) } : {}),
    ...(isChanged("allow") ? { allow: globs(form.allow) } : {}),
    ...(isChanged("deny") ? { deny: globs(form.deny) } : {}),
    ...(isChanged("modelMap") ? { modelMap } : {}),
    ...(isChanged("authStyle")
      ? { authStyle: AUTH_STYLES.find((style) => style === form.authStyle) ?? null }
      : {}),
    ...(isChanged("weight") ? { weight: form.weight === "" ? 1 : Number(form.weight) } : {}),
    ...optionInput(form, (field) => form[field] !== (shown ?? EMPTY_FORM)[field]),
  };
}

/** One pair a line; the line that is none. */
function readPairs(text: string): Record<string, string> | string {
  const pairs: [string, string][] = [];
  for (const line of text.split("\n").map((each) => each.trim()).filter(Boolean)) {
    const at = line.indexOf("=");
    const [from, to] = [line.slice(0, at).trim(), line.slice(at + 1).trim()];
    if (at < 0 || !isModelName(from) || !isModelName(to)) return line;
    pairs.push([from, to]);
  }
  return Object.fromEntries(pairs);
}

function globs(text: string): string[] {
  return text.split(/[,\n]/).map((each) => each.trim()).filter(Boolean);
}
