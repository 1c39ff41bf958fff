// Packs files into a tar (ustar), so that a folder can be uploaded as it is. Pure.

const BLOCK = 512;
const encoder = new TextEncoder();

function put(block, offset, text) {
  block.set(encoder.encode(text), offset);
}

/** Return [prefix, name] of a path, as ustar wants it, or throw if it is too long. */
function split(path) {
  if (encoder.encode(path).length <= 100) return ["", path];
  for (let cut = path.indexOf("/"); cut > 0; cut = path.indexOf("/", cut + 1)) {
    const [prefix, name] = [path.slice(0, cut), path.slice(cut + 1)];
    if (encoder.encode(prefix).length <= 155 && encoder.encode(name).length <= 100) return [prefix, name];
  }
  throw new RangeError(`the path is too long for a tar: ${path}`);
}

function header(path, size) {
  const block = new Uint8Array(BLOCK);
  const [prefix, name] = split(path);
  put(block, 0, name);
  put(block, 100, "0000755\0");
  put(block, 108, "0000000\0");
  put(block, 116, "0000000\0");
  put(block, 124, `${size.toString(8).padStart(11, "0")}\0`);
  put(block, 136, "00000000000\0");
  put(block, 148, "        ");
  put(block, 156, "0");
  put(block, 257, "ustar\0");
  put(block, 263, "00");
  put(block, 345, prefix);
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(block, 148, `${sum.toString(8).padStart(6, "0")}\0 `);
  return block;
}

/** Return the parts of a tar of [{path, bytes}]. */
export function tar(files) {
  const parts = [];
  for (const { path, bytes } of files) {
    parts.push(header(path, bytes.length), bytes);
    const rest = bytes.length % BLOCK;
    if (rest) parts.push(new Uint8Array(BLOCK - rest));
  }
  parts.push(new Uint8Array(2 * BLOCK));
  return parts;
}
