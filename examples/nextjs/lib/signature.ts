import { createHmac, timingSafeEqual } from "node:crypto";

const maxAgeS = 300;

/**
 * Whether a notification about `taskId` is signed with `secret` and at most five minutes old. The signature is
 * base64(HMAC-SHA256(secret, task id + "." + timestamp)). It does not cover the body.
 */
export function signedBy(
  secret: string,
  taskId: string,
  headers: Headers,
  nowS: number = Date.now() / 1000,
): boolean {
  const timestamp = headers.get("x-webhook-timestamp") ?? "";
  if (!secret || !/^[0-9]{1,12}$/.test(timestamp) || Math.abs(nowS - Number(timestamp)) > maxAgeS) {
    return false;
  }
  const expected = createHmac("sha256", secret).update(`${taskId}.${timestamp}`).digest();
  const given = Buffer.from(headers.get("x-webhook-signature") ?? "", "base64");
  return given.length === expected.length && timingSafeEqual(given, expected);
}
