/**
 * The form of one setting as people spell it. Types only.
 */

/** One setting as people spell it. */
export interface SettingFlag {
  /** Property of `SettingsInput.flags`: the flag in camel case. */
  readonly key: string;
  /** With its dashes. */
  readonly flag: string;
  readonly variable: string;
  /** What help shows as the value; null for a switch, which means yes without a value. */
  readonly value: string | null;
  readonly group: "Listening" | "Access" | "Failover" | "Costs" | "Records" | "Logs";
  readonly description: string;
  /** As a person would type it; null when there is none. */
  readonly default: string | null;
  /** May be given more than once; the values are joined by commas. */
  readonly isList?: boolean;
}
