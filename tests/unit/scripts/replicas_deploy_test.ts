/** The files for several replicas, `compose-postgres.yaml`, `kubernetes.yaml` and `nginx.conf`, against the program. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { ENVIRONMENT_VARIABLES } from "../../../src/config/environment.ts";
import { parseSettings } from "../../../src/config/settings.ts";
import { parsePgUrl } from "../../../src/store/postgres/url.ts";

const root = new URL("../../../", import.meta.url).pathname;
const deploy = `${root}scripts/deploy/`;
/** Which of the program's paths each probe of Kubernetes asks. */
const PROBES = { startupProbe: "/healthz", readinessProbe: "/readyz", livenessProbe: "/healthz" } as const;
const FILES = ["compose-postgres.yaml", "kubernetes.yaml", "nginx.conf"] as const;

const read = (name: string): string => Deno.readTextFileSync(deploy + name);

/** The documents of a YAML file, by Python, as no package of ours reads YAML. */
function documentsOf(name: string): Tree[] {
  const program = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
  const { status, stdout, stderr } = spawnSync("python3", ["-c", program, deploy + name], {
    encoding: "utf8",
  });
  assert.equal(status, 0, stderr);
  return (JSON.parse(stdout) as unknown[]).map((value) => new Tree(value));
}

const isYamlMissing = spawnSync("python3", ["-c", "import yaml"]).status !== 0;

/** Parsed YAML, by path: `spec.containers.0.name`. */
class Tree {
  constructor(readonly value: unknown) {}

  get(path: string): unknown {
    return path.split(".").reduce<unknown>(
      (value, name) => typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined,
      this.value,
    );
  }

  at(path: string): Tree {
    return new Tree(this.get(path));
  }

  number(path: string): number {
    const value = this.get(path);
    return typeof value === "number" ? value : assert.fail(`${path} is no number`);
  }

  text(path: string): string {
    const value = this.get(path);
    return typeof value === "string" ? value : assert.fail(`${path} is no text`);
  }
}

/** The settings that these variables make. */
function settingsOf(env: Readonly<Record<string, string>>) {
  for (const name of Object.keys(env)) assert.ok(ENVIRONMENT_VARIABLES.includes(name), name);
  const settings = parseSettings({ flags: {}, env });
  const target = parsePgUrl(settings.remoteUrl ?? assert.fail("no PostgreSQL"), {
    variable: (name) => env[name],
    readText: () => "-----BEGIN CERTIFICATE-----",
    isPrivate: () => true,
  });
  return { settings, target };
}

Deno.test("every variable that the files name exists", () => {
  for (const name of FILES) {
    for (const [, variable = ""] of read(name).matchAll(/\b(OAR_[A-Z_]+)\b/g)) {
      assert.ok(ENVIRONMENT_VARIABLES.includes(variable), `${name}: ${variable}`);
    }
  }
});

Deno.test({
  name:
    "compose-postgres.yaml gives each of two replicas a journal of its own, and the password by a variable",
  ignore: isYamlMissing,
  fn: () => {
    const [compose = assert.fail()] = documentsOf("compose-postgres.yaml");
    const journals = new Set<string>();
    for (const name of ["router-1", "router-2"]) {
      const service = compose.at(`services.${name}`);
      const { settings, target } = settingsOf(service.get("environment") as Record<string, string>);
      const volume = service.text("volumes.0");
      assert.match(volume, /^journal-\d:\/data$/);
      assert.match(settings.database, /^\/data\//);
      journals.add(volume);
      assert.deepEqual(target.hosts.map(({ host }) => host), ["postgres"]);
      assert.equal(target.user, compose.text("services.postgres.environment.POSTGRES_USER"));
      assert.equal(target.database, compose.text("services.postgres.environment.POSTGRES_DB"));
      assert.match(target.hosts[0]?.password ?? "", /^\$\{POSTGRES_PASSWORD:\?/);
      assert.ok(parseInt(service.text("stop_grace_period")) > settings.drainTimeoutMs / 1000 + 10);
      assert.equal(service.get("ports"), undefined, "nginx alone is reached from outside");
      assert.match(read("nginx.conf"), new RegExp(`server ${name}:${settings.listen.port} `));
      assert.ok(settings.trustedProxies.length > 0);
    }
    assert.equal(journals.size, 2);
    const [, listening] = /^\s+listen (\d+);$/m.exec(read("nginx.conf")) ?? [];
    assert.equal(compose.text("services.nginx.ports.0"), `8888:${listening}`);
    assert.deepEqual(Object.keys(compose.get("volumes") as object).toSorted(), [
      "journal-1",
      "journal-2",
      "postgres",
    ]);
  },
});

Deno.test({
  name: "kubernetes.yaml keeps journals, takes one replica away at a time, and leaves it time to stop",
  ignore: isYamlMissing,
  fn: () => {
    const documents = documentsOf("kubernetes.yaml");
    const byKind = (kind: string) =>
      documents.find((each) => each.get("kind") === kind) ?? assert.fail(`no ${kind}`);
    const set = byKind("StatefulSet");
    const pod = set.at("spec.template.spec");
    const container = pod.at("containers.0");
    const env = container.get("env") as { name: string; value?: string; valueFrom?: unknown }[];
    const { settings, target } = settingsOf(
      Object.fromEntries(env.map(({ name, value }) => [name, value ?? "secret"])),
    );
    assert.ok(env.some(({ name, valueFrom }) => name === "PGPASSWORD" && valueFrom !== undefined));
    assert.equal(target.ssl.mode, "verify-full");
    assert.equal(set.number("spec.replicas"), 2);
    assert.equal(byKind("PodDisruptionBudget").number("spec.maxUnavailable"), 1);
    assert.equal(set.text("spec.volumeClaimTemplates.0.metadata.name"), "journal");
    const mounts = container.get("volumeMounts") as { name: string; mountPath: string }[];
    const journal = mounts.find(({ name }) => name === "journal")?.mountPath ?? assert.fail("no journal");
    assert.ok(settings.database.startsWith(`${journal}/`));
    const preStop = container.number("lifecycle.preStop.sleep.seconds");
    const needed = preStop + settings.drainTimeoutMs / 1000 + 20;
    assert.ok(pod.number("terminationGracePeriodSeconds") > needed);
    for (const [probe, path] of Object.entries(PROBES)) {
      assert.equal(container.text(`${probe}.httpGet.path`), path);
    }
    assert.equal(container.number("ports.0.containerPort"), settings.listen.port);
    assert.equal(pod.number("securityContext.runAsUser"), 65532, "as the image");
    const labels = JSON.stringify(set.get("spec.template.metadata.labels"));
    for (const document of documents.filter((each) => each.get("kind") === "Service")) {
      assert.equal(JSON.stringify(document.get("spec.selector")), labels);
    }
  },
});
