/**
 * The doctor's checks of the journal: the file in which a server with PostgreSQL commits its records first.
 *
 * Servers on other machines have journals of their own, which are seen from there only.
 */
import { type Finding, found } from "../../control/finding.ts";
import { messageOf } from "../../core/errors.ts";
import { formatDuration } from "../../core/times.ts";
import { systemClock } from "../../server/clock.ts";
import { type JournalState, readJournalState } from "../../store/postgres/shipper/journal_state.ts";
import { checkDatabase } from "./database.ts";

/** Records that wait longer have met trouble. */
const LONG_WAIT_MS = 60_000;

/** Never makes a journal. @param note announces a slow check */
export function checkJournal(path: string, note: (line: string) => void): Finding[] {
  if (!isThere(path)) {
    const message = `there is none at ${path}: a server that is started here makes it`;
    return [found("journal", { level: "ok", message })];
  }
  const { findings, database } = checkDatabase(path, note);
  const named = findings.map((each) =>
    each.check === "database" ? { ...each, check: "journal" as const } : each
  );
  if (database === null) return named;
  const { config, records } = database;
  const isEmpty = records.lastId() === 0 && config.listUpstreams().length === 0;
  database.close();
  return [...named, ...checkState(path, isEmpty)];
}

function checkState(path: string, isEmpty: boolean): Finding[] {
  let state: JournalState | null;
  try {
    state = readJournalState(path);
  } catch (error) {
    return [
      found("journal", { level: "warn", message: `what waits in it is not known: ${messageOf(error)}` }),
    ];
  }
  if (state === null && isEmpty) return [];
  if (state === null) {
    return [found("journal", {
      level: "fail",
      message: `${path} is a database of its own, and no journal`,
      advice: "name another file with OAR_JOURNAL (or --journal of the server)",
    })];
  }
  return [waitingFinding(state), ...rejectedFinding(state)];
}

function waitingFinding({ waiting, oldestMs }: JournalState): Finding {
  if (waiting === 0) return found("journal", { level: "ok", message: "no record waits for PostgreSQL" });
  const ageMs = oldestMs === null ? null : Math.max(0, systemClock.now() - oldestMs);
  const age = ageMs === null ? "" : `, the oldest for ${formatDuration(ageMs)}`;
  if (ageMs !== null && ageMs < LONG_WAIT_MS) {
    // Only its server knows which of them PostgreSQL has.
    const message = `it holds ${records(waiting, "", "")}${age}: what was sent stays for ten seconds`;
    return found("journal", { level: "ok", message });
  }
  const message = `${records(waiting, " waits", " wait")} for PostgreSQL${age}`;
  return found("journal", {
    level: "warn",
    message,
    advice:
      "nothing is lost: start the server that the journal belongs to, or look in its log why it cannot send them",
  });
}

function rejectedFinding({ rejected, reasons }: JournalState): Finding[] {
  if (rejected === 0) return [];
  return [found("journal", {
    level: "warn",
    message: `PostgreSQL has refused ${records(rejected, " which stays", " which stay")} in it: ${
      reasons.join("; ")
    }`,
    advice: "when the reason is gone, restart the server, which sends them again at its start",
  })];
}

function records(count: number, one: string, many: string): string {
  return count === 1 ? `1 record${one}` : `${count} records${many}`;
}

function isThere(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    return !(error instanceof Deno.errors.NotFound);
  }
}
