/**
 * A certificate authority of one test, and the certificates that it signs, made by openssl.
 */
import { give } from "./server_process.ts";

export interface Certificate {
  /** Paths of PEM files. */
  readonly cert: string;
  readonly key: string;
}

export interface TlsAuthority {
  /** Path of its own certificate. */
  readonly root: string;
  /** For localhost, and no other name or address. */
  readonly server: Certificate;
  /** For the user `app`. */
  readonly client: Certificate;
}

/** @param folder which exists, and which the server's user may read */
export async function makeAuthority(folder: string, name = "authority"): Promise<TlsAuthority> {
  const root = { cert: `${folder}/${name}.crt`, key: `${folder}/${name}.key` };
  await openssl(
    [
      "req",
      "-x509",
      ...NEW_KEY,
      "-days",
      "2",
      "-subj",
      `/CN=${name}`,
      "-keyout",
      root.key,
      "-out",
      root.cert,
    ],
  );
  const signed = async (file: string, subject: string, extensions: string): Promise<Certificate> => {
    const paths = { cert: `${folder}/${name}-${file}.crt`, key: `${folder}/${name}-${file}.key` };
    const request = `${folder}/${name}-${file}.csr`;
    await openssl([
      "req",
      "-new",
      ...NEW_KEY,
      "-subj",
      `/CN=${subject}`,
      "-keyout",
      paths.key,
      "-out",
      request,
    ]);
    const extensionFile = `${folder}/${name}-${file}.ext`;
    await Deno.writeTextFile(extensionFile, `basicConstraints=CA:FALSE\n${extensions}\n`);
    await openssl(
      ["x509", "-req", "-in", request, "-CA", root.cert, "-CAkey", root.key, "-CAcreateserial", "-days", "2"]
        .concat("-extfile", extensionFile, "-out", paths.cert),
    );
    await Deno.chmod(paths.key, 0o600);
    await give(paths.key);
    return paths;
  };
  return {
    root: root.cert,
    server: await signed("server", "localhost", "subjectAltName=DNS:localhost"),
    client: await signed("client", "app", "extendedKeyUsage=clientAuth"),
  };
}

const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

async function openssl(args: readonly string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("openssl", { args: [...args], stdin: "null" }).output();
  if (!success) throw new Error(`openssl ${args[0]}: ${new TextDecoder().decode(stderr)}`);
}
