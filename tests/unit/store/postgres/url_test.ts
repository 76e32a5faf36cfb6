import assert from "node:assert/strict";
import type { PgEnvironment } from "../../../../src/store/postgres/environment.ts";
import { isPostgresUrl } from "../../../../src/config/values.ts";
import { parsePgUrl, PgUrlError } from "../../../../src/store/postgres/url.ts";

const PEM = "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n";

function environment(
  { variables = {}, files = {}, open = [] }: {
    variables?: Record<string, string>;
    files?: Record<string, string>;
    /** Files that others may read. */
    open?: string[];
  } = {},
): PgEnvironment {
  return {
    variable: (name) => variables[name],
    readText: (path) => files[path] ?? null,
    isPrivate: (path) => !open.includes(path),
  };
}

const parse = (text: string, env = environment()) => parsePgUrl(text, env);

function hostsOf(text: string, env?: PgEnvironment): string[] {
  return parse(text, env).hosts.map(({ host, port }) => `${host} ${port}`);
}

Deno.test("isPostgresUrl() tells a URL from the path of a file", () => {
  for (const text of ["postgres://h/d", "postgresql://h/d", "POSTGRES://h/d", " postgres:wrong"]) {
    assert.equal(isPostgresUrl(text), true, text);
  }
  for (const text of ["./db.sqlite", "postgres.sqlite", "/postgres://x", "", "C:\\postgres"]) {
    assert.equal(isPostgresUrl(text), false, text);
  }
});

Deno.test("parsePgUrl() reads user, password, hosts, database", () => {
  const target = parse("postgres://us%40er:p%3A%2F%40%25%20%C3%A9@h1:5433,h2/my%20db?sslmode=disable");
  assert.equal(target.user, "us@er");
  assert.equal(target.database, "my db");
  assert.deepEqual(target.hosts, [
    { host: "h1", port: 5433, password: "p:/@% é" },
    { host: "h2", port: 5432, password: "p:/@% é" },
  ]);
  assert.equal(target.ssl.mode, "disable");
  assert.equal(target.applicationName, "openai-api-route");
  assert.equal(target.shownText, "postgres://us%40er@h1:5433,h2:5432/my%20db?sslmode=disable");
});

Deno.test("parsePgUrl() gives PostgreSQL's own programs what they need, without the password", () => {
  const env = environment({ files: { "/ca 1.pem": PEM, "/c.pem": PEM, "/k.pem": PEM } });
  const cases: Record<string, string> = {
    "postgres://u:hunter2@h/d": "postgres://u@h:5432/d",
    "postgres://u@h/d?password=hunter2&application_name=x": "postgres://u@h:5432/d",
    "postgres://u@h/d?sslrootcert=/ca%201.pem&sslmode=verify-full":
      "postgres://u@h:5432/d?sslmode=verify-full&sslrootcert=/ca%201.pem",
    "postgres://u@h/d?sslcert=/c.pem&sslkey=/k.pem&passfile=/p":
      "postgres://u@h:5432/d?sslcert=/c.pem&sslkey=/k.pem&passfile=/p",
    "postgres://u@h1,h2/d": "postgres://u@h1:5432,h2:5432/d?target_session_attrs=read-write",
    "postgres://u@h1,h2/d?sslmode=require":
      "postgres://u@h1:5432,h2:5432/d?sslmode=require&target_session_attrs=read-write",
    "postgres://u@/d?host=/run/postgresql": "postgres://u@%2Frun%2Fpostgresql:5432/d",
  };
  for (const [url, expected] of Object.entries(cases)) {
    assert.equal(parse(url, env).toolText, expected, url);
  }
});

Deno.test("parsePgUrl() reads all forms of hosts", () => {
  const cases: Record<string, string[]> = {
    "postgres://u@127.0.0.1/d": ["127.0.0.1 5432"],
    "postgresql://u@[::1]:5433,[fe80::1%25eth0]/d": ["::1 5433", "fe80::1%eth0 5432"],
    "postgres://u@/d?host=/run/postgresql": ["/run/postgresql 5432"],
    "postgres:///d?host=/run/postgresql&user=u&port=5433": ["/run/postgresql 5433"],
    "postgres://u@%2Frun%2Fpostgresql:5433/d": ["/run/postgresql 5433"],
    "postgres://u@/d?host=h1,h2&port=1,2": ["h1 1", "h2 2"],
    "postgres://u@/d?host=h1,::1&port=7": ["h1 7", "::1 7"],
    "postgres://u@h:/d": ["h 5432"],
    "POSTGRES://u@db-1.example.com./d": ["db-1.example.com. 5432"],
  };
  for (const [url, hosts] of Object.entries(cases)) assert.deepEqual(hostsOf(url), hosts, url);
});

