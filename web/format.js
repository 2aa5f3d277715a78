/** How amounts, times and states are written. */

const numbers = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });
const dollars = new Intl.NumberFormat("en", { style: "currency", currency: "USD", maximumFractionDigits: 4 });
const times = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });

const moments = new Intl.DateTimeFormat("en", { month: "short", day: "numeric", hour: "numeric", minute: "2-digit" });

export const credits = (amount) => `${numbers.format(amount)} ${amount === 1 ? "credit" : "credits"}`;
export const number = (amount) => numbers.format(amount);
export const money = (amount) => dollars.format(amount);
export const time = (text) => times.format(new Date(text));
/** A time of the next days, without the year. */
export const moment = (text) => moments.format(new Date(text));

/** Seconds as `8 s`, `1 min 20 s`, `2 h 5 min`. */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor(whole / 60) % 60} min`;
}

/** The width by the height that a task's image has, or will probably have. */
export function ratioOf({ files, input }) {
  const [file] = files ?? [];
  if (file?.width && file.height) return file.width / file.height;
  const parts = /^(\d+)[:x](\d+)$/.exec(input.size ?? input.aspect_ratio ?? "");
  return parts ? parts[1] / parts[2] : 1;
}

export const isOpen = ({ status }) => status === "not_started" || status === "running" || status === "unsent";

/** What happened, what it cost, what to do: one sentence each. */
export function failure({ error }) {
  if (!error) return "";
  const cost = { true: "It was charged.", false: "It cost nothing.", null: "Whether it was charged is not known yet." };
  const again = error.charged === false ? "You can make it again." : "Making it again costs its price again.";
  const next = error.retry === "new_key" ? again : "Another prompt or setting may work.";
  return `${REASONS[error.code] ?? error.message} ${cost[error.charged]} ${next}`;
}

const REASONS = {
  moderated: "The content policy refused it.",
  rejected: "PoYo did not accept it.",
  insufficient_credits: "The account at PoYo has no credits left.",
  unavailable: "PoYo took no orders for half an hour.",
  upstream: "PoYo could not make it.",
  bad_result: "PoYo delivered no usable image.",
  result_expired: "PoYo deleted the image before it could be copied.",
  unconfirmed: "PoYo never confirmed it.",
  timed_out: "PoYo did not finish within a day.",
};

/** The sentences about an error that prevented an order, or another request. */
export function refusal({ code, message, problem = {} }) {
  if (code === "budget_exhausted") {
    const reset = problem.resets_at ? `There is more from ${moment(problem.resets_at)}.` : "It does not renew.";
    return `The budget has ${credits(problem.left ?? 0)} left, too few for this image. ${reset}`;
  }
  if (code === "orders_paused") return "New orders are paused at the moment. Nothing was ordered.";
  if (code === "insufficient_credits") return REASONS.insufficient_credits;
  if (code === "too_many_orders") return "Too many orders are waiting. Nothing was ordered; try again later.";
  if (code === "invalid_order") return "Please mend what is marked. Nothing was ordered.";
  return problem.detail ?? message;
}
