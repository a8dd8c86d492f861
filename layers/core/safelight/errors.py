"""Every error the product raises on purpose.

    SafelightError
    ├── Unreadable               400
    ├── NotFound                 404  missing, or somebody else's: the same answer
    ├── Unauthorized             401  no credentials, or bad ones
    │   └── PasswordRequired     401  a share that is locked for this visitor
    ├── Forbidden                403
    ├── Conflict                 409
    ├── PreconditionFailed       412  what the client has is no longer what there is
    ├── Invalid                  422
    ├── TooLarge                 413
    ├── UnsupportedType          415
    ├── TooManyRequests          429  carries `retry_after`
    ├── Unavailable              503  carries `retry_after`
    │   └── StorageUnavailable   503  the object store did not answer
    ├── ObjectMissing                 carries `key`
    ├── ObjectChanged                 carries `key`
    └── ObjectTruncated               carries `key`

The web edge maps a base to its status once; a subclass follows its base. The three object errors are facts about the
store, so a service turns them into an answer; one that escapes is a defect and becomes a 500.
"""


class SafelightError(Exception):
    """Base of all; `detail` is a sentence for the person who reads the answer."""

    code = "error"
    title = "Something went wrong"

    def __init__(self, detail: str | None = None) -> None:
        self.detail = detail or self.title
        super().__init__(self.detail)


class Unreadable(SafelightError):
    code = "unreadable"
    title = "This request cannot be read"


class NotFound(SafelightError):
    code = "not_found"
    title = "There is nothing here"


class Unauthorized(SafelightError):
    code = "unauthorized"
    title = "Sign in first"


class PasswordRequired(Unauthorized):
    code = "password_required"
    title = "This gallery is locked: enter its password"


class Forbidden(SafelightError):
    code = "forbidden"
    title = "You may not do this"


class Conflict(SafelightError):
    code = "conflict"
    title = "This clashes with what is already there"


class PreconditionFailed(SafelightError):
    code = "precondition_failed"
    title = "This has changed since you got it"


class Invalid(SafelightError):
    code = "invalid"
    title = "Some of what you sent is not valid"


class TooLarge(SafelightError):
    code = "too_large"
    title = "This file is too large"


class UnsupportedType(SafelightError):
    code = "unsupported_type"
    title = "This kind of file is not supported"


class _Later(SafelightError):
    """An answer that is worth asking for again after `retry_after` seconds."""

    def __init__(self, detail: str | None = None, *, retry_after: int = 5) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class TooManyRequests(_Later):
    code = "too_many_requests"
    title = "Too many attempts: wait a little"


class Unavailable(_Later):
    code = "unavailable"
    title = "Temporarily unavailable: try again in a moment"


class StorageUnavailable(Unavailable):
    code = "storage_unavailable"
    title = "The photo storage does not answer: try again in a moment"


class _ObjectError(SafelightError):
    def __init__(self, key: str) -> None:
        super().__init__(f"{self.title}: {key}")
        self.key = key


class ObjectMissing(_ObjectError):
    code = "object_missing"
    title = "The object is not in the bucket"


class ObjectChanged(_ObjectError):
    code = "object_changed"
    title = "The object is not the one that was recorded"


class ObjectTruncated(_ObjectError):
    code = "object_truncated"
    title = "The object ended too early"
