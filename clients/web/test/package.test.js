/** The package: its content, version, license and dependencies. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";

/** @param {string} path path from this folder. */
const read = (path) => readFileSync(new URL(path, import.meta.url), "utf8");
const PACKAGE = JSON.parse(read("../package.json"));

test("the version and the license are those of the Python package", () => {
  const [, version] = read("../../../pyproject.toml").match(/^version = "(.*)"$/m) ?? [];
  assert.equal(PACKAGE.version, version);
  assert.equal(read("../LICENSE"), read("../../../LICENSE"));
});

test("versions are exact, and the lock file has hashes without addresses", () => {
  for (const version of Object.values({
    ...PACKAGE.devDependencies,
    ...PACKAGE.peerDependencies,
  })) {
    assert.match(version, /^\d+\.\d+\.\d+$/);
  }
  const { packages } = JSON.parse(read("../package-lock.json"));
  for (const [name, { integrity, resolved }] of Object.entries(packages)) {
    if (name) assert.match(integrity, /^sha512-/);
    assert.equal(resolved, undefined);
  }
});

test("the tarball has sources, types, README and license, and each export", () => {
  // npm runs this script, so its own path is known.
  const npm = process.env.npm_execpath;
  const [command, ...before] = npm ? [process.execPath, npm] : ["npm"];
  const words = [...before, "pack", "--dry-run", "--json"];
  const cwd = new URL("..", import.meta.url);
  const output = execFileSync(command, words, {
    cwd,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  const [{ files }] = JSON.parse(output.slice(output.indexOf("[")));
  const paths = /** @type {{path: string}[]} */ (files).map(({ path }) => path);
  for (const { types, default: source } of Object.values(PACKAGE.exports)) {
    for (const each of [types, source]) assert.ok(paths.includes(each.slice(2)), each);
  }
  const modules = paths.filter((path) => path.startsWith("src/"));
  const declarations = modules.map((path) => path.replace(/^src(.*)\.js$/, "types$1.d.ts"));
  const others = ["LICENSE", "README.md", "package.json"];
  assert.deepEqual(paths.toSorted(), [...modules, ...declarations, ...others].toSorted());
});
