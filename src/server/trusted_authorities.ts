/**
 * The certificate authorities that upstreams are checked against, in addition to the built-in ones.
 *
 * Reads the files that the settings name, once. A certificate is public, so messages may name its file.
 */
import type { OutgoingSettings } from "../config/outgoing.ts";
import { messageOf } from "../core/errors.ts";
import { StartError } from "./start_error.ts";

const BEGIN = "-----BEGIN CERTIFICATE-----";
const END = "-----END CERTIFICATE-----";
/** A bundle of all public authorities has 250 KB. */
const MAX_BYTES = 16 * 1024 * 1024;

/**
 * PEM texts for the runtime; empty when no file is named.
 *
 * @param onIgnored a file of a variable that other programs read too, and why it is not used
 * @throws StartError when the file of `--ca-file` cannot be used
 */
export function trustedAuthorities(
  { caFile, sharedCaFiles }: OutgoingSettings,
  onIgnored: (message: string) => void,
): string[] {
  const texts = new Set<string>();
  if (caFile !== null) {
    try {
      texts.add(readBundle(caFile));
    } catch (error) {
      throw new StartError(`Cannot use the certificates of --ca-file ${caFile}: ${messageOf(error)}`);
    }
  }
  for (const { variable, path } of sharedCaFiles) {
    try {
      texts.add(readBundle(path));
    } catch (error) {
      onIgnored(`the certificates of ${variable} (${path}) are not used: ${messageOf(error)}`);
    }
  }
  return [...texts];
}

/** @throws when there is no certificate in it, or one that cannot be read */
function readBundle(path: string): string {
  const { isFile, size } = Deno.statSync(path);
  if (!isFile || size > MAX_BYTES) throw new Error("this is no file of PEM certificates");
  const text = Deno.readTextFileSync(path);
  if (!text.includes(BEGIN)) throw new Error(`it holds no ${BEGIN}`);
  try {
    probe(text);
    return text;
  } catch (error) {
    const usable = certificatesIn(text).filter(isUsable);
    if (usable.length === 0) throw error;
    return usable.join("\n");
  }
}

/** A bundle of a system may hold an old certificate that the runtime does not read. */
function isUsable(certificate: string): boolean {
  try {
    probe(certificate);
    return true;
  } catch {
    return false;
  }
}

/** @throws when the runtime does not take these certificates */
function probe(pem: string): void {
  Deno.createHttpClient({ caCerts: [pem] }).close();
}

function certificatesIn(text: string): string[] {
  const certificates: string[] = [];
  for (let at = text.indexOf(BEGIN); at >= 0;) {
    const end = text.indexOf(END, at);
    if (end < 0) break;
    certificates.push(text.slice(at, end + END.length));
    at = text.indexOf(BEGIN, end);
  }
  return certificates;
}
