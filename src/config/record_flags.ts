/**
 * The flags of `serve` about records and logs; the others, and what they all are: flags.ts.
 */
import type { SettingFlag } from "./setting_flag.ts";

/** Where a server keeps what PostgreSQL does not have yet. */
export const JOURNAL_FLAG = {
  key: "journal",
  flag: "--journal",
  variable: "OAR_JOURNAL",
  value: "path",
  group: "Records",
  description:
    "with PostgreSQL: the SQLite file of this server alone, which has records until they are there, and upstreams and tokens while it is away",
  default: "./journal.sqlite",
} as const satisfies SettingFlag;

/** In the order of the help. */
export const RECORD_FLAGS = [
  JOURNAL_FLAG,
  {
    key: "recordBodyLimit",
    flag: "--record-body-limit",
    variable: "OAR_RECORD_BODY_LIMIT",
    value: "size",
    group: "Records",
    description: "larger request bodies are described, not stored",
    default: "1MiB",
  },
  {
    key: "durability",
    flag: "--durability",
    variable: "OAR_DURABILITY",
    value: "level",
    group: "Records",
    description:
      "normal survives a crash of the program and may lose the last moments in a power failure; full waits for the disk, remote for PostgreSQL",
    default: "normal",
  },
  {
    key: "keepDays",
    flag: "--keep-days",
    variable: "OAR_KEEP_DAYS",
    value: "days",
    group: "Records",
    description: "older records are deleted",
    default: "none",
  },
  {
    key: "keepBodiesDays",
    flag: "--keep-bodies-days",
    variable: "OAR_KEEP_BODIES_DAYS",
    value: "days",
    group: "Records",
    description: "older request and reply texts are deleted; the rest of the record stays",
    default: "none",
  },
  {
    key: "maxDbSize",
    flag: "--max-db-size",
    variable: "OAR_MAX_DB_SIZE",
    value: "size",
    group: "Records",
    description: "when the database is larger than this, such as 10GiB, the oldest records are deleted",
    default: "none",
  },
  {
    key: "logFormat",
    flag: "--log-format",
    variable: "OAR_LOG_FORMAT",
    value: "format",
    group: "Logs",
    description: "text for people, json for programs",
    default: "text",
  },
  {
    key: "logLevel",
    flag: "--log-level",
    variable: "OAR_LOG_LEVEL",
    value: "level",
    group: "Logs",
    description: "debug, info, warning or error",
    default: "info",
  },
] as const satisfies readonly SettingFlag[];
