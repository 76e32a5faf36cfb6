/**
 * Reads lists page by page, as the admin page does.
 */

/** Asked until there is no further page. */
export async function pagesOf<Page extends { readonly nextBeforeId: number | null }>(
  ask: (from: { readonly beforeId?: number }) => Page | Promise<Page>,
): Promise<Page[]> {
  const pages = [await ask({})];
  for (;;) {
    const beforeId = pages.at(-1)?.nextBeforeId ?? null;
    if (beforeId === null) return pages;
    pages.push(await ask({ beforeId }));
  }
}
