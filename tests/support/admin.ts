/**
 * A client of a router's admin API: as a script with the token, or as a browser with a cookie.
 */
import type { Router } from "./router.ts";

/** The admin token of a router, as its database has it. */
export function adminTokenOf(router: Router): string {
  return String(router.query("SELECT value FROM config_kvs WHERE key = 'admin'")[0]?.["value"]);
}

export function adminUrl(router: Router, path: string): string {
  return `http://127.0.0.1:${router.port}/admin${path}`;
}

/** A script's request: with the token, and JSON when there is a body. */
export function callApi(router: Router, path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  headers.set("authorization", `Bearer ${adminTokenOf(router)}`);
  if (init.body !== undefined && !headers.has("content-type")) {
    headers.set("content-type", "application/json");
  }
  return fetch(adminUrl(router, `/api${path}`), { ...init, headers });
}

/** The answer's JSON; fails on another status. */
export async function askApi<T>(
  router: Router,
  path: string,
  { status = 200, ...init }: RequestInit & { readonly status?: number } = {},
): Promise<T> {
  const response = await callApi(router, path, init);
  const text = await response.text();
  if (response.status !== status) throw new Error(`${path} answered ${response.status}: ${text}`);
  return (text === "" ? null : JSON.parse(text)) as T;
}

export function posted(value: unknown, method = "POST"): RequestInit {
  return { method, body: JSON.stringify(value) };
}

/** Headers that a browser sends with a form of the page. */
export const SAME_ORIGIN = { "sec-fetch-site": "same-origin" };

/** Posts the login form. */
export function postLogin(
  router: Router,
  { token, next = "", headers = SAME_ORIGIN }: {
    readonly token: string;
    readonly next?: string;
    readonly headers?: Record<string, string>;
  },
): Promise<Response> {
  return fetch(adminUrl(router, "/login"), {
    method: "POST",
    redirect: "manual",
    headers,
    body: new URLSearchParams({ token, next }),
  });
}

/** A logged-in browser. */
export class Browser {
  readonly #router: Router;
  readonly cookie: string;
  readonly csrfToken: string;

  private constructor(router: Router, cookie: string, csrfToken: string) {
    this.#router = router;
    this.cookie = cookie;
    this.csrfToken = csrfToken;
  }

  static async login(router: Router): Promise<Browser> {
    const response = await postLogin(router, { token: adminTokenOf(router) });
    await response.body?.cancel();
    const cookie = (response.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
    const page = await fetch(adminUrl(router, ""), { headers: { cookie, accept: "text/html" } });
    const csrfToken = /name="csrf" value="([^"]+)"/.exec(await page.text())?.[1] ?? "";
    return new Browser(router, cookie, csrfToken);
  }

  /** Sends the cookie only. */
  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    headers.set("cookie", this.cookie);
    return fetch(adminUrl(this.#router, path), { redirect: "manual", ...init, headers });
  }
}

export interface ServerEvent {
  readonly event: string;
  readonly data: unknown;
}

/** Reads the events of a stream one by one. */
export class EventReader implements AsyncDisposable {
  readonly #reader: ReadableStreamDefaultReader<string>;
  #text = "";

  constructor(response: Response) {
    if (response.body === null) throw new Error("the stream has no body");
    this.#reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** null at the stream's end. Skips comments. */
  async next(): Promise<ServerEvent | null> {
    for (;;) {
      const end = this.#text.indexOf("\n\n");
      if (end >= 0) {
        const block = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 2);
        const event = /^event: (.*)$/m.exec(block)?.[1];
        if (event === undefined) continue;
        return { event, data: JSON.parse(/^data: (.*)$/m.exec(block)?.[1] ?? "null") };
      }
      const { done, value } = await this.#reader.read();
      if (done) return null;
      this.#text += value;
    }
  }

  /** The first event for which the predicate is true. */
  async find(isWanted: (event: ServerEvent) => boolean): Promise<ServerEvent> {
    for (;;) {
      const event = await this.next();
      if (event === null) throw new Error("the stream ended before the event came");
      if (isWanted(event)) return event;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reader.cancel();
  }
}
