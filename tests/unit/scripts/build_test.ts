import assert from "node:assert/strict";
import { systemTrust } from "../../../scripts/build/system_trust.ts";

const DEBIAN = "/etc/ssl/certs/ca-certificates.crt";
const FEDORA = "/etc/pki/tls/certs/ca-bundle.crt";

Deno.test("the build trusts the system's certificates, and keeps variables that are set", () => {
  const cases: readonly [env: Record<string, string>, files: string[], expected: Record<string, string>][] = [
    [{}, [], { DENO_TLS_CA_STORE: "system,mozilla" }],
    [{}, [FEDORA], { DENO_TLS_CA_STORE: "system,mozilla", NODE_EXTRA_CA_CERTS: FEDORA }],
    [{ SSL_CERT_FILE: "/own.pem" }, [DEBIAN, "/own.pem"], {
      DENO_TLS_CA_STORE: "system,mozilla",
      NODE_EXTRA_CA_CERTS: "/own.pem",
    }],
    [{ SSL_CERT_FILE: "/gone.pem", DENO_TLS_CA_STORE: "mozilla" }, [DEBIAN], { NODE_EXTRA_CA_CERTS: DEBIAN }],
    [{ DENO_TLS_CA_STORE: "system", NODE_EXTRA_CA_CERTS: "/own.pem" }, [DEBIAN], {}],
  ];
  for (const [env, files, expected] of cases) {
    assert.deepEqual(systemTrust(env, (path) => files.includes(path)), expected);
  }
});
