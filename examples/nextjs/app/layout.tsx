import type { ReactNode } from "react";

export const metadata = { title: "One image" };

export default function Layout({ children }: { children: ReactNode }) {
  return (
    <html lang="en">
      <head>
        <link rel="icon" href="data:," />
      </head>
      <body style={{ fontFamily: "system-ui", maxWidth: "40rem", margin: "3rem auto" }}>{children}</body>
    </html>
  );
}
