/** Which proxy an outgoing connection takes, for every way in which people write the variables. */
import assert from "node:assert/strict";
import type { Environment } from "../../../src/config/environment.ts";
import { parseOutgoing, proxyFor } from "../../../src/config/outgoing.ts";
import type { OutgoingProxy } from "../../../src/core/proxy_url.ts";
import { SettingsError } from "../../../src/config/values.ts";

const parse = (env: Environment) => parseOutgoing(env, null);

/** The proxy's URL for a URL; null: none. */
function wayTo(env: Environment, url: string): string | null {
  return proxyFor(parse(env), new URL(url))?.url ?? null;
}

const P = "http://127.0.0.1:3128";

Deno.test("which variable names the proxy", () => {
  const table: readonly [env: Environment, http: string | null, https: string | null][] = [
    [{}, null, null],
    [{ HTTP_PROXY: P }, P, null],
    [{ http_proxy: P }, P, null],
    [{ HTTPS_PROXY: P }, null, P],
    [{ https_proxy: P }, null, P],
    [{ ALL_PROXY: P }, P, P],
    [{ all_proxy: P }, P, P],
    [{ ALL_PROXY: "http://all:1", HTTPS_PROXY: P }, "http://all:1", P],
    [{ HTTP_PROXY: "http://upper:1", http_proxy: P }, P, null],
    [{ HTTP_PROXY: "", ALL_PROXY: P }, P, P],
    [{ HTTP_PROXY: "", HTTPS_PROXY: " " }, null, null],
  ];
  for (const [env, http, https] of table) {
    assert.deepEqual([wayTo(env, "http://a/"), wayTo(env, "https://a/")], [http, https], JSON.stringify(env));
  }
});

Deno.test("every usual form of a proxy's URL is read, its credential decoded", () => {
  const me = { username: "me", password: "p@ss:word" };
  const table: readonly [text: string, proxy: OutgoingProxy][] = [
    ["http://proxy:3128", { transport: "http", url: "http://proxy:3128", credential: null }],
    ["proxy:3128", { transport: "http", url: "http://proxy:3128", credential: null }],
    ["http://proxy:3128/", { transport: "http", url: "http://proxy:3128", credential: null }],
    ["http://proxy", { transport: "http", url: "http://proxy", credential: null }],
    ["HTTPS://proxy:80", { transport: "https", url: "https://proxy:80", credential: null }],
    ["https://proxy", { transport: "https", url: "https://proxy", credential: null }],
    ["socks5://proxy", { transport: "socks5", url: "socks5://proxy:1080", credential: null }],
    ["socks5h://proxy:9", { transport: "socks5", url: "socks5://proxy:9", credential: null }],
    ["http://[::1]:3128", { transport: "http", url: "http://[::1]:3128", credential: null }],
    ["http://me:p%40ss%3Aword@proxy:1", { transport: "http", url: "http://proxy:1", credential: me }],
    ["me:p%40ss%3Aword@proxy:1", { transport: "http", url: "http://proxy:1", credential: me }],
    ["http://me@proxy:1", {
      transport: "http",
      url: "http://proxy:1",
      credential: { username: "me", password: "" },
    }],
    ["http://me:100%@proxy:1", {
      transport: "http",
      url: "http://proxy:1",
      credential: { username: "me", password: "100%" },
    }],
    ['"http://proxy:3128"', { transport: "http", url: "http://proxy:3128", credential: null }],
    [" 'proxy:3128' ", { transport: "http", url: "http://proxy:3128", credential: null }],
  ];
  for (const [text, proxy] of table) assert.deepEqual(parse({ HTTP_PROXY: text }).httpProxy, proxy, text);
});

