"""What lies in every evidence bundle so that others can verify it: a text, a shell script and a program for Node."""

# ruff: noqa: E501 - lines of other languages
from __future__ import annotations

README = """The anchor of the log must come to you from somewhere else than this bundle. Compare it first:

    @ANCHOR@

(also in anchor.txt). If you have no anchor from elsewhere, this bundle shows only that it is consistent in itself.

To verify without our software, in this folder:

    sh verify.sh ANCHOR       openssl, ssh-keygen, coreutils: digests, the checkpoint's and the entries' signatures
    node verify.mjs ANCHOR    Node alone: all of that, the Merkle proofs, and the content against its commitments

What is where:

    checkpoint                size and root of the log, signed (C2SP signed note); checkpoint.txt is what is signed,
                              checkpoint.sig and checkpoint.sshsig the signature in two forms, log.pub.pem the key
    genesis.dsse.json         the first entry, which names the log's key; the anchor is its hash
    keys.json                 since which entry which key signs entries
    traces/ID/entry.dsse.json the entry: an in-toto statement in a DSSE envelope, a leaf of the tree
    traces/ID/signed.bin      what is signed of it, signature.bin the signature, recorder.pub.pem the key
    traces/ID/proof.json      the proof that it is in the tree (RFC 6962), record.tlog-proof the same for C2SP
    traces/ID/manifest        path and commitment of each part of the content; its Merkle root is in the statement
    traces/ID/content.json    the parts with their salts: SHA-256(salt, part) is the commitment. Not in redacted bundles
    traces/ID/timeline.html   the same for people
    traces/ID/beside/N/       the other entries of the trace in the same form: N is the place in the log. Its opening,
                              what it was before an amendment, ratings and reports, holds, and what was erased of it
    revocations/N/            entries that revoke a key that somebody else may have held, in the same form

Not proven by any of this:
@NOT_PROVEN@

The keys of later epochs are named in entries that are not in this bundle: keys.json is checked by verifying the whole
log, here only the key of the first epoch is.
"""

VERIFY_SH = r"""#!/bin/sh
# Verifies digests and signatures with coreutils, openssl (3.0 or newer) and ssh-keygen. Usage: sh verify.sh ANCHOR
set -eu
cd "$(dirname "$0")"
anchor=${1:?give the anchor of the log, from somewhere else than this bundle}
fail() { echo "INVALID: $1" >&2; exit 1; }
sha256sum --quiet -c SHA256SUMS || fail "files were changed"
found=$( (printf '\000'; cat genesis.dsse.json) | sha256sum | cut -d' ' -f1)
[ "$(head -n 1 checkpoint.txt)#$found" = "$anchor" ] || fail "this is not the log of the anchor"
key=$(openssl pkey -pubin -in log.pub.pem -outform DER | tail -c 32 | (printf '\001'; cat) | base64)
sed 's/.*"payload":"\([^"]*\)".*/\1/' genesis.dsse.json | base64 -d | grep -qF "+$key\"" || fail "not the log's key"
openssl pkeyutl -verify -pubin -inkey log.pub.pem -rawin -in checkpoint.txt -sigfile checkpoint.sig >/dev/null \
  || fail "the checkpoint's signature"
ssh-keygen -Y verify -f allowed_signers -I audit@localhost -n file -s checkpoint.sshsig < checkpoint.txt >/dev/null \
  || fail "the checkpoint's SSH signature"
for trace in traces/*/ traces/*/beside/*/ revocations/*/; do
  [ -d "$trace" ] || continue
  openssl pkeyutl -verify -pubin -inkey "${trace}recorder.pub.pem" -rawin -in "${trace}signed.bin" \
    -sigfile "${trace}signature.bin" >/dev/null || fail "the signature of $trace"
  sed 's/.*"payload":"\([^"]*\)".*/\1/' "${trace}entry.dsse.json" | base64 -d | cmp -s - "${trace}statement.json" \
    || fail "the statement of $trace"
  tail -c "$(wc -c < "${trace}statement.json")" "${trace}signed.bin" | cmp -s - "${trace}statement.json" \
    || fail "what is signed in $trace"
done
echo "digests and signatures hold; node verify.mjs also checks the tree and the content"
"""

