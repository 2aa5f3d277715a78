import { Generator } from "./generator";

export const dynamic = "force-dynamic"; // the address is read when the page is requested, not when it is built

export default function Page() {
  const baseUrl = process.env.IMAGETASKS_URL;
  if (!baseUrl) throw new Error("IMAGETASKS_URL is not set");
  return <Generator baseUrl={baseUrl} />;
}
