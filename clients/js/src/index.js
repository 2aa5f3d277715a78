export { createClient } from "./client.js";
export { ApiError, TaskFailedError, TimeoutError, ValidationError } from "./errors.js";
