/**
 * Source files as the checks see them: text, syntax tree, imports.
 */
import { dirname, join, relative, resolve } from "node:path/posix";
import ts from "typescript";

/** One file, by its path from the root of the repository. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

export interface ParsedFile extends SourceFile {
  readonly tree: ts.SourceFile;
}

export interface Violation {
  readonly path: string;
  /** 1-based. */
  readonly line: number;
  /** What is wrong and what to do. */
  readonly message: string;
}

export interface Import {
  /** Offset in the text. */
  readonly at: number;
  /** null when it is computed. */
  readonly specifier: string | null;
  readonly isTypeOnly: boolean;
}

export function parse({ path, text }: SourceFile): ParsedFile {
  return { path, text, tree: ts.createSourceFile(path, text, ts.ScriptTarget.Latest) };
}

/** 1-based. */
export function lineOf({ tree }: ParsedFile, at: number): number {
  return tree.getLineAndCharacterOfPosition(at).line + 1;
}

/** Imports and re-exports, static and dynamic, in order. */
export function importsOf({ tree }: ParsedFile): Import[] {
  const found: Import[] = [];
  const visit = (node: ts.Node): void => {
    const each = importIn(node);
    if (each !== null) found.push({ at: node.getStart(tree), ...each });
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return found;
}

function importIn(node: ts.Node): Omit<Import, "at"> | null {
  if (ts.isImportDeclaration(node)) {
    const { importClause: clause, moduleSpecifier } = node;
    const isTypeOnly = clause !== undefined &&
      (clause.isTypeOnly || (clause.name === undefined && hasOnlyTypes(clause.namedBindings)));
    return { specifier: textOf(moduleSpecifier), isTypeOnly };
  }
  if (ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined) {
    return {
      specifier: textOf(node.moduleSpecifier),
      isTypeOnly: node.isTypeOnly || hasOnlyTypes(node.exportClause),
    };
  }
  if (ts.isImportTypeNode(node)) {
    const { argument } = node;
    return { specifier: ts.isLiteralTypeNode(argument) ? textOf(argument.literal) : null, isTypeOnly: true };
  }
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
    return { specifier: textOf(node.arguments[0]), isTypeOnly: false };
  }
  return null;
}

/** `{ type A, type B }` */
function hasOnlyTypes(names: ts.NamedImportBindings | ts.NamedExportBindings | undefined): boolean {
  if (names === undefined || !(ts.isNamedImports(names) || ts.isNamedExports(names))) return false;
  return names.elements.length > 0 && names.elements.every(({ isTypeOnly }) => isTypeOnly);
}

function textOf(node: ts.Node | undefined): string | null {
  return node !== undefined && ts.isStringLiteralLike(node) ? node.text : null;
}

/** The path that a relative specifier names, from the root of the repository. */
export function targetOf(path: string, specifier: string): string {
  return relative("/", resolve("/", dirname(path), specifier));
}

/** `main.ts` and every TypeScript file below `src/` and `scripts/`, sorted by path. */
export function readTree(root: string): SourceFile[] {
  const paths = ["main.ts", ...filesBelow(root, "src"), ...filesBelow(root, "scripts")].toSorted();
  return paths.map((path) => ({ path, text: Deno.readTextFileSync(join(root, path)) }));
}

function filesBelow(root: string, folder: string): string[] {
  return entriesOf(join(root, folder)).flatMap(({ name, isDirectory }) => {
    const path = `${folder}/${name}`;
    if (isDirectory) return filesBelow(root, path);
    return /\.tsx?$/.test(name) ? [path] : [];
  });
}

function entriesOf(folder: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(folder)];
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
