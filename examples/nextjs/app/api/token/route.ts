import { createTokenRoute } from "imagetasks/server";
import { visitorOf } from "../../../lib/visitor";

// IMAGETASKS_URL and IMAGETASKS_KEY stay on this server; the page gets a token that is worth 50 credits.
export const { POST } = createTokenRoute({ owner: visitorOf, maxCredits: 50, ttl: 900 });
