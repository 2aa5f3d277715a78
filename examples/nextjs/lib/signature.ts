import { createHmac, timingSafeEqual } from "node:crypto";

const oldestS = 300;

/**
 * Whether a callback about `taskId` comes from who holds `secret`: the signature is
 * base64(HMAC-SHA256(secret, task id + "." + timestamp)). It does not cover the body.
 */
export function signedBy(
  secret: string,
  taskId: string,
  headers: Headers,
  nowS: number = Date.now() / 1000,
): boolean {
  const stamp = headers.get("x-webhook-timestamp") ?? "";
  if (!secret || !/^[0-9]{1,12}$/.test(stamp) || Math.abs(nowS - Number(stamp)) > oldestS) {
    return false;
  }
  const expected = createHmac("sha256", secret).update(`${taskId}.${stamp}`).digest();
  const given = Buffer.from(headers.get("x-webhook-signature") ?? "", "base64");
  return given.length === expected.length && timingSafeEqual(given, expected);
}
