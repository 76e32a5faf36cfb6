/**
 * How changes are asked for from the thread that relays requests, and how their errors come back.
 */
import type { ErrorCodec } from "../store/threads/thrown_errors.ts";
import type { ConfigChanges } from "./config_changes.ts";
import { ControlError, type ControlErrorCode } from "./errors.ts";

export type ChangeName = keyof ConfigChanges;

/** Each resolves when the change is committed. @throws ControlError, StoreError `locked` when it waited in vain */
export interface ChangeCalls {
  ask<Name extends ChangeName>(
    name: Name,
    argument: Parameters<ConfigChanges[Name]>[0],
  ): Promise<ReturnType<ConfigChanges[Name]>>;
}

/** A change, and the wall clock until when it may wait for a lock. */
export interface TimedChange {
  readonly untilMs: number;
  readonly argument: unknown;
}

const CONTROL = "ControlError";

export const controlErrors: ErrorCodec = {
  pack: (error) => {
    if (!(error instanceof ControlError)) return null;
    const { code, message, field, problem, hint } = error;
    return { type: CONTROL, code, message, details: { field, problem, hint } };
  },
  unpack: ({ type, code, message, details }) => {
    if (type !== CONTROL) return null;
    const given = Object.entries(details).filter(([, value]) => value !== null);
    return new ControlError(code as ControlErrorCode, message, Object.fromEntries(given));
  },
};
