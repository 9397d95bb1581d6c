/** The comments and the string literals of a source file. */
import ts from 'typescript';

export interface SourceText {
  /** Without delimiters, on one line each; consecutive line comments are one. */
  readonly comments: readonly string[];
  /** The text of string literals, and of the constant parts of templates. */
  readonly strings: readonly string[];
}

export function sourceText(text: string): SourceText {
  const source = ts.createSourceFile('source.ts', text, ts.ScriptTarget.Latest, true);
  const ranges = new Map<number, ts.CommentRange>();
  const strings: string[] = [];
  const visit = (node: ts.Node): void => {
    const leading = ts.getLeadingCommentRanges(text, node.getFullStart()) ?? [];
    const trailing = ts.getTrailingCommentRanges(text, node.end) ?? [];
    for (const range of [...leading, ...trailing]) ranges.set(range.pos, range);
    if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node)) strings.push(node.text);
    if (ts.isTemplateMiddle(node) || ts.isTemplateTail(node)) strings.push(node.text);
    for (const child of node.getChildren(source)) visit(child);
  };
  visit(source);
  return { comments: joined(text, [...ranges.values()]), strings };
}

function joined(text: string, ranges: readonly ts.CommentRange[]): string[] {
  const comments: string[] = [];
  let previous: ts.CommentRange | undefined;
  for (const range of [...ranges].sort((a, b) => a.pos - b.pos)) {
    const isLine = range.kind === ts.SyntaxKind.SingleLineCommentTrivia;
    const between = text.slice(previous?.end ?? 0, range.pos);
    const continues = isLine && previous?.kind === range.kind && /^\n[ \t]*$/.test(between);
    const content = contentOf(text.slice(range.pos, range.end));
    if (continues) comments.push(`${comments.pop()} ${content}`);
    else comments.push(content);
    previous = range;
  }
  return comments;
}

function contentOf(comment: string): string {
  const inner = comment.replace(/^\/\/|^\/\*+|\*\/$/g, '');
  return inner.replace(/\n\s*\*?/g, ' ').trim();
}
