/**
 * The form of an existing upstream.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import { Layout } from "../../components/layout.tsx";
import { CsrfField, Recorded } from "../../components/parts.tsx";
import { UpstreamFields } from "./fields.tsx";
import type { PageContext } from "../../page_context.ts";
import type { UpstreamForm } from "../../upstream_form.ts";

export function UpstreamEdit({ page, id, name, form, problem, isKeyRequired }: {
  page: PageContext;
  id: number;
  name: string;
  form: UpstreamForm;
  problem: string | null;
  /** The key was left empty but is required. */
  isKeyRequired: boolean;
}): JSX.Element {
  const { m } = page;
  return (
    <Layout page={page} title={m.editUpstream(name)} current="upstreams" problem={problem}>
      <h1>
        <Recorded text={m.editUpstream(name)} />
      </h1>
      <form method="post" action={`/admin/upstreams/${id}`} class="card">
        <CsrfField page={page} />
        <UpstreamFields page={page} form={form} keyNeed={isKeyRequired ? "again" : "kept"} />
        <p class="buttons">
          <button type="submit" class="button button-main">{m.save}</button>
          <a class="button" href={`/admin/upstreams#upstream-${id}`}>{m.cancel}</a>
        </p>
      </form>
    </Layout>
  );
}
