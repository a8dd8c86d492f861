"""How a photographer says who calls, as the OpenAPI document tells it. Nothing here knows whether it is true."""

from typing import Annotated

from fastapi import Depends
from fastapi.security import APIKeyHeader, OAuth2PasswordBearer

AccessToken = Annotated[str | None, Depends(OAuth2PasswordBearer(tokenUrl="auth/token", auto_error=False))]
ApiKey = Annotated[str | None, Depends(APIKeyHeader(name="X-API-Key", auto_error=False))]
