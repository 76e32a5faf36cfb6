/**
 * The words of the scripts: which flags take a value, which values are known, and how a word is quoted.
 */
import type { NameKind } from "./names.ts";
import type { Flag, Place } from "./places.ts";

/** Every flag that takes the next word, with one dash and two; a name means the same for every command. */
export function valueFlags(places: readonly Place[]): string[] {
  const names = places.flatMap(({ flags }) =>
    flags.filter(({ hasValue }) => hasValue).map(({ name }) => name)
  );
  return [...new Set(names)].flatMap((name) => [name, name.slice(1)]);
}

/** Commands and flags whose values are known, as quoted `place:--flag`; those with the same values together. */
export function valueCases(
  places: readonly Place[],
): { readonly keys: readonly string[]; readonly flag: Flag }[] {
  const cases = new Map<string, { keys: string[]; flag: Flag }>();
  for (const { path, flags } of places) {
    for (const flag of flags.filter(({ isFile, names, values }) => isFile || names || values.length > 0)) {
      const same = flag.isFile ? "" : flag.names === null ? flag.values.join(" ") : ` ${flag.names}`;
      const found = cases.get(same) ?? { keys: [], flag };
      found.keys.push(quote(`${path}:${flag.name}`));
      cases.set(same, found);
    }
  }
  return [...cases.values()];
}

export function operandCases(
  places: readonly Place[],
): { readonly key: string; readonly words: readonly string[] }[] {
  return places.flatMap(({ path, operands }) =>
    operands.flatMap((words, at) => words.length === 0 ? [] : [{ key: quote(`${path}:${at}`), words }])
  );
}

/** Operands that are files, as quoted `place:number`; empty when there are none. */
function fileOperandKeys(places: readonly Place[]): string[] {
  return places.flatMap(({ path, fileOperands }) => fileOperands.map((at) => quote(`${path}:${at}`)));
}

/** Within a `case` of bash and zsh: what follows is done for operands that are files. */
export function fileOperandCase(places: readonly Place[], action: string): string[] {
  const keys = fileOperandKeys(places);
  return keys.length === 0 ? [] : [`      (${keys.join("|")}) ${action} ;;`];
}

/** Within the same `case`: what adds the names of an operand to those that are offered. */
export function nameOperandCases(places: readonly Place[], action: (kind: NameKind) => string): string[] {
  return places.flatMap(({ path, nameOperands }) =>
    nameOperands.flatMap((kind, at) =>
      kind === null ? [] : [`      (${quote(`${path}:${at}`)}) ${action(kind)} ;;`]
    )
  );
}

/** The place before, a space, the next word. */
function stepTo(path: string): string {
  return quote(path.includes(" ") ? path : ` ${path}`);
}

/**
 * Lines of bash and zsh alike, within a loop over the words before the cursor: `word` leads from `place` to the next command,
 * is an operand, which `position` counts, or a `flag` that takes the next word.
 */
export function stepLines(places: readonly Place[]): string[] {
  return [
    "    if [[ -n $flag ]]; then flag=''; continue; fi",
    '    case "$word" in',
    "      (-*=*) ;;",
    `      (${valueFlags(places).join("|")}) flag="$word" ;;`,
    "      (-*) ;;",
    '      (*) case "$place $word" in',
    `        (${
      places.slice(1).map(({ path }) => stepTo(path)).join("|")
    }) place="\${place:+$place }$word" position=0 ;;`,
    "        (*) position=$((position + 1)) ;;",
    "      esac ;;",
    "    esac",
  ];
}

export function spellings({ name, short }: Flag): string[] {
  return short === null ? [name] : [name, short];
}

export function functionName(name: string): string {
  return `_${name.replaceAll("-", "_")}`;
}

/** One word of any of the shells. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