VERIFY_MJS = r"""// Verifies everything in this bundle with Node alone. Usage: node verify.mjs ANCHOR
import { createHash, createPublicKey, verify } from "node:crypto";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const read = (name) => readFileSync(join(here, name));
const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest();
const leaf = (data) => sha256(Buffer.from([0]), data);
const node = (left, right) => sha256(Buffer.from([1]), left, right);
const check = (holds, what) => {
  if (!holds) {
    console.error(`INVALID: ${what}`);
    process.exit(1);
  }
};
const keyOf = (raw) =>
  createPublicKey({ key: Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), raw]), format: "der", type: "spki" });
const payloadOf = (entry) => Buffer.from(JSON.parse(entry).payload, "base64");
const signedOf = (payload) => {
  const type = "application/vnd.in-toto+json";
  return Buffer.concat([Buffer.from(`DSSEv1 ${type.length} ${type} ${payload.length} `), payload]);
};
const rootOf = (leaves) => {
  if (leaves.length === 0) return sha256();
  if (leaves.length === 1) return leaves[0];
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return node(rootOf(leaves.slice(0, split)), rootOf(leaves.slice(split)));
};
const included = (hash, index, size, proof, root) => {
  let [place, last, found] = [index, size - 1, hash];
  for (const step of proof) {
    if (last === 0) return false;
    if (place % 2 === 1 || place === last) {
      found = node(step, found);
      while (place % 2 === 0 && place !== 0) [place, last] = [place >> 1, last >> 1];
    } else found = node(found, step);
    [place, last] = [place >> 1, last >> 1];
  }
  return last === 0 && found.equals(root);
};

const anchor = process.argv[2];
check(anchor, "give the anchor of the log, from somewhere else than this bundle");
for (const line of read("SHA256SUMS").toString().trim().split("\n")) {
  const [sum, name] = line.split("  ");
  check(sha256(read(name)).toString("hex") === sum, `${name} was changed`);
}
const note = read("checkpoint").toString();
const text = note.slice(0, note.lastIndexOf("\n\n") + 1);
const [origin, size, root] = text.split("\n");
const genesis = read("genesis.dsse.json");
check(`${origin}#${leaf(genesis).toString("hex")}` === anchor, "this is not the log of the anchor");
const first = JSON.parse(payloadOf(genesis)).predicate;
const logKey = Buffer.from(first.logKey.split("+").slice(2).join("+"), "base64").subarray(1);
const line = note.slice(note.lastIndexOf("\n\n") + 2).split("\n")[0].split(" ");
const mark = Buffer.from(line[2], "base64");
check(note === `${text}\n\u2014 ${origin} ${mark.toString("base64")}\n`, "the checkpoint is not in its one written form");
check(mark.subarray(0, 4).equals(sha256(Buffer.from(`${origin}\n\u0001`), logKey).subarray(0, 4)), "the id of the log's key");
check(verify(null, Buffer.from(text), keyOf(logKey), mark.subarray(4)), "the checkpoint's signature");
const epochs = JSON.parse(read("keys.json"));
check(epochs[0].key === first.recorderKey, "the first key of entries");
const list = (...place) => (existsSync(join(here, ...place)) ? readdirSync(join(here, ...place)) : []);
const named = (pattern, path) => {
  const [wanted, steps] = [pattern.split("/"), path.split("/")];
  return wanted.length === steps.length && wanted.every((step, at) => step === "*" || step === steps[at]);
};
const traces = list("traces");
const revocations = list("revocations");
const places = traces.flatMap((id) => [id, ...list("traces", id, "beside").map((n) => join(id, "beside", n))]);
const [erasures, gone, keys, revoked] = [[], [], [], []];
let [parts, unshown] = [0, 0];
for (const [folder, trace] of [...places.map((place) => ["traces", place]), ...revocations.map((n) => ["revocations", n])]) {
  const of = (name) => read(join(folder, trace, name));
  const entry = of("entry.dsse.json");
  const { index, size: among, proof } = JSON.parse(of("proof.json"));
  check(among === Number(size), `${trace}: the proof is of another checkpoint`);
  const steps = proof.map((step) => Buffer.from(step, "hex"));
  check(included(leaf(entry), index, among, steps, Buffer.from(root, "base64")), `${trace}: it is not in the tree`);
  const payload = payloadOf(entry);
  const key = epochs.filter((epoch) => epoch.entry < index).at(-1).key;
  const signature = Buffer.from(JSON.parse(entry).signatures[0].sig, "base64");
  check(verify(null, signedOf(payload), keyOf(Buffer.from(key, "hex")), signature), `${trace}: the signature`);
  const said = JSON.parse(payload);
  check(said.predicate.index === index, `${trace}: it is of another place`);
  if (folder === "revocations") {
    check(said.predicate.kind === "key-revoke", `${trace}: it revokes no key`);
    revoked.push(said.predicate);
  } else {
    check(said.predicate.traceId === trace.split(/[/\\]/)[0], `${trace}: it is of another trace`);
    keys.push([trace, index, key]);
  }
  if (["erase", "retain-expire"].includes(said.predicate.kind)) erasures.push(said.predicate);
  const manifest = of("manifest").toString();
  const lines = manifest === "" ? [] : manifest.split("\n");
  check(rootOf(lines.map((each) => leaf(Buffer.from(each)))).toString("hex") === said.subject[0].digest.sha256, `${trace}: the manifest`);
  const commitments = new Map(lines.map((each) => JSON.parse(each)));
  if (!existsSync(join(here, folder, trace, "content.json"))) {
    if (lines.length > 0) gone.push([index, trace, null]);
    continue;
  }
  for (const { path, salt, data } of JSON.parse(of("content.json"))) {
    const held = sha256(Buffer.from(salt, "base64"), Buffer.from(data, "base64")).toString("hex");
    check(commitments.get(path) === held, `${trace}: ${path} is not what was committed to`);
    commitments.delete(path);
    parts += 1;
  }
  for (const path of commitments.keys()) gone.push([index, trace, path]);
}
for (const [index, trace, path] of gone) {
  const by = erasures.find((e) => e.index > index && e.targets.includes(index)
    && (e.paths.length === 0 || (path !== null && e.paths.some((pattern) => named(pattern, path)))));
  if (by) console.log(`${trace}: ${path ?? "its content"} was erased, as entry ${by.index} says`);
  else if (path === null) unshown += 1;
  else check(false, `${trace}: ${path} is missing, and no entry says that it was erased`);
}
for (const [trace, index, key] of keys) {
  const by = revoked.find((e) => e.recorderKey === key && e.since <= index && index < e.index);
  if (by) console.log(`${trace}: its key was revoked by entry ${by.index}: somebody else may have signed it, unless an earlier pin covers it`);
}
if (unshown > 0) console.log(`the content of ${unshown} ${unshown === 1 ? "entry" : "entries"} is not in this bundle: proven is that it existed, not what it was`);
console.log(`VALID: ${traces.length} traces (${places.length} entries), ${parts} parts, in the log ${origin} of ${size} entries`);
"""
