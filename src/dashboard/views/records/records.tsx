/**
 * The list of records: search, filters, and pages that are loaded on scrolling.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import { Layout } from "../../components/layout.tsx";
import { Notice, Recorded } from "../../components/parts.tsx";
import { exportPath, recordsPath } from "../../record_query.ts";
import { ActiveFilters, FilterForm } from "./filters.tsx";
import { RecordList } from "./list.tsx";
import type { RecordsProps } from "./props.ts";

export function Records(props: RecordsProps): JSX.Element {
  const { page, read, isContinued } = props;
  const { m } = page;
  return (
    <Layout page={page} title={m.recordsTitle} current="records" scripts={["records.js"]}>
      <div class="head">
        <h1>{m.recordsTitle}</h1>
        <p class="muted keys">
          <kbd>/</kbd> {m.keysHint} <kbd>j</kbd> <kbd>k</kbd> {m.keysMove} <kbd>Enter</kbd> {m.keysOpen}
        </p>
      </div>
      <FilterForm {...props} />
      <div id="list">
        {read.problems.map((problem) => (
          <Notice tone="bad">
            <Recorded text={problem} />
          </Notice>
        ))}
        <ActiveFilters {...props} />
        <ListHead {...props} />
        {isContinued
          ? (
            <p>
              <a href={recordsPath(read.query)}>{m.newest}</a>
            </p>
          )
          : null}
        <RecordList {...props} />
      </div>
    </Layout>
  );
}

/** How many there are, and the same as a file. */
function ListHead({ page, read, count }: RecordsProps): JSX.Element | null {
  const { m, format } = page;
  if (count === null || count.count === 0) return null;
  const text = format.count(count.count);
  return (
    <p class="list-head">
      <span class="muted" id="record-count">{count.isComplete ? m.found(text) : m.foundMore(text)}</span>
      <span class="exports">
        {m.exportAs} <a href={exportPath("csv", read)} download>CSV</a>{" "}
        <a href={exportPath("jsonl", read)} download>JSONL</a>
      </span>
    </p>
  );
}