Deno.test("parsePgUrl() takes what is missing from where libpq takes it", () => {
  assert.equal(parse("postgres://u@h").database, "u");
  assert.equal(parse("postgres://u@h/").database, "u");
  assert.equal(parse("postgres://h/d", environment({ variables: { PGUSER: "env" } })).user, "env");
  assert.equal(parse("postgres://a@h/d?user=b&dbname=e").user, "b");
  assert.equal(parse("postgres://a@h/d?user=b&dbname=e").database, "e");
  assert.equal(parse("postgres://h/d?user=b%40c").user, "b@c");
  assert.equal(parse("postgres://u@h/d").hosts[0]?.password, null);
  assert.equal(parse("postgres://u@h/d?application_name=x").applicationName, "x");
});

Deno.test("parsePgUrl() finds the password: URL, PGPASSWORD, password file", () => {
  const file = [
    "# h1:*:*:*:comment",
    "h1:5432:d:other:no",
    "h1:5433:d:u:no",
    "h1:5432:d:u:fi\\:le\\\\:x",
    "h2:*:*:u:any",
    "localhost:*:*:*:socket",
    "\\*:*:*:*:star",
  ].join("\n");
  const env = (variables: Record<string, string>) =>
    environment({ variables, files: { "/home/u/.pgpass": file, "/p": "*:*:*:*:named" } });
  const passwords = (url: string, variables: Record<string, string>) =>
    parse(url, env({ HOME: "/home/u", ...variables })).hosts.map(({ password }) => password);

  assert.deepEqual(passwords("postgres://u:url@h1/d", { PGPASSWORD: "env" }), ["url"]);
  assert.deepEqual(passwords("postgres://u@h1/d?password=url", { PGPASSWORD: "env" }), ["url"]);
  assert.deepEqual(passwords("postgres://u@h1/d", { PGPASSWORD: "env" }), ["env"]);
  assert.deepEqual(passwords("postgres://u@h1,h2,h3/d", {}), ["fi:le\\:x", "any", null]);
  assert.deepEqual(passwords("postgres://u@h1/d", { PGPASSFILE: "/p" }), ["named"]);
  assert.deepEqual(passwords("postgres://u@h1/d?passfile=/p", { PGPASSFILE: "/none" }), ["named"]);
  assert.deepEqual(passwords("postgres://u@/d?host=/run/postgresql", {}), ["socket"]);
  assert.deepEqual(passwords("postgres://u@h1/d", { HOME: "/none" }), [null]);
  // As with libpq, a file that others may read is not used.
  const open = environment({
    variables: { HOME: "/h" },
    files: { "/h/.pgpass": "*:*:*:*:x" },
    open: ["/h/.pgpass"],
  });
  assert.equal(parse("postgres://u@h/d", open).hosts[0]?.password, null);
});

Deno.test("parsePgUrl() reads the certificates", () => {
  const files = { "/ca": PEM, "/cert": `${PEM}1`, "/key": `${PEM}2`, "/h/.postgresql/root.crt": `${PEM}3` };
  const env = environment({ files });
  const home = environment({ files, variables: { HOME: "/h" } });
  assert.deepEqual(
    parse("postgres://u@h/d?sslmode=verify-full&sslrootcert=/ca&sslcert=/cert&sslkey=/key", env).ssl,
    { mode: "verify-full", rootCert: PEM, cert: `${PEM}1`, key: `${PEM}2` },
  );
  const modes: [query: string, env: PgEnvironment, mode: string, root: string | null][] = [
    ["", env, "prefer", null],
    ["sslmode=prefer", home, "prefer", `${PEM}3`],
    ["sslmode=require", env, "require", null],
    // "if a root CA file exists, the behavior of sslmode=require will be the same as that of verify-ca"
    ["sslmode=require", home, "verify-ca", `${PEM}3`],
    ["sslmode=require&sslrootcert=/ca", env, "verify-ca", PEM],
    ["sslmode=verify-full", env, "verify-full", null],
    ["sslmode=verify-full&sslrootcert=system", home, "verify-full", null],
    ["sslmode=disable", env, "disable", null],
  ];
  for (const [query, each, mode, rootCert] of modes) {
    const { ssl } = parse(`postgres://u@h/d?${query}`, each);
    assert.deepEqual([ssl.mode, ssl.rootCert], [mode, rootCert], query);
  }
});

