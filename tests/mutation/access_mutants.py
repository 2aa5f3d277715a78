"""Defects that let an unauthenticated caller, a forged callback or another owner in."""

from __future__ import annotations

from tests.mutation.mutant import Mutant

ACCESS = (
    Mutant(
        "the token of a callback URL is not compared",
        "tasks/signed_urls.py",
        "return hmac.compare_digest(expected, token) and bool(keys.get(kid))",
        "return bool(keys.get(kid))",
    ),
    Mutant(
        "PoYo's signature is not verified",
        "workflows/receive_callback.py",
        "if signing_key and poyo_id and not signature.verify(signing_key, poyo_id, request.headers):",
        "if False:",
    ),
    Mutant(
        "a candidate is confirmed without a request to PoYo",
        "workflows/confirm_poyo_id.py",
        "        status = self.poyo.status(poyo_id)\n",
        "        from imagetasks.poyo.responses import TaskStatus\n\n"
        '        status = TaskStatus(status="finished")\n',
    ),
    Mutant(
        "a connection to a private address is allowed",
        "outbound/url_policy.py",
        "if not addresses or not all(map(is_public_address, addresses)):",
        "if not addresses:",
        "integration/outbound/test_download_targets.py",
    ),
    Mutant(
        "the address of a result is not normalised",
        "outbound/download.py",
        "        url = normalise_url(url, base=self.base_url)\n",
        "",
        "integration/outbound/test_download_targets.py",
    ),
    Mutant(
        "a name that Unicode maps to an allowed one is allowed",
        "outbound/url_policy.py",
        "    if not letters:\n",
        '    host = unicodedata.normalize("NFKC", host)\n    if False:\n',
        "integration/outbound/test_download_targets.py",
    ),
    Mutant(
        "a page that fetches an image gets the URL of a response without CORS headers",
        "api/routes/files.py",
        'cors="origin" in event.headers',
        "cors=False",
        "integration/handlers/test_api_files.py",
    ),
    Mutant(
        "an image has another presigned URL at each visit",
        "aws/image_bucket.py",
        'request.context["timestamp"] = f"{hour}0000Z"',
        "del hour",
        "integration/handlers/test_api_files.py",
    ),
    Mutant(
        "an image that its retention removed leads to an error of S3",
        "workflows/owner_tasks.py",
        "if expires_at is not None and self.clock.now_ms() >= expires_at:",
        "if expires_at is None and False:",
        "integration/handlers/test_api_files.py",
    ),
    Mutant(
        "a forged address of an image is presigned for PoYo",
        "workflows/place_order.py",
        "            elif image := file_reference(url, public_base_url):\n"
        "                self.shared_file(image.task_id, image.n, image.token)\n",
        "",
        "integration/handlers/test_api_references.py",
    ),
    Mutant(
        "a reference may name a private network",
        "tasks/image_reference.py",
        "return bool(named and not PRIVATE.fullmatch(host))",
        "return bool(named)",
        "unit/tasks/test_image_reference.py",
    ),
    Mutant(
        "every owner finds an upload of every owner",
        "aws/upload_bucket.py",
        "hashlib.sha256(owner.encode())",
        'hashlib.sha256(b"owner")',
        "integration/handlers/test_api_uploads.py",
    ),
    Mutant(
        "owner and user are joined without a separator",
        "api/authentication.py",
        'return f"{name}{OWNER_SEPARATOR}{user}" if user else name',
        'return f"{name}{user}" if user else name',
        "unit/api/test_authentication.py",
    ),
    Mutant(
        "the user whom a server key acts for is ignored",
        "api/authentication.py",
        'return f"{name}{OWNER_SEPARATOR}{user}" if user else name',
        "return name",
        "integration/handlers/test_owners.py",
    ),
    Mutant(
        "a removed server key works for five minutes",
        "aws/secrets.py",
        "MAX_AGE_S = 30.0 ",
        "MAX_AGE_S = 300.0 ",
        "unit/aws/test_secrets.py",
    ),
    Mutant(
        "a secret that cannot be read again is used for ever",
        "aws/secrets.py",
        "old = now - self._read_at > HARD_MAX_AGE_S",
        'old = self._read_at == float("-inf")',
        "unit/aws/test_secrets.py",
    ),
    Mutant(
        "a failed read of a secret raises no alarm",
        "aws/secrets.py",
        'telemetry.alarm("secret_refresh_failed"',
        'telemetry.info("secret_refresh_failed"',
        "repository/test_template_alarms.py",
    ),
    Mutant(
        "a server key whose name contains the separator acts for another owner",
        "aws/secrets.py",
        "if name and OWNER_SEPARATOR not in name",
        "if name",
        "unit/aws/test_secrets.py",
    ),
    Mutant(
        "a missing permission is spoken of as a passing trouble",
        "aws/__init__.py",
        "passing = isinstance(error, NETWORK) or status >= 500 or codes <= PASSING_CODES",
        "passing = True",
        "unit/aws/test_aws_errors.py",
    ),
    Mutant(
        "a defect of the deployment raises no alarm",
        "aws/__init__.py",
        'telemetry.alarm("aws_call_rejected", code=code, operation=operation)',
        "pass",
        "unit/aws/test_aws_errors.py",
    ),
    Mutant(
        "a caller is invited to repeat what only the operator can mend",
        "api/error_mapping.py",
        "if isinstance(error, AwsError) and not error.passing:",
        "if False:",
        "integration/handlers/test_api_errors.py",
    ),
    Mutant(
        "a throttled call is told as a defect",
        "aws/__init__.py",
        "if not passing:",
        "if True:",
        "unit/aws/test_aws_errors.py",
    ),
    Mutant(
        "a key expires between its check and the request that uses it",
        "aws/secrets.py",
        "expired = old and now - self._granted_at > INVOCATION_S",
        "expired = old",
        "unit/aws/test_secrets.py",
    ),
)
