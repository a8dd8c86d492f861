"""What a child does that looks for faces: Viola and Jones's detector with the frontal cascade that OpenCV ships.

Sources: Viola and Jones, "Robust Real-Time Face Detection", IJCV 57 (2004), doi:10.1023/B:VISI.0000013087.49260.fb;
Lienhart and Maydt, ICIP 2002, for the cascade's features.
"""

import os
from pathlib import Path

# Before numpy is loaded: its threads would each take memory of the child, and a fork has none of them.
os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", OPENCV_IO_MAX_IMAGE_PIXELS="10000000")
import cv2
import numpy as np

from safelight.sandbox import warm
from safelight.sandbox.profiles import PICTURE

from . import faces

_CASCADE = "haarcascade_frontalface_default.xml"
# The long side in px at which faces are looked for: one of 40 px is enough for the cascade, which was trained on 24.
_SIDE = 800
# The step between scales, and how many overlapping hits make a face: one more than usual, for fewer false ones.
_STEP, _NEIGHBOURS = 1.1, 6
# The least face that is looked for, as a share of the shorter side; smaller ones are mostly texture.
_LEAST = 0.05

cv2.setNumThreads(0)
cv2.ocl.setUseOpenCL(False)
_detector = cv2.CascadeClassifier(str(Path(cv2.__file__).parent / "data" / _CASCADE))


def work(data: bytes) -> bytes:
    """The answer for one JPEG."""
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise ValueError("this is no picture")
    scale = min(1.0, _SIDE / max(picture.shape))
    high, wide = (max(1, round(side * scale)) for side in picture.shape)
    picture = cv2.resize(picture, (wide, high), interpolation=cv2.INTER_AREA)
    least = max(24, int(min(high, wide) * _LEAST))
    boxes, _, scores = _detector.detectMultiScale3(
        cv2.equalizeHist(picture), _STEP, _NEIGHBOURS, minSize=(least, least), outputRejectLevels=True
    )
    found = [
        {
            "x": round(int(x) / wide, 4),
            "y": round(int(y) / high, 4),
            "width": round(int(w) / wide, 4),
            "height": round(int(h) / high, 4),
            "score": round(float(score), 3),
        }
        for (x, y, w, h), score in zip(boxes, np.ravel(scores), strict=True)
    ]
    return faces.answer(sorted(found, key=lambda face: (-face["score"], face["x"], face["y"]))[: faces.MOST])


if __name__ == "__main__":
    if _detector.empty():
        raise SystemExit("the cascade is missing")
    warm.serve(work, PICTURE)