const REFUSED: Record<string, RegExp> = {
  "mysql://u@h/d": /must begin with postgres:\/\//,
  "postgres:/u@h/d": /must begin with/,
  "postgres://": /a host must be given/,
  "postgres://u@/d": /a host must be given/,
  "postgres://h/d": /names no user/,
  "postgres://:pw@h/d": /names no user/,
  "postgres://u@h:0/d": /port/,
  "postgres://u@h:65536/d": /port/,
  "postgres://u@h:12x/d": /a host must be given/,
  "postgres://u@h,,h/d": /a host must be given/,
  "postgres://u@::1/d": /a host must be given/,
  "postgres://u@[::1/d": /a host must be given/,
  "postgres://u@h a/d": /characters that no name has/,
  "postgres://u@h%0a/d": /characters that no name has/,
  "postgres://u@h%zz/d": /%/,
  "postgres://u:%e9@h/d": /hexadecimal|%/,
  "postgres://u@h/d%00x": /%00/,
  "postgres://u%00@h/d": /%00/,
  "postgres://u:a%00b@h/d": /%00/,
  "postgres://u@h/d?sslmode=allow": /sslmode must be one of disable, prefer, require, verify-ca, verify-full/,
  "postgres://u@h/d?sslmode=": /sslmode must be one of/,
  "postgres://u@h/d?sslmode=require&sslmode=disable": /twice/,
  "postgres://u@h/d?sslmode": /has no value/,
  "postgres://u@h/d?ssl=true": /parameter ssl is not known; known are host, port, .*sslmode/,
  "postgres://u@h/d?__proto__=1": /not known/,
  "postgres://u@h/d?constructor=1": /not known/,
  "postgres://u@h/d?host=h2": /names hosts twice/,
  "postgres://u@/d?host=a,b&port=1,2,3": /port= must name/,
  "postgres://u@/d?host=a;b": /characters/,
  "postgres://u@h/d?target_session_attrs=standby": /read-write/,
  "postgres://u@h/d?channel_binding=require": /verify-full/,
  "postgres://u@h/d?sslrootcert=/none": /sslrootcert= does not exist/,
  "postgres://u@h/d?sslrootcert=/text": /PEM/,
  "postgres://u@h/d?sslmode=require&sslrootcert=system": /verify-full/,
  "postgres://u@h/d?sslcert=/pem": /belong together/,
  "postgres://u@h/d/e": /must be escaped/,
  [`postgres://u@${"h".repeat(254)}/d`]: /characters that no name has/,
  [`postgres://u@h/${"d".repeat(9000)}`]: /longer than/,
  [`postgres://u@${Array.from({ length: 17 }, () => "h").join(",")}/d`]: /more than 16 hosts/,
};

Deno.test("parsePgUrl() refuses what it does not understand, and says what is wrong", () => {
  const env = environment({ files: { "/text": "text", "/pem": PEM } });
  for (const [url, message] of Object.entries(REFUSED)) {
    assert.throws(() => parse(url, env), (error) => {
      assert.ok(error instanceof PgUrlError, url);
      assert.match(error.message, message, url);
      assert.match(error.message, /^Cannot use the database's URL: [^\n]{1,300}$/, url);
      return true;
    }, url);
  }
});

Deno.test("no error and no shown text of a URL holds a part of its password", () => {
  const secrets = [
    "hunter2",
    "hun@ter2",
    "hun/ter2",
    "hun?ter2",
    "hun#ter2",
    "hun:ter2",
    "hun%ter2",
    "hun ter2",
  ];
  const tails = [
    "@h/d",
    "@h:x/d",
    "@h/d?nope=1",
    "@h/d?sslmode=x",
    "@h:99999/d",
    "@h1,,h2/d",
    "@/d",
    "@h/d%zz",
    "@h",
  ];
  for (
    const secret of [...secrets, "hunter2&ter2=1", "hunter2=", "?hunter2=ter2", "[hunter2", "hunter2,ter2:5"]
  ) {
    for (const tail of tails) {
      for (const url of [`postgres://u:${secret}${tail}`, `postgres://${secret}${tail}`]) {
        let said: string;
        try {
          const target = parse(url);
          // Without a colon it is the user's name.
          if (!url.includes("u:")) continue;
          said = `${target.shownText} ${target.toolText}`;
        } catch (error) {
          assert.ok(error instanceof PgUrlError, url);
          said = `${error.message} ${error.cause ?? ""}`;
        }
        for (const part of ["hunter2", "hun", "ter2"]) assert.ok(!said.includes(part), `${url}: ${said}`);
      }
    }
  }
});

Deno.test("parsePgUrl() takes linear time", () => {
  for (const part of ["@", ",", "%", "[", ":", "&", "?", "=", "a", "/"]) {
    assert.throws(() => parse(`postgres://${part.repeat(8000)}`), PgUrlError);
  }
});
