/**
 * The error page.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import { harmless } from "../../core/recorded_text.ts";
import { Layout, type ViewName } from "../components/layout.tsx";
import { Empty } from "../components/parts.tsx";
import type { PageContext } from "../page_context.ts";

export function Failure({ page, current, title, text }: {
  page: PageContext;
  current: ViewName | null;
  title: string;
  /** Why, and what to do. */
  text: string;
}): JSX.Element {
  return (
    <Layout page={page} title={title} current={current}>
      <h1>{title}</h1>
      <Empty title={harmless(text)}>
        <p>
          <a class="button" href={current === null ? "/admin" : `/admin/${current}`}>{page.m.back}</a>
        </p>
      </Empty>
    </Layout>
  );
}
