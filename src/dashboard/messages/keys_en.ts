/**
 * The English texts about several keys of an upstream.
 */
import type { KeyState } from "../../core/key_states.ts";

const KEY_WORDS: Readonly<Record<KeyState, string>> = {
  ok: "ok",
  trying: "being tried",
  throttled: "throttled",
  refused: "refused",
  no_credit: "no credit",
};

export const keyTexts = {
  keyNumber: (n: number) => `key ${n}`,
  keyWord: (state: KeyState) => KEY_WORDS[state],
  keysHeld: (held: number, all: number) => `${held} of ${all} keys ${held === 1 ? "is" : "are"} held back`,
  keysFilled: "keys in order" as string,
  keysOf: (all: number) => `${all} keys`,
} as const;
