"""What can go wrong with a picture: the file's fault, or the machine's."""

from safelight.errors import SafelightError, Unavailable


class UnreadablePicture(SafelightError):
    """The file cannot become a photo, now or ever; `reason` is for the photographer who uploaded it.

    Trying again with the same bytes gives the same answer, so the job ends `failed` with this reason.
    """

    code = "unreadable_picture"
    title = "This picture cannot be read"

    @property
    def reason(self) -> str:
        """One or two plain sentences: what is wrong and what to do about it."""
        return self.detail


class PicturesUnavailable(Unavailable):
    """This machine cannot process a picture at the moment (no memory, no process, stopped): retry the job."""

    code = "pictures_unavailable"
    title = "Pictures cannot be processed at the moment: try again shortly"


class SandboxViolation(UnreadablePicture):
    """While the file was opened, the decoder made a system call that no decoder makes: an attempt to break out."""

    code = "sandbox_violation"
    title = (
        "Opening this file did something that opening a photo never does, so it was stopped. "
        "Export it again from the original and upload the new file."
    )


class SandboxUnavailable(PicturesUnavailable):
    """This machine cannot confine the process that would open the picture. It waits, without using up its attempts.

    `detail` says what failed.
    """

    code = "sandbox_unavailable"
