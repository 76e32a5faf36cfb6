/**
 * Asks before something is removed, on a page of its own, so that it works without JavaScript.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import { Layout, type ViewName } from "../components/layout.tsx";
import { CsrfField, Notice, Recorded } from "../components/parts.tsx";
import type { PageContext } from "../page_context.ts";

export interface ConfirmProps {
  readonly page: PageContext;
  readonly current: ViewName;
  readonly title: string;
  readonly text: string;
  /** A consequence to consider. */
  readonly warning?: string | null;
  /** Where the form is sent, and its fields. */
  readonly action: string;
  readonly fields?: Readonly<Record<string, string>>;
  readonly button: string;
  readonly back: string;
  readonly problem?: string | null;
}

export function Confirm(props: ConfirmProps): JSX.Element {
  const { page, current, title, text, warning, action, fields = {}, button, back, problem = null } = props;
  return (
    <Layout page={page} title={title} current={current} problem={problem}>
      <form method="post" action={action} class="card confirm">
        <h1>
          <Recorded text={title} />
        </h1>
        <p>{text}</p>
        {!warning ? null : <Notice tone="warn">{warning}</Notice>}
        <CsrfField page={page} />
        {Object.entries(fields).map(([name, value]) => <input type="hidden" name={name} value={value} />)}
        <p class="buttons">
          <button type="submit" class="button button-bad">{button}</button>
          <a class="button" href={back}>{page.m.cancel}</a>
        </p>
      </form>
    </Layout>
  );
}
