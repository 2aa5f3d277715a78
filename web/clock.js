const TOLERATED_MS = 30_000; // a response takes a while, and its header has whole seconds

let offset = 0;

/** Takes the time from the `Date` of a response: this machine's clock may be wrong. */
export function learnTime({ headers }) {
  const difference = Date.parse(headers.get("Date")) - Date.now();
  if (Number.isFinite(difference)) offset = Math.abs(difference) > TOLERATED_MS ? difference : 0;
}

/** A time of this machine's clock in the service's time; milliseconds since 1970. */
export const serviceTime = (local = Date.now()) => local + offset;
