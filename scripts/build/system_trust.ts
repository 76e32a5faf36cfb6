/**
 * Which certificates the tools of a build trust: those of the system too, where a company's proxy has put its own.
 */
import { existsSync } from "node:fs";

/** Files in which distributions keep the certificates that the system trusts. */
const SYSTEM_BUNDLES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/ssl/cert.pem",
];

/**
 * Variables that make compilers and npm trust the system's certificates in addition to their own: behind a
 * TLS-inspecting company proxy, its certificate is only there. Variables that are already set stay.
 *
 * @see https://docs.deno.com/runtime/reference/env_variables/ , https://nodejs.org/api/cli.html#node_extra_ca_certsfile
 */
export function systemTrust(
  env: Readonly<Record<string, string | undefined>>,
  isFile: (path: string) => boolean = existsSync,
): Record<string, string> {
  const bundle = [env["SSL_CERT_FILE"] ?? "", ...SYSTEM_BUNDLES].find((path) => path !== "" && isFile(path));
  const wanted: Record<string, string> = {
    DENO_TLS_CA_STORE: "system,mozilla",
    ...(bundle === undefined ? {} : { NODE_EXTRA_CA_CERTS: bundle }),
  };
  return Object.fromEntries(Object.entries(wanted).filter(([name]) => !env[name]));
}
