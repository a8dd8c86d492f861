"""Pictures: untrusted bytes in, facts and renditions out. The only room that knows libvips and thumbhash.

    facts   what a file is, from its header alone: no decoder runs
    render  one decode, every rendition (a pure function)
    child   `render` behind a process wall with limits: what the product calls
            (nursery: its children's home; inside: their side; confine: what they give up; wire: how they answer)
    errors  `UnreadablePicture` (the file's fault), `PicturesUnavailable` (the machine's, retry)

Importing this package loads neither libvips nor thumbhash.
"""
