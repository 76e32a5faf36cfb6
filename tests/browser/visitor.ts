/**
 * A user with a browser: Chromium on the page of a router, watched for everything that a page must not do.
 *
 * Screenshots go to `dist/screenshots`, or to the folder that `OAR_SCREENSHOTS` names.
 */
import assert from "node:assert/strict";
import { type Browser, type BrowserContextOptions, chromium, type Locator, type Page } from "playwright-core";
import { adminTokenOf } from "../support/admin.ts";
import type { Router } from "../support/router.ts";

const root = new URL("../../", import.meta.url).pathname;

export const SCREENSHOTS = Deno.env.get("OAR_SCREENSHOTS") ?? `${root}dist/screenshots`;

const EXECUTABLES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const executable = EXECUTABLES.find((path) => {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
});

/** Whether to skip these tests: there is no browser, and it is not required here. */
export const isBrowserMissing = executable === undefined && Deno.env.get("CI") !== "true";

if (isBrowserMissing) {
  console.log("no Chromium: install it for the tests of the page, by apt-get install chromium");
}

/** Disables the browser's background requests. */
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // A name that is not loopback to a browser; nothing leaves this machine.
  "--host-resolver-rules=MAP router.test 127.0.0.1",
  "--no-proxy-server",
];

export function browserTest(name: string, fn: (t: Deno.TestContext) => Promise<void>): void {
  const telling = async (t: Deno.TestContext) => {
    try {
      await fn(t);
    } catch (error) {
      // Otherwise the page's errors hide the failure of the test.
      throw error instanceof SuppressedError
        ? new AggregateError([error.suppressed, error.error], name)
        : error;
    }
  };
  Deno.test({ name, fn: telling, ignore: isBrowserMissing });
}

export const PHONE = { width: 390, height: 844 };
const DESK = { width: 1360, height: 900 };
const HIGHEST = 2_600;

/** Disposing fails when the page logged an error or contacted another host. */
export class Visitor implements AsyncDisposable {
  readonly page: Page;
  /** With the path below which a proxy has put the page, if any. */
  readonly origin: string;
  readonly #browser: Browser;
  readonly #router: Router;
  #problems: string[] = [];

  private constructor(
    browser: Browser,
    { page, router, origin }: { page: Page; router: Router; origin: string | undefined },
  ) {
    this.#browser = browser;
    this.#router = router;
    this.origin = origin ?? `http://127.0.0.1:${router.port}`;
    this.page = page;
    page.on("console", (message) => {
      if (!["error", "warning"].includes(message.type())) return;
      // Over plain HTTP, except on loopback, browsers do without this header, and say so.
      if (message.text().startsWith("The Cross-Origin-Opener-Policy header has been ignored")) return;
      this.#problems.push(`console: ${message.text()} at ${message.location().url}`);
    });
    page.on("pageerror", (error) => this.#problems.push(`error: ${error.message}`));
    page.on("dialog", (dialog) => {
      this.#problems.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on("popup", (popup) => this.#problems.push(`popup: ${popup.url()}`));
    page.on("request", (request) => {
      const url = request.url();
      if (!url.startsWith(`${this.origin}/admin`) && !url.startsWith("data:")) {
        this.#problems.push(`request: ${url}`);
      }
    });
  }

  /** @param origin where the browser finds the page; default: at the router itself */
  static async open(
    router: Router,
    { origin, ...options }: BrowserContextOptions & { readonly origin?: string } = {},
  ): Promise<Visitor> {
    // Playwright creates and removes the folder of the browser's profile.
    const browser = await chromium.launch({ executablePath: executable ?? "chromium", args: FLAGS });
    const context = await browser.newContext({ viewport: DESK, locale: "en-US", ...options });
    context.setDefaultTimeout(20_000);
    return new Visitor(browser, { page: await context.newPage(), router, origin });
  }

  /** Opens the page and logs in. */
  static async loggedIn(
    router: Router,
    options: BrowserContextOptions & { readonly origin?: string } = {},
  ): Promise<Visitor> {
    const visitor = await Visitor.open(router, options);
    await visitor.go("/login");
    await visitor.logIn();
    return visitor;
  }

  /** On the login page. */
  async logIn(): Promise<void> {
    await this.page.locator("#token").fill(adminTokenOf(this.#router));
    await this.page.locator("form button[type=submit]").click();
    await this.page.waitForURL(`${this.origin}/admin`);
  }

  /** To a path below `/admin`. */
  async go(path: string): Promise<void> {
    await this.page.goto(`${this.origin}/admin${path}`);
  }

  /** Path and query of the current page, below `/admin`. */
  get path(): string {
    const { pathname, search } = new URL(this.page.url());
    return (pathname + search).replace(/^\/admin/, "");
  }

  /** The element with this text, once it exists. */
  async sees(text: string | RegExp): Promise<Locator> {
    const found = this.page.getByText(text).filter({ visible: true }).first();
    await found.waitFor();
    return found;
  }

  /** Returns and clears the page's errors so far. */
  takeProblems(): string[] {
    return this.#problems.splice(0);
  }

  /** Saves `NAME.png`, in a window as high as the page, up to a limit. */
  async screenshot(name: string): Promise<void> {
    await Deno.mkdir(SCREENSHOTS, { recursive: true });
    const { page } = this;
    const size = page.viewportSize();
    const height = Number(await page.evaluate("document.documentElement.scrollHeight"));
    if (size !== null) await page.setViewportSize({ width: size.width, height: Math.min(height, HIGHEST) });
    await page.evaluate("scrollTo(0, 0)");
    await page.screenshot({ path: `${SCREENSHOTS}/${name}.png`, animations: "disabled" });
    if (size !== null) await page.setViewportSize(size);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.close();
    assert.deepEqual(this.#problems, [], "the page was to be quiet");
  }
}
