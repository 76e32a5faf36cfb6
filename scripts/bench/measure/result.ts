/**
 * What a scenario hands to the report.
 */
import type { Figures } from "./statistics.ts";

export const CONTENDER_NAMES = ["direct", "nginx", "portkey", "relay", "ours"] as const;
export type ContenderName = typeof CONTENDER_NAMES[number];

/** All rounds of one contender in one variant of a scenario. */
export interface Result {
  readonly scenario: string;
  /** Such as `64 connections`. */
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

/** How a scenario's results are to be shown. */
export interface Layout {
  readonly scenario: string;
  readonly title: string;
  readonly columns: readonly Column[];
  /** The figure that ratios are made of; null when none makes sense. */
  readonly ratioOf: string | null;
  /** What a reader must know to judge the figures. */
  readonly notes: readonly string[];
}
