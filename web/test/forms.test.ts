import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBase64url, fromName, toBase64url, toName } from "../src/bytes.ts";
import { open, publicOf, seal } from "../src/box.ts";
import { Root, unwrap, wrap } from "../src/root.ts";

const ones = new Uint8Array(32).fill(1);
const id = Uint8Array.of(7, 7, 7);

test("base64url and names have one form", () => {
  for (const bad of ["AA=", "A", "AB", "A+", "A A", "Á"]) assert.throws(() => fromBase64url(bad), undefined, bad);
  assert.deepEqual(fromBase64url(toBase64url(ones)), ones);
  assert.deepEqual(fromName("act1", toName("act1", ones)), ones);
  for (const bad of [toName("act1", ones) + "a", "ses1" + toName("", ones), toName("act1", ones).toUpperCase(), toName("act1", ones).slice(0, -1) + "7"]) {
    assert.throws(() => fromName("act1", bad), undefined, bad);
  }
});

test("a box opens with its seed, label and context only", async () => {
  const to = await publicOf(ones);
  const sealed = await seal(to, "abaton/v1/session-seeds", id, Uint8Array.of(1, 2, 3));
  assert.deepEqual(await open(ones, "abaton/v1/session-seeds", id, sealed), Uint8Array.of(1, 2, 3));
  await assert.rejects(open(new Uint8Array(32).fill(2), "abaton/v1/session-seeds", id, sealed));
  await assert.rejects(open(ones, "abaton/v1/grant-wrap", id, sealed));
  await assert.rejects(open(ones, "abaton/v1/session-seeds", Uint8Array.of(8), sealed));
  await assert.rejects(seal(to.slice(1), "abaton/v1/grant-wrap", id, id));
});

test("a wrapped root opens with this passkey's PRF only", async () => {
  const secret = new Uint8Array(32).fill(9);
  const sealed = await wrap(ones, id, secret);
  assert.equal(sealed.length, 60);
  assert.deepEqual(await unwrap(ones, id, sealed), secret);
  await assert.rejects(unwrap(new Uint8Array(32).fill(2), id, sealed));
  await assert.rejects(unwrap(ones, Uint8Array.of(7, 7), sealed));
  sealed[20]! ^= 1;
  await assert.rejects(unwrap(ones, id, sealed));
  await assert.rejects(wrap(new Uint8Array(32), id, secret));
  await assert.rejects(wrap(ones, id, new Uint8Array(31)));
  await assert.rejects(Root.from(new Uint8Array(32)));
});
