/** A ZIP archive of files that are compressed already: each is stored as it is. */

const table = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n >>> 0;
});

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = table[(crc ^ byte) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** Fields of two or four bytes, little-endian, as the format lists them: `[size, value]`. */
function record(...fields) {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [size]) => sum + size, 0)));
  let at = 0;
  for (const [size, value] of fields) {
    if (size === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += size;
  }
  return view.buffer;
}

const UTF8 = 0x0800;
const DATE = 0x21; // 1 January 1980, the earliest: no time is kept

/** The archive of `[{ name, bytes }]`. */
export function zip(files) {
  const body = [], directory = [];
  let offset = 0, listed = 0;
  for (const { name, bytes } of files) {
    const path = new TextEncoder().encode(name);
    const common = [[2, 20], [2, UTF8], [2, 0], [2, 0], [2, DATE], [4, crc32(bytes)], [4, bytes.length], [4, bytes.length], [2, path.length], [2, 0]];
    const head = record([4, 0x04034b50], ...common);
    const entry = record([4, 0x02014b50], [2, 20], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, offset]);
    body.push(head, path, bytes);
    directory.push(entry, path);
    offset += head.byteLength + path.length + bytes.length;
    listed += entry.byteLength + path.length;
  }
  const count = files.length;
  const end = record([4, 0x06054b50], [2, 0], [2, 0], [2, count], [2, count], [4, listed], [4, offset], [2, 0]);
  return new Blob([...body, ...directory, end], { type: "application/zip" });
}
