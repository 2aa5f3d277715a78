"""The page at `/`, for people who try the service in a browser; only where `Playground` is true."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from imagetasks.api.api_gateway import HttpResponse
from imagetasks.api.problem_details import ProblemError
from imagetasks.api.problems import ROUTE_NOT_FOUND
from imagetasks.api.request import if_none_match

if TYPE_CHECKING:
    from imagetasks.api.api_gateway import HttpEvent
    from imagetasks.api.dependencies import ApiDependencies

INDEX = "index.html"
HEADERS = {
    "Cache-Control": "no-cache",  # a browser asks again and gets a 304: a new deployment shows at once
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
# Scripts and styles of this origin only, none inline; images and uploads also from and to the bucket.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data: {bucket}; "
    "connect-src 'self' {bucket}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PageRoutes:
    """Routes of the page's files; public."""

    dependencies: ApiDependencies

    def index(self, event: HttpEvent) -> HttpResponse:
        """The page."""
        bucket = " ".join(sorted(_origin(url) for url in self.dependencies.uploads.addresses()))
        return self._file(event, INDEX, {"Content-Security-Policy": POLICY.format(bucket=bucket)})

    def file(self, event: HttpEvent, name: str) -> HttpResponse:
        """A script, style or picture of the page. Raises ProblemError: 404."""
        return self._file(event, name, {})

    def client(self, event: HttpEvent, name: str) -> HttpResponse:
        """A module of the JavaScript client. Raises ProblemError: 404."""
        return self._file(event, f"client/{name}", {})

    def _file(self, event: HttpEvent, path: str, further: Mapping[str, str]) -> HttpResponse:
        found = self.dependencies.page.get(path)
        if found is None:
            raise ProblemError(ROUTE_NOT_FOUND)
        headers = {**HEADERS, **further, "ETag": found["etag"]}
        if found["etag"] in if_none_match(event):
            return HttpResponse(304, None, "", headers=headers)
        return HttpResponse(200, found["type"], found["text"], headers=headers)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
