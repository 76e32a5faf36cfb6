/**
 * The upstreams in the order they are tried: state, test, order, and the form to add one.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import { Layout } from "../../components/layout.tsx";
import { CsrfField } from "../../components/parts.tsx";
import { RangeChoice } from "../../components/range_choice.tsx";
import { UpstreamFields } from "./fields.tsx";
import { UpstreamItem } from "./item.tsx";
import { Models } from "./models.tsx";
import type { UpstreamsProps } from "./props.ts";

export function Upstreams(props: UpstreamsProps): JSX.Element {
  const { page, upstreams, problem, form } = props;
  const { m } = page;
  const isEmpty = upstreams.length === 0;
  return (
    <Layout page={page} title={m.upstreamsTitle} current="upstreams" scripts={["order.js"]} problem={problem}>
      <div class="head">
        <div>
          <h1>{m.upstreamsTitle}</h1>
          <p class="muted">{isEmpty ? m.upstreamsEmpty : m.upstreamsIntro}</p>
        </div>
        {isEmpty ? null : <a class="button" href="#add">{m.addUpstream}</a>}
      </div>
      {isEmpty
        ? null
        : <RangeChoice page={page} stats={props.stats} custom={props.custom} path="/admin/upstreams" />}
      <ol class="upstreams" id="upstreams">
        {upstreams.map((upstream) => <UpstreamItem {...props} upstream={upstream} />)}
      </ol>
      {isEmpty ? null : <Models page={page} models={props.models} search={props.search} />}
      <section class="card" id="add" aria-labelledby="add-title">
        <h2 id="add-title">{m.addUpstream}</h2>
        <form method="post" action="/admin/upstreams">
          <CsrfField page={page} />
          <UpstreamFields page={page} form={form} keyNeed="new" />
          <p class="buttons">
            <button type="submit" class="button button-main">{m.add}</button>
          </p>
        </form>
      </section>
    </Layout>
  );
}
