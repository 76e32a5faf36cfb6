/**
 * Chooses the page's language, and formats numbers in it.
 */
import { shownUsd } from "../../core/shown_money.ts";
import { en, type Messages } from "./en.ts";
import { zh } from "./zh.ts";

export interface Language {
  readonly messages: Messages;
  readonly format: Formats;
}

/** Formats numbers for people; null becomes a dash. */
export interface Formats {
  /** `12,345` */
  count(value: number | null): string;
  /** `12.3K`; up to 9,999 as they are. */
  short(value: number | null): string;
  /** `2.4%` of a fraction. */
  percent(fraction: number | null): string;
  /** `3.2`, `0.04` */
  rate(value: number): string;
  /** `85 ms`, `1.23 s`, `2 min 5 s` */
  duration(ms: number | null): string;
  /** `$12.40`, `$0.0031`, of 1e-9 US dollars. */
  usd(nano: number | null): string;
  /** `512 B`, `12.3 KB`, `4.5 MB`, `1.2 GB` */
  bytes(value: number | null): string;
}

const DASH = "–";

const ENGLISH: Language = { messages: en, format: formatsOf("en", { minutes: " min ", seconds: " s" }) };
const CHINESE: Language = { messages: zh, format: formatsOf("zh-Hans", { minutes: " 分 ", seconds: " 秒" }) };

/** The rest of a longer header is ignored. */
const MAX_HEADER_LENGTH = 1024;

/** The supported language with the highest weight (RFC 9110 section 12.5.4); English otherwise. */
export function chooseLanguage(acceptLanguage: string | undefined): Language {
  const wanted = (acceptLanguage ?? "").slice(0, MAX_HEADER_LENGTH).split(",", 20).map((part) => {
    const [tag = "", ...parameters] = part.toLowerCase().split(";").map((each) => each.trim());
    const weight = parameters.find((each) => each.startsWith("q="))?.slice(2);
    return { tag, weight: weight === undefined ? 1 : Number(weight) || 0 };
  });
  const best = wanted
    .filter(({ tag, weight }) => weight > 0 && /^(en|zh|\*)(-|$)/.test(tag))
    .toSorted((a, b) => b.weight - a.weight)[0];
  return best?.tag.startsWith("zh") ? CHINESE : ENGLISH;
}

function formatsOf(locale: string, units: { readonly minutes: string; readonly seconds: string }): Formats {
  const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
  const compact = new Intl.NumberFormat(locale, { notation: "compact", maximumSignificantDigits: 3 });
  const digits = new Intl.NumberFormat(locale, { maximumSignificantDigits: 3 });
  const share = new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 1 });
  const one = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
  const two = new Intl.NumberFormat(locale, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  return {
    count: (value) => value === null ? DASH : whole.format(value),
    short: (value) => value === null ? DASH : value < 10_000 ? whole.format(value) : compact.format(value),
    percent: (fraction) => fraction === null ? DASH : share.format(fraction),
    rate: (value) => value >= 100 ? whole.format(value) : digits.format(value),
    duration: (ms) => {
      if (ms === null) return DASH;
      if (ms < 999.5) return `${Math.round(ms)} ms`;
      if (ms < 59_995) return `${two.format(ms / 1000)}${units.seconds}`;
      const seconds = Math.round(ms / 1000);
      return `${Math.floor(seconds / 60)}${units.minutes}${seconds % 60}${units.seconds}`;
    },
    usd: (nano) => nano === null ? DASH : shownUsd(nano),
    bytes: (value) => {
      if (value === null) return DASH;
      if (value < 1000) return `${value} B`;
      if (value < 1_000_000) return `${one.format(value / 1000)} KB`;
      return value < 1e9 ? `${one.format(value / 1_000_000)} MB` : `${one.format(value / 1e9)} GB`;
    },
  };
}
