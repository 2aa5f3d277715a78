export interface TokenRouteOptions {
  /** The user who sends the request, from your session; null for nobody, who gets 401. */
  owner(request: Request): Promise<string | null | undefined> | string | null | undefined;
  /** What the orders of one token may cost together. */
  maxCredits: number;
  /** The token's life in seconds, 60 to 3600. Default 900. */
  ttl?: number;
  /** The models that it may order from. */
  models?: string[];
  /** The pages that may use it, such as `https://shop.example`. */
  origin?: string;
  maxTasks?: number;
  scopes?: ("tasks:write" | "tasks:read" | "uploads:write" | "quotes")[];
  /** The deployment; by default the environment's IMAGETASKS_URL. */
  baseUrl?: string;
  /** A server key; by default the environment's IMAGETASKS_KEY. */
  key?: string;
  fetch?: typeof fetch;
}

export function createTokenRoute(options: TokenRouteOptions): {
  POST(request: Request): Promise<Response>;
};
