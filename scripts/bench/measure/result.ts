/**
 * The results of a scenario, for the report.
 */
import type { Figures } from "./statistics.ts";

export const CONTENDER_NAMES = [
  "direct",
  "nginx",
  "go-proxy",
  "portkey",
  "relay",
  "ours",
  "limited",
] as const;
export type ContenderName = typeof CONTENDER_NAMES[number];

/** All rounds of one contender in one variant of a scenario. */
export interface Result {
  readonly scenario: string;
  /** For example `64 connections`. */
  readonly variant: string;
  readonly contender: ContenderName;
  readonly rounds: readonly Figures[];
}

/** A column of a scenario's table. */
export interface Column {
  readonly title: string;
  readonly figure: string;
  /** Decimal places. */
  readonly digits: number;
}

/** How to present a scenario's results. */
export interface Layout {
  readonly scenario: string;
  readonly title: string;
  readonly columns: readonly Column[];
  /** The figure to compute ratios from; null for none. */
  readonly ratioOf: string | null;
  /** Notes needed to judge the figures. */
  readonly notes: readonly string[];
}
