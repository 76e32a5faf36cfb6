#!/usr/bin/env node
/**
 * The command that the npm package installs: runs the executable of this platform's package.
 *
 * Owns finding it, and passing arguments, standard streams, signals and the exit code. It must run on every Node
 * that npm runs on, and needs no package beside that one.
 */
"use strict";

const { spawn } = require("node:child_process");
const { existsSync } = require("node:fs");
const { constants } = require("node:os");
const process = require("node:process");
const manifest = require("../package.json");

/** Passed on to the program. From a terminal it gets them too, so a repeat within a moment must mean nothing there. */
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"];

/** Where Linux keeps the loader of programs for glibc, by `process.arch`. */
const GLIBC_LOADERS = { x64: "/lib64/ld-linux-x86-64.so.2", arm64: "/lib/ld-linux-aarch64.so.1" };

/** How soon the end of npm is noticed. */
const PARENT_INTERVAL_MS = 200;

/** As shells say of a command that is there and cannot be started. */
const CANNOT_START = 126;

const { platform, arch } = process;
const platformPackage = `@${manifest.name}/${platform}-${arch}`;

/** The executable's path, or null after saying why there is none. */
function findExecutable() {
  const supported = Object.keys(manifest.optionalDependencies).map((name) => name.split("/")[1]);
  if (!supported.includes(`${platform}-${arch}`)) {
    return fail(
      `there is no executable for ${platform}-${arch}, only for ${supported.join(", ")}.\n` +
        "The program also runs from its source, with Deno: see the README.",
    );
  }
  const loader = platform === "linux" ? GLIBC_LOADERS[arch] : undefined;
  if (loader !== undefined && !existsSync(loader)) {
    return fail(
      `the executable needs glibc, and ${loader} is missing: this is Alpine or another Linux with a different ` +
        "C library.\nUse a distribution with glibc, such as Debian (image node:24-slim), or install a glibc.",
    );
  }
  try {
    return require.resolve(`${platformPackage}/bin/${manifest.name}${platform === "win32" ? ".exe" : ""}`);
  } catch {
    return fail(
      `the package ${platformPackage} with the executable is not installed.\n` +
        "npm leaves it out with --omit=optional or --no-optional, with a node_modules or lockfile from another " +
        "platform,\nand when its download failed. Install again without those:\n" +
        `  npm install --include=optional ${manifest.name}@${manifest.version}\n` +
        `or add it alone: npm install ${platformPackage}@${manifest.version}`,
    );
  }
}

function fail(message) {
  console.error(`${manifest.name}: ${message}`);
  process.exitCode = CANNOT_START;
  return null;
}

function run(executable) {
  const child = spawn(executable, process.argv.slice(2), { stdio: "inherit" });
  const passOn = (signal) => {
    // On Windows, the console gives Ctrl-C to both, and kill() would end the program without a word.
    if (platform !== "win32") child.kill(signal);
  };
  for (const signal of SIGNALS) process.on(signal, passOn);
  stopWithNpm(() => passOn("SIGTERM"));
  child.on("error", (error) => fail(`cannot start ${executable}: ${error.message}`));
  child.on("exit", (code, signal) => {
    for (const each of SIGNALS) process.off(each, passOn);
    process.exitCode = signal === null ? code : 128 + constants.signals[signal];
    // Ends as the program did, so that whoever started this sees it.
    if (signal !== null) process.kill(process.pid, signal);
  });
}

/** npx gives signals to the shell between, and some shells end without passing them on: the program would stay. */
function stopWithNpm(stop) {
  const parent = process.ppid;
  if (process.env.npm_command === undefined) return;
  const watch = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    stop();
  }, PARENT_INTERVAL_MS);
  watch.unref();
}

const executable = findExecutable();
if (executable !== null) run(executable);
