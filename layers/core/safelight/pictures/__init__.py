"""Pictures: untrusted bytes in, facts and renditions out. The only room that knows libvips and thumbhash.

    facts   what a file is, from its header alone: no decoder runs
    render  one decode, every rendition (a pure function)
    child   `render` behind a process wall with limits (`safelight.sandbox`): what the product calls
            (inside: the child's side; environment: its variables; wire: how it answers)
    errors  `UnreadablePicture` (the file's fault), `PicturesUnavailable` (the machine's, retry)

Importing this package loads neither libvips nor thumbhash.
"""
