"""Every address of Airy."""

from django.contrib import admin
from django.urls import path

from airy.api import api
from airy.health import healthz, readyz
from airy.metrics import metrics

urlpatterns = [
    path("api/", api.urls),
    path("healthz", healthz),
    path("readyz", readyz),
    path("metrics", metrics),
    path("admin/", admin.site.urls),
]
