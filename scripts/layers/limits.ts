/**
 * How long a file and a function may be.
 *
 * A function may be longer for a reason, which a comment on the line directly above its first line gives:
 * `// long: one loop that waits for both sides`.
 */
import ts from "typescript";
import { lineOf, type ParsedFile, type Violation } from "./source.ts";

const MAX_FILE_LINES = 350;
const MAX_FUNCTION_LINES = 60;

const REASON = /^\s*\/\/ long: \S/;

/** Files and functions that are too long. */
export function limitViolations(file: ParsedFile): Violation[] {
  const { path, text, tree } = file;
  const lines = text.split("\n");
  const count = text.endsWith("\n") ? lines.length - 1 : lines.length;
  const violations: Violation[] = [];
  if (count > MAX_FILE_LINES) {
    const message = `the file has ${count} lines, at most ${MAX_FILE_LINES}; split it along its concepts`;
    violations.push({ path, line: 1, message });
  }
  const visit = (node: ts.Node): void => {
    if (hasBody(node)) {
      const line = lineOf(file, node.getStart(tree));
      const length = lineOf(file, node.end) - line + 1;
      if (length > MAX_FUNCTION_LINES && !REASON.test(lines[line - 2] ?? "")) {
        const message = `${nameOf(node, tree)} has ${length} lines, at most ${MAX_FUNCTION_LINES}; ` +
          "split it, or give a reason on the line above: // long: ...";
        violations.push({ path, line, message });
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return violations;
}

function hasBody(node: ts.Node): node is ts.FunctionLikeDeclaration {
  return ts.isFunctionLike(node) && "body" in node && node.body !== undefined;
}

function nameOf(node: ts.FunctionLikeDeclaration, tree: ts.SourceFile): string {
  if (ts.isConstructorDeclaration(node)) return "the constructor";
  return node.name === undefined ? "a function" : `${node.name.getText(tree)}()`;
}