Deno.test("what is no proxy's URL is refused without being shown", () => {
  for (
    const text of [
      "http://",
      "ftp://proxy:21",
      "socks4://proxy",
      "http://pro xy:1",
      "http://proxy:99999",
      "http://proxy:port",
      "http:/proxy:1",
      "://proxy",
      "http://me:hunter22@",
      '"http://me:hunter22@proxy',
      // What follows the host would otherwise be left out, and part of the password be taken for a port.
      "http://me:22/hunter22@proxy:1",
      "me:22#hunter22@proxy:1",
      "socks5://me:22?hunter22@proxy",
      "http://[::1",
      "\\\\proxy",
    ]
  ) {
    for (const variable of ["HTTP_PROXY", "https_proxy", "ALL_PROXY"]) {
      assert.throws(() => parse({ [variable]: text }), (error) => {
        assert.ok(error instanceof SettingsError);
        assert.ok(error.message.startsWith(`${variable} is not the URL of a proxy`), text);
        assert.doesNotMatch(error.message, /hunter22/);
        return true;
      }, text);
    }
  }
});

Deno.test("NO_PROXY names hosts, domains, ports and networks, as in curl", () => {
  const table: readonly [noProxy: string, url: string, isDirect: boolean][] = [
    ["*", "http://anything.example/", true],
    ["a.example, *", "http://b.example/", true],
    ["", "http://a.example/", false],
    ["a.example", "http://a.example/", true],
    ["A.Example", "http://a.example:8080/", true],
    ["a.example", "http://sub.a.example/", true],
    ["a.example", "http://nota.example/", false],
    [".a.example", "http://a.example/", true],
    [".a.example", "http://sub.a.example/", true],
    ["*.a.example", "http://sub.a.example/", true],
    ["a.example.", "http://a.example/", true],
    ["a.example", "http://a.example./", true],
    ["x y,a.example\tz", "http://a.example/", true],
    ["a.example:8080", "http://a.example:8080/", true],
    ["a.example:8080", "http://a.example/", false],
    ["a.example:80", "http://a.example/", true],
    ["a.example:443", "https://sub.a.example/", true],
    ["127.0.0.1", "http://127.0.0.1:9/", true],
    ["127.0.0.1:9", "http://127.0.0.1:9/", true],
    ["127.0.0.1:9", "http://127.0.0.1:10/", false],
    ["127.0.0.1", "http://1.127.0.0.1.example/", false],
    ["127.0.0.0/8", "http://127.1.2.3/", true],
    ["10.0.0.0/8,192.168.0.0/16", "http://192.168.7.7/", true],
    ["10.0.0.0/8", "http://11.0.0.1/", false],
    ["10.0.0.0/8", "http://10.example/", false],
    ["10.0.0.0/8", "http://[::ffff:10.1.2.3]/", true],
    ["::1", "http://[::1]:9/", true],
    ["[::1]", "http://[::1]:9/", true],
    ["[::1]:9", "http://[::1]:9/", true],
    ["[::1]:9", "http://[::1]:10/", false],
    ["fd00::/8", "http://[fd12::1]/", true],
    ["fd00::/8", "http://[fe80::1]/", false],
    ["0:0:0:0:0:0:0:1", "http://[::1]/", true],
    ["localhost", "http://localhost:1/", true],
    ["localhost", "http://127.0.0.1:1/", false],
    ['"a.example"', "http://a.example/", true],
    [",,", "http://a.example/", false],
    ["10.0.0.0/99", "http://10.0.0.1/", false],
  ];
  for (const [noProxy, url, isDirect] of table) {
    for (const variable of ["NO_PROXY", "no_proxy"]) {
      const way = wayTo({ ALL_PROXY: P, [variable]: noProxy }, url);
      assert.equal(way, isDirect ? null : P, `${variable}=${noProxy} ${url}`);
    }
  }
  assert.equal(wayTo({ ALL_PROXY: P, NO_PROXY: "b.example", no_proxy: "a.example" }, "http://b.example/"), P);
});

Deno.test("the files of certificate authorities are those of the flag and of three usual variables", () => {
  const { caFile, sharedCaFiles } = parseOutgoing({
    SSL_CERT_FILE: "/a.pem",
    NODE_EXTRA_CA_CERTS: '"/b.pem"',
    DENO_CERT: "",
  }, "/own.pem");
  assert.equal(caFile, "/own.pem");
  assert.deepEqual(sharedCaFiles, [
    { variable: "SSL_CERT_FILE", path: "/a.pem" },
    { variable: "NODE_EXTRA_CA_CERTS", path: "/b.pem" },
  ]);
});
