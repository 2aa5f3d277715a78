"""A client of an imagetasks service: order an image, wait for it, save it."""

from imagetasks_client.async_client import AsyncClient, AsyncTaskHandle
from imagetasks_client.client import Client, TaskHandle
from imagetasks_client.errors import (
    ApiError,
    ClientTimeoutError,
    ConnectionFailed,
    ImageTasksError,
    TaskFailedError,
    ValidationError,
)
from imagetasks_client.exchange import Patience
from imagetasks_client.images import DamagedFile
from imagetasks_client.operations import new_key
from imagetasks_client.task import Credits, Failure, File, Quote, Task, Usd

__all__ = [
    "ApiError",
    "AsyncClient",
    "AsyncTaskHandle",
    "Client",
    "ClientTimeoutError",
    "ConnectionFailed",
    "Credits",
    "DamagedFile",
    "Failure",
    "File",
    "ImageTasksError",
    "Patience",
    "Quote",
    "Task",
    "TaskFailedError",
    "TaskHandle",
    "Usd",
    "ValidationError",
    "new_key",
]
