"""The visitor's page as it is usually written: ORM rows, one botocore signature a URL, a response model, a counter."""

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config
from fastapi import FastAPI, HTTPException
from mangum import Mangum
from pydantic import BaseModel
from sqlalchemy import func, select

from safelight.config import settings
from safelight.db.engine import transaction
from safelight.models import Gallery, Photo, ShareLink


class PhotoModel(BaseModel):
    photo_id: uuid.UUID
    filename: str
    thumbnail_url: str
    preview_url: str
    full_url: str
    width: int | None
    height: int | None
    thumbhash: str | None


class GalleryModel(BaseModel):
    title: str
    description: str


class PageModel(BaseModel):
    gallery: GalleryModel
    photos: list[PhotoModel]
    expires_at: dt.datetime | None
    download: str


def make_handler() -> Callable[[dict[str, Any], Any], dict[str, Any]]:
    """The peer's Lambda handler, on the same database and settings."""
    configured = settings()
    secret, token = configured.aws_secret_access_key, configured.aws_session_token
    client = boto3.client(
        "s3",
        region_name=configured.aws_region,
        aws_access_key_id=configured.aws_access_key_id,
        aws_secret_access_key=secret.get_secret_value() if secret else None,
        aws_session_token=token.get_secret_value() if token else None,
        config=Config(signature_version="s3v4"),
    )
    app = FastAPI()

    def url(key: str) -> str:
        return client.generate_presigned_url(
            "get_object", Params={"Bucket": configured.bucket, "Key": key}, ExpiresIn=900
        )

    @app.get("/s/{share_id}", response_model=PageModel)
    def view(share_id: uuid.UUID, limit: int = 1000) -> PageModel:
        with transaction() as session:
            link = session.get(ShareLink, share_id)
            if link is None or link.revoked_at or (link.expires_at and link.expires_at < dt.datetime.now(dt.UTC)):
                raise HTTPException(404)
            gallery = session.get_one(Gallery, link.gallery_id)
            shown = select(Photo).where(
                Photo.gallery_id == gallery.id, Photo.status == "ready", Photo.deleted_at.is_(None)
            )
            photos = session.scalars(shown.order_by(Photo.position, Photo.id).limit(limit)).all()
            link.views = func.coalesce(ShareLink.views, 0) + 1
            return PageModel(
                gallery=GalleryModel(title=gallery.title, description=gallery.description),
                photos=[
                    PhotoModel(
                        photo_id=photo.id,
                        filename=photo.filename,
                        thumbnail_url=url(f"renditions/{gallery.id}/{photo.id}/thumb.jpg"),
                        preview_url=url(f"renditions/{gallery.id}/{photo.id}/preview.jpg"),
                        full_url=f"/s/{share_id}/photos/{photo.id}",
                        width=photo.width,
                        height=photo.height,
                        thumbhash=photo.thumbhash,
                    )
                    for photo in photos
                ],
                expires_at=link.expires_at,
                download=link.download,
            )

    return Mangum(app, lifespan="off")
