/**
 * Rows of `client_tokens` as a person would type them, in the database of a running router.
 */
import { createHash } from "node:crypto";
import { eventually, type Router } from "./router.ts";

export function sha256Hex(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}

/** Adds a row, and waits until the router accepts the token, or refuses it for another reason than that it is unknown. */
export async function addRow(
  router: Router,
  { name, secret, ...columns }:
    & { readonly name: string; readonly secret: string }
    & Readonly<
      Record<string, string | number>
    >,
): Promise<void> {
  const row = { name, sha256: sha256Hex(secret), hint: `${secret.slice(0, 3)}…`, ...columns };
  const places = Object.keys(row).map(() => "?").join(", ");
  router.execute(
    `INSERT INTO client_tokens(${Object.keys(row).join(", ")}) VALUES (${places})`,
    ...Object.values(row),
  );
  await eventually(async () => {
    // It is refused for its path only once the token is known, and nothing of it is recorded.
    const headers = { authorization: `Bearer ${secret}` };
    const answer = await fetch(`${router.url}/files/${secret}-in-path`, { headers });
    return /"code":"invalid_authorization"/.test(await answer.text()) ? null : true;
  }, `the token ${name}`);
}
