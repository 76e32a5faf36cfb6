/**
 * Money as people read it: `$12.40`, `$0.0031`. Exact amounts: money.ts. Pure.
 */
import { NANO_PER_USD } from "./money.ts";

const CENTS = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const SMALL = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 9 });

/** From a dollar on in cents, else with three digits that say something. @param nano 1e-9 US dollars */
export function shownUsd(nano: number): string {
  const usd = Math.abs(nano) / NANO_PER_USD;
  const amount = usd >= 0.995 ? CENTS.format(usd) : SMALL.format(Number(usd.toPrecision(3)));
  return `${nano < 0 ? "-" : ""}$${amount}`;
}
