/**
 * The Chinese texts about several keys of an upstream.
 */
import type { KeyState } from "../../core/key_states.ts";
import type { keyTexts as english } from "./keys_en.ts";

const KEY_WORDS: Readonly<Record<KeyState, string>> = {
  ok: "正常",
  trying: "正在试",
  throttled: "被限流",
  refused: "被拒绝",
  no_credit: "没有额度",
};

export const keyTexts: typeof english = {
  keyNumber: (n) => `密钥 ${n}`,
  keyWord: (state) => KEY_WORDS[state],
  keysHeld: (held, all) => `${all} 个密钥中有 ${held} 个被搁置`,
  keysFilled: "密钥依次用满",
  keysOf: (all) => `${all} 个密钥`,
};
