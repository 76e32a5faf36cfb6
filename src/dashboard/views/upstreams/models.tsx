/**
 * The models that upstreams list, with a search.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import type { ModelPage } from "../../../control/admin_service.ts";
import { Icon } from "../../components/icons.tsx";
import { Recorded } from "../../components/parts.tsx";
import type { PageContext } from "../../page_context.ts";

export interface ModelsProps {
  readonly page: PageContext;
  readonly models: ModelPage;
  /** What was searched for. */
  readonly search: string;
}

export function Models({ page, models, search }: ModelsProps): JSX.Element {
  const { m } = page;
  return (
    <section class="card" id="models" aria-labelledby="models-title">
      <h2 id="models-title">{m.modelsTitle}</h2>
      <p class="muted">{m.modelsIntro}</p>
      <form
        class="filters"
        method="get"
        action="/admin/upstreams#models"
        role="search"
        hx-get="/admin/upstreams"
        hx-target="#found-models"
        hx-select="#found-models"
        hx-swap="outerHTML"
        hx-trigger="input changed delay:250ms from:#model-search, submit"
        hx-sync="this:replace"
      >
        <div class="search">
          <label for="model-search" class="visually-hidden">{m.modelsSearch}</label>
          <Icon name="search" />
          <input
            id="model-search"
            type="search"
            name="model"
            value={search}
            maxlength={512}
            placeholder={m.modelsSearchHint}
            autocomplete="off"
            spellcheck={false}
          />
          <button type="submit" class="button">{m.search}</button>
        </div>
      </form>
      <FoundModels page={page} models={models} />
    </section>
  );
}

function FoundModels({ page, models: { models, count } }: Omit<ModelsProps, "search">): JSX.Element {
  const { m, format } = page;
  if (models.length === 0) return <p id="found-models" class="muted">{m.modelsNone}</p>;
  return (
    <div id="found-models">
      <p class="muted">
        {m.modelsCount(count, format.count(count))}
        {models.length < count ? ` · ${m.modelsMore(format.count(models.length))}` : null}
      </p>
      <div class="scroll" tabindex={0} role="region" aria-labelledby="models-title">
        <table class="plain">
          <thead>
            <tr>
              <th scope="col">{m.usageModel}</th>
              <th scope="col">{m.modelsUpstreams}</th>
            </tr>
          </thead>
          <tbody>
            {models.map(({ model, upstreams }) => (
              <tr>
                <th scope="row" class="mono">
                  <Recorded text={model} />
                </th>
                <td>
                  <Recorded text={upstreams.join(", ")} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}
