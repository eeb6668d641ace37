/** Fetching of files: errors name the file. */

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { fetchBytes } from "../src/fetch_file.js";

/** @import { AddressInfo } from "node:net" */

test("a download that breaks, fails or is missing is an error that names it", async (context) => {
  const server = createServer(({ url }, response) => {
    if (url === "/broken") {
      response.writeHead(200, { "content-length": 100 });
      response.write("only a part", () => response.destroy());
    } else {
      response.writeHead(url === "/whole" ? 200 : 404).end("all");
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  context.after(() => server.close());
  const { port } = /** @type {AddressInfo} */ (server.address());
  const url = `http://127.0.0.1:${port}`;
  assert.equal(new TextDecoder().decode(await fetchBytes(`${url}/whole`)), "all");
  for (const name of ["broken", "missing"]) {
    await assert.rejects(fetchBytes(`${url}/${name}`), (error) => {
      assert.match(`${error}`, new RegExp(`^LoadError: ${url}/${name} cannot be fetched \\(`));
      return true;
    });
  }
  await assert.rejects(fetchBytes("http://127.0.0.1:1/"), { name: "LoadError" });
});
