/**
 * What a shell can offer at each command, read from the commander tree.
 */
import type { Command, Option } from "commander";
import { type NameKind, nameKindOf } from "./names.ts";

/** What a shell can offer at one command. */
export interface Place {
  /** The command's words, such as `records list`; empty for the program itself. */
  readonly path: string;
  readonly commands: readonly Described[];
  readonly flags: readonly Flag[];
  /** Accepted words of each operand; empty where anything may stand. */
  readonly operands: readonly (readonly string[])[];
  /** Places of operands that are files. */
  readonly fileOperands: readonly number[];
  /** Of each operand: which names the database has for it. */
  readonly nameOperands: readonly (NameKind | null)[];
}

export interface Described {
  readonly name: string;
  readonly description: string;
}

/** `name` has its dashes. */
export interface Flag extends Described {
  readonly short: string | null;
  /** The next word is its value. */
  readonly hasValue: boolean;
  readonly isFile: boolean;
  readonly values: readonly string[];
  /** Which names the database has for its value. */
  readonly names: NameKind | null;
}

/** Every command, the program itself first. */
export function placesOf(program: Command): Place[] {
  const [root, ...rest] = placesBelow(program, "");
  if (root === undefined) return [];
  // No command means `serve`, and so its flags stand alone.
  const serve = rest.find(({ path }) => path === "serve");
  const own = new Set(root.flags.map(({ name }) => name));
  return [{
    ...root,
    flags: [...root.flags, ...serve?.flags.filter(({ name }) => !own.has(name)) ?? []],
  }, ...rest];
}

function placesBelow(command: Command, path: string): Place[] {
  const help = command.createHelp();
  const below = help.visibleCommands(command);
  const names = below.map((each) => each.name()).filter((name) => name !== "help");
  const place: Place = {
    path,
    commands: below.map((each) => ({ name: each.name(), description: brief(each.description()) })),
    flags: help.visibleOptions(command).flatMap(flagsOf),
    operands: command.registeredArguments.map(({ argChoices }) => argChoices ?? []),
    fileOperands: command.registeredArguments.flatMap((argument, at) =>
      argument.name() === "file" ? [at] : []
    ),
    nameOperands: command.registeredArguments.map((argument) => nameKindOf(argument.name())),
  };
  return [
    place,
    ...below.flatMap((each) => {
      const places = placesBelow(each, `${path} ${each.name()}`.trim());
      return each.name() === "help" ? places.map((helped) => ({ ...helped, operands: [names] })) : places;
    }),
  ];
}

/** One for each long name. */
function flagsOf(option: Option): Flag[] {
  const flag = flagOf(option);
  if (!flag.short?.startsWith("--")) return [flag];
  return [{ ...flag, short: null }, { ...flag, name: flag.short, short: null }];
}

function flagOf(option: Option): Flag {
  const value = /[<[]([^<>[\]]+)[>\]]/.exec(option.flags)?.[1] ?? "";
  return {
    name: option.long ?? option.short ?? "",
    short: option.long ? option.short ?? null : null,
    description: brief(option.description),
    hasValue: option.required,
    isFile: value === "path" || value === "file",
    values: option.argChoices ?? (value.includes("|") ? value.split("|") : []),
    names: option.long === "--value" ? null : nameKindOf(value),
  };
}

/** The first clause: lists have one short line for each word. */
function brief(description: string): string {
  return (description.split(/[;:]\s|\s\(|\n|\.\s/)[0] ?? "").trimEnd();
}
